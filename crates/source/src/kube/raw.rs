//! Objects of any kind as they are stored, and single questions about the cluster itself: what the
//! commands of people need. Nothing is followed.

use http::header::DATE;
use kube::core::Request;
use kube::core::params::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::applied::Place;
use super::cluster::{ApiError, Cluster};
use super::direct::{LIMITS, RequestError};
use super::status::FIELD_MANAGER;

/// Objects per page.
const PAGE: u32 = 250;

/// A kind of any group, as it stands in paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Group and version, such as `apps/v1`.
    pub api_version: &'static str,
    /// The kind in paths, such as `deployments`.
    pub plural: &'static str,
}

/// Which objects of a kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Those of this namespace; of all when it is empty.
    pub namespace: &'a str,
    /// Those with these labels, as `kubectl --selector` has them.
    pub labels: &'a str,
    /// Those with these fields, as `kubectl --field-selector` has them.
    pub fields: &'a str,
}

/// What the API server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// Such as `v1.36.3`.
    pub git_version: String,
    /// Such as `(1, 36)`; distributions add signs to the number, which are left out.
    pub minor: Option<(u32, u32)>,
    /// Its clock, as HTTP writes a date; to the second.
    pub date: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawVersion {
    git_version: String,
    major: String,
    minor: String,
}

impl Resource {
    /// Group and plural as roles and `kubectl` write them: `deployments.apps`.
    #[must_use]
    pub fn qualified(&self) -> String {
        match self.api_version.split_once('/') {
            Some((group, _)) => format!("{}.{group}", self.plural),
            None => self.plural.to_owned(),
        }
    }

    /// The place of one of its objects; no namespace for kinds without.
    #[must_use]
    pub fn place<'a>(&self, namespace: &'a str, name: &'a str) -> Place<'a> {
        Place {
            api_version: self.api_version,
            plural: self.plural,
            namespace,
            name,
        }
    }
}

impl Cluster {
    /// All objects that are selected, as they are stored. A kind that is not served has none.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say, or roles do not allow to ask.
    pub async fn find(
        &self,
        resource: Resource,
        selection: Selection<'_>,
    ) -> Result<Vec<Value>, RequestError> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.find_page(resource, selection, next.take()).await;
            let mut page = match page {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(found),
                Err(error) => return Err(RequestError::about(resource.qualified())(error)),
            };
            if let Value::Array(items) = page["items"].take() {
                found.extend(items);
            }
            next = page
                .pointer("/metadata/continue")
                .and_then(Value::as_str)
                .filter(|next| !next.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn find_page(
        &self,
        resource: Resource,
        selection: Selection<'_>,
        next: Option<String>,
    ) -> Result<Value, ApiError> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let parameters = ListParams {
            label_selector: text(selection.labels),
            field_selector: text(selection.fields),
            limit: Some(PAGE),
            continue_token: next,
            ..ListParams::default()
        };
        let request = resource.place(selection.namespace, "").request();
        self.json(request.list(&parameters)?, super::once::LIMITS)
            .await
    }

    /// Removes an object, and whatever it owns before it. With a `uid`, only that incarnation of it.
    /// That it may still be there when this returns is usual: what it owns goes first.
    ///
    /// False when there is no such object.
    ///
    /// # Errors
    /// [`RequestError`] when it is not removed.
    pub async fn remove(&self, place: &Place<'_>, uid: Option<&str>) -> Result<bool, RequestError> {
        let remove = async {
            let parameters = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Foreground),
                preconditions: uid.map(|uid| Preconditions {
                    uid: Some(uid.to_owned()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let request = place.request().delete(place.name, &parameters)?;
            self.fetch(request, LIMITS).await
        };
        match remove.await {
            Ok(_removed) => Ok(true),
            // Another incarnation of that name is another object.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(false),
            Err(error) => Err(RequestError::about(place.about())(error)),
        }
    }

    /// Merges into the status of an object as it was seen (RFC 7396): `seen` is its
    /// `metadata.resourceVersion`. False when it is another one by now, or gone.
    ///
    /// # Errors
    /// [`RequestError`] when the status is not taken.
    pub async fn merge_status(
        &self,
        place: &Place<'_>,
        seen: &str,
        status: &Value,
    ) -> Result<bool, RequestError> {
        let merge = async {
            let parameters = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = json!({ "metadata": { "resourceVersion": seen }, "status": status });
            let request = place.request();
            let patch = Patch::Merge(patch);
            let request = request.patch_subresource("status", place.name, &parameters, &patch)?;
            self.fetch(request, LIMITS).await
        };
        match merge.await {
            Ok(_merged) => Ok(true),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(false),
            Err(error) => Err(RequestError::about(place.about())(error)),
        }
    }

    /// Version and clock of the API server.
    ///
    /// # Errors
    /// [`RequestError`] when it does not say.
    pub async fn server_version(&self) -> Result<ServerVersion, RequestError> {
        let ask = async {
            let request = http::Request::get("/version").body(Vec::new());
            let request = request.map_err(kube::core::request::Error::BuildRequest)?;
            let answer = self.fetch(request, LIMITS).await?;
            let date = answer.headers().get(DATE);
            let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
            let raw: RawVersion =
                serde_json::from_slice(answer.body()).map_err(ApiError::Unreadable)?;
            Ok(ServerVersion {
                minor: raw.numbers(),
                git_version: raw.git_version,
                date,
            })
        };
        ask.await.map_err(RequestError::about("/version"))
    }

    /// Whether whoever asks may do this; in all namespaces when `namespace` is empty.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn may(
        &self,
        verb: &str,
        resource: Resource,
        namespace: &str,
    ) -> Result<bool, RequestError> {
        let group = resource.api_version.split_once('/');
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": verb,
                "group": group.map_or("", |(group, _)| group),
                "resource": resource.plural,
                "namespace": namespace,
            } },
        });
        let ask = async {
            let request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
                .create(&PostParams::default(), review.to_string().into_bytes())?;
            self.json(request, LIMITS).await
        };
        let answer: Result<Value, ApiError> = ask.await;
        let answer = answer.map_err(RequestError::about("SelfSubjectAccessReview"))?;
        let allowed = answer.pointer("/status/allowed");
        Ok(allowed.and_then(Value::as_bool) == Some(true))
    }
}

impl RawVersion {
    fn numbers(&self) -> Option<(u32, u32)> {
        let digits = |text: &str| {
            let end = text.find(|one: char| !one.is_ascii_digit());
            text[..end.unwrap_or(text.len())].parse().ok()
        };
        Some((digits(&self.major)?, digits(&self.minor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_whatever_distributions_add() {
        let rows = [
            (("1", "36"), Some((1, 36))),
            (("1", "33+"), Some((1, 33))),
            (("1", "32-gke.7"), Some((1, 32))),
            (("", ""), None),
        ];
        for ((major, minor), expected) in rows {
            let raw = RawVersion {
                git_version: String::new(),
                major: major.to_owned(),
                minor: minor.to_owned(),
            };
            assert_eq!(raw.numbers(), expected, "{major}.{minor}");
        }
    }

    #[test]
    fn kinds_are_named_as_roles_name_them() {
        let resource = |api_version, plural| Resource {
            api_version,
            plural,
        };
        assert_eq!(
            resource("apps/v1", "deployments").qualified(),
            "deployments.apps"
        );
        assert_eq!(resource("v1", "services").qualified(), "services");
    }
}
