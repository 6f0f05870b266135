//! Objects that are made for Gateways: written by server-side apply, so that fields which somebody
//! else owns stay as they are.

use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::Value;

use super::cluster::Cluster;
use super::direct::{LIMITS, RequestError};
use super::status::FIELD_MANAGER;

/// An object of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Group and version, such as `apps/v1`.
    pub api_version: &'a str,
    /// The kind in paths, such as `deployments`.
    pub plural: &'a str,
    /// Namespace; empty for kinds without.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

impl Place<'_> {
    pub(super) fn request(&self) -> Request {
        let Self {
            api_version,
            plural,
            namespace,
            ..
        } = self;
        let root = match api_version.contains('/') {
            true => "apis",
            false => "api",
        };
        Request::new(match namespace.is_empty() {
            true => format!("/{root}/{api_version}/{plural}"),
            false => format!("/{root}/{api_version}/namespaces/{namespace}/{plural}"),
        })
    }

    pub(super) fn about(&self) -> String {
        let Self {
            plural,
            namespace,
            name,
            ..
        } = self;
        match namespace.is_empty() {
            true => format!("{plural} {name}"),
            false => format!("{plural} {namespace}/{name}"),
        }
    }
}

impl Cluster {
    /// The object, as it is stored; `None` when there is none.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn look_at(&self, place: &Place<'_>) -> Result<Option<Value>, RequestError> {
        let ask = async {
            let request = place.request().get(place.name, &GetParams::default())?;
            self.json(request, LIMITS).await
        };
        match ask.await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(RequestError::about(place.about())(error)),
        }
    }

    /// Makes the object, or makes those of its fields as they are given; we own them from then on,
    /// and those that were given before and are not now are taken back. Others stay.
    ///
    /// # Errors
    /// [`RequestError`] when it is not taken.
    pub async fn apply(&self, place: &Place<'_>, object: &Value) -> Result<(), RequestError> {
        let apply = async {
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            let patch = Patch::Apply(object);
            let request = place.request().patch(place.name, &parameters, &patch)?;
            self.fetch(request, LIMITS).await
        };
        let applied = apply.await.map(drop);
        applied.map_err(RequestError::about(place.about()))
    }
}
