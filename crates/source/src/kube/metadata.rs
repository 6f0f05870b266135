//! The metadata of objects whose data is nobody's business: the API server leaves the rest out of its
//! answers, so that a Secret can be looked at and annotated without its values going anywhere.

use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::applied::Place;
use super::cluster::Cluster;
use super::direct::{LIMITS, RequestError};
use super::status::FIELD_MANAGER;

impl Cluster {
    /// The object without anything but its metadata (`PartialObjectMetadata`); `None` when there is
    /// none.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn metadata_of(&self, place: &Place<'_>) -> Result<Option<Value>, RequestError> {
        let ask = async {
            let request = place.request();
            let request = request.get_metadata(place.name, &GetParams::default())?;
            self.json(request, LIMITS).await
        };
        match ask.await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(RequestError::about(place.about())(error)),
        }
    }

    /// Sets annotations of an object that exists; its others stay. Null takes one off. The answer has
    /// metadata only, as with [`Cluster::metadata_of`].
    ///
    /// # Errors
    /// [`RequestError`] when they are not set.
    pub async fn annotate(
        &self,
        place: &Place<'_>,
        annotations: Map<String, Value>,
    ) -> Result<(), RequestError> {
        let patch = json!({ "metadata": { "annotations": annotations } });
        let annotate = async {
            let parameters = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(patch);
            let request = place.request();
            let request = request.patch_metadata(place.name, &parameters, &patch)?;
            self.fetch(request, LIMITS).await
        };
        let annotated = annotate.await.map(drop);
        annotated.map_err(RequestError::about(place.about()))
    }
}
