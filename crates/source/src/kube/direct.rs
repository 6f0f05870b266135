//! Single questions to the API server, asked by the control plane about its own affairs: whose a
//! token is, a Secret or ConfigMap of its own, which Gateway API is installed.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weft_api::{AnyObject, ObjectRef};

use super::cluster::{ApiError, Cluster, Limits};
use super::item::Served;
use super::status::FIELD_MANAGER;

/// So long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer; an API server stores no object above 2 MiB.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;
pub(super) const LIMITS: Limits = Limits {
    time: TIMEOUT,
    bytes: ANSWER_MAX_BYTES,
};
/// The CRD whose annotations say which Gateway API is installed.
const GATEWAY_CRD: &str = "gateways.gateway.networking.k8s.io";
const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";
const CHANNEL: &str = "gateway.networking.k8s.io/channel";
/// How the names of service accounts begin (KEP-1205).
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct RequestError {
    what: String,
    source: ApiError,
}

impl RequestError {
    pub(super) fn about(what: impl Into<String>) -> impl FnOnce(ApiError) -> Self {
        let what = what.into();
        move |source| Self { what, source }
    }

    /// Whether the same question may be answered later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }

    /// Whether roles do not allow it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.source.is_forbidden()
    }

    /// Whether an API server, or something that speaks for it, was there at all.
    #[must_use]
    pub fn was_reached(&self) -> bool {
        self.source.was_reached()
    }
}

/// Whose a token is, as the API server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// The pod the token is bound to; `None` for a token of no pod.
    pub pod: Option<TokenPod>,
    /// Identifies the token itself (its `jti`), for the audit log.
    pub credential_id: Option<String>,
}

/// The pod a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The node it runs on.
    pub node: Option<String>,
}

/// What became of creating an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now, as given.
    Yes,
    /// Somebody else was faster; theirs stays.
    Exists,
}

/// Which Gateway API is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledApi {
    /// Such as `v1.6.1`.
    pub bundle_version: Option<String>,
    /// `standard` or `experimental`.
    pub channel: Option<String>,
}

impl Cluster {
    /// Whose a token is: a service account's, if the API server knows the token and it was issued for
    /// `audience`. `None` for every other token.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn review_token(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<Option<TokenOwner>, RequestError> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token, "audiences": [audience] },
        });
        let body = review.to_string().into_bytes();
        let ask = async {
            let request = Request::new("/apis/authentication.k8s.io/v1/tokenreviews")
                .create(&PostParams::default(), body)?;
            self.json(request, LIMITS).await
        };
        let answer = ask.await.map_err(RequestError::about("TokenReview"))?;
        Ok(owner(&answer, audience))
    }

    /// A Secret or ConfigMap by its name; `None` when there is none.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say, or roles do not allow to ask.
    pub async fn read(&self, object: &ObjectRef) -> Result<Option<AnyObject>, RequestError> {
        let served = Served::newest(object.kind);
        let ask = async {
            let path = served.path(object.key.namespace());
            let request = Request::new(path).get(object.key.name(), &GetParams::default())?;
            self.json(request, LIMITS).await
        };
        let mut value = match ask.await {
            Ok(value) => value,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(RequestError::about(object.to_string())(error)),
        };
        // Some servers leave both out of single objects as they do in lists.
        value["apiVersion"] = served.api_version().into();
        value["kind"] = object.kind.as_str().into();
        let unreadable = |error: weft_api::ParseError| {
            let error = serde::de::Error::custom(error.to_string());
            RequestError::about(object.to_string())(ApiError::Unreadable(error))
        };
        AnyObject::parse(value).map(Some).map_err(unreadable)
    }

    /// Creates an object, unless there is one of its name.
    ///
    /// # Errors
    /// [`RequestError`] when it is not created for another reason.
    pub async fn create(&self, object: &AnyObject) -> Result<Created, RequestError> {
        let reference = object.reference();
        let create = async {
            let body = object.to_value().map_err(ApiError::Unreadable)?;
            let parameters = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            let path = Served::newest(reference.kind).path(reference.key.namespace());
            let request = Request::new(path).create(&parameters, body.to_string().into_bytes())?;
            self.fetch(request, LIMITS).await
        };
        match create.await {
            Ok(_created) => Ok(Created::Yes),
            Err(error) if error.is_conflict() => Ok(Created::Exists),
            Err(error) => Err(RequestError::about(reference.to_string())(error)),
        }
    }

    /// Merges into a Secret or ConfigMap that exists (RFC 7396); false when it is of another
    /// `metadata.resourceVersion` than the patch names, and therefore stays as it is.
    ///
    /// # Errors
    /// [`RequestError`] when it is not taken for another reason.
    pub async fn merge(&self, object: &ObjectRef, patch: &Value) -> Result<bool, RequestError> {
        let merge = async {
            let parameters = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let path = Served::newest(object.kind).path(object.key.namespace());
            let patch = Patch::Merge(patch);
            let request = Request::new(path).patch(object.key.name(), &parameters, &patch)?;
            self.fetch(request, LIMITS).await
        };
        match merge.await {
            Ok(_merged) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(RequestError::about(object.to_string())(error)),
        }
    }

    /// Sets values of a ConfigMap that exists; others of its values stay.
    ///
    /// # Errors
    /// [`RequestError`] when they are not set.
    pub async fn set_values(
        &self,
        config_map: &ObjectRef,
        values: &BTreeMap<String, String>,
    ) -> Result<(), RequestError> {
        let patch = json!({ "data": values });
        // It names no version, so there is none to differ from.
        self.merge(config_map, &patch).await.map(drop)
    }

    /// Which Gateway API is installed, by the annotations of its CRDs; `None` when none is.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn gateway_api(&self) -> Result<Option<InstalledApi>, RequestError> {
        let ask = async {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            let request = Request::new(path).get(GATEWAY_CRD, &GetParams::default())?;
            self.json(request, LIMITS).await
        };
        match ask.await {
            Ok(crd) => {
                let annotation = |name| {
                    let annotations = crd.get("metadata")?.get("annotations")?;
                    Some(annotations.get(name)?.as_str()?.to_owned())
                };
                Ok(Some(InstalledApi {
                    bundle_version: annotation(BUNDLE_VERSION),
                    channel: annotation(CHANNEL),
                }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(RequestError::about(GATEWAY_CRD)(error)),
        }
    }
}

/// The owner of a token that was reviewed. An API server that does not know audiences leaves them
/// out of its answer, and such a token counts for nothing.
fn owner(review: &Value, audience: &str) -> Option<TokenOwner> {
    let status = review.get("status")?;
    if status.get("authenticated")?.as_bool() != Some(true) {
        return None;
    }
    let audiences = status.get("audiences")?.as_array()?;
    if !audiences.iter().any(|it| it.as_str() == Some(audience)) {
        return None;
    }
    let user = status.get("user")?;
    let account = user
        .get("username")?
        .as_str()?
        .strip_prefix(SERVICE_ACCOUNT)?;
    let (namespace, service_account) = account.split_once(':')?;
    let extra = |name: &str| {
        let values = user
            .get("extra")?
            .get(format!("authentication.kubernetes.io/{name}"))?;
        match values.as_array()?.as_slice() {
            [only] => only.as_str().map(str::to_owned),
            _ => None,
        }
    };
    let pod = || {
        Some(TokenPod {
            name: extra("pod-name")?,
            uid: extra("pod-uid")?,
            node: extra("node-name"),
        })
    };
    Some(TokenOwner {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        pod: pod(),
        credential_id: extra("credential-id"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(change: impl FnOnce(&mut Value)) -> Option<TokenOwner> {
        let mut review = json!({ "status": {
            "authenticated": true,
            "audiences": ["weft-identity"],
            "user": {
                "username": "system:serviceaccount:shop:edge-weft",
                "extra": {
                    "authentication.kubernetes.io/pod-name": ["edge-1"],
                    "authentication.kubernetes.io/pod-uid": ["u1"],
                    "authentication.kubernetes.io/node-name": ["n1"],
                    "authentication.kubernetes.io/credential-id": ["JTI=7"],
                },
            },
        }});
        change(&mut review["status"]);
        owner(&review, "weft-identity")
    }

    #[test]
    fn a_token_says_its_account_pod_and_node() {
        let owner = review(|_| {}).expect("a good token");
        assert_eq!(
            (owner.namespace.as_str(), owner.service_account.as_str()),
            ("shop", "edge-weft")
        );
        let pod = owner.pod.expect("bound to a pod");
        assert_eq!((pod.name.as_str(), pod.uid.as_str()), ("edge-1", "u1"));
        assert_eq!(pod.node.as_deref(), Some("n1"));
        assert_eq!(owner.credential_id.as_deref(), Some("JTI=7"));
    }

    #[test]
    fn what_is_not_plainly_a_token_for_us_is_nobodys() {
        type Change = fn(&mut Value);
        let rows: [(&str, Change); 6] = [
            ("refused", |it| it["authenticated"] = false.into()),
            ("no verdict", |it| it["authenticated"] = Value::Null),
            ("another audience", |it| it["audiences"] = json!(["api"])),
            ("no audience", |it| it["audiences"] = Value::Null),
            ("a person", |it| it["user"]["username"] = "jane".into()),
            ("a node", |it| {
                it["user"]["username"] = "system:node:n1".into();
            }),
        ];
        for (name, change) in rows {
            assert_eq!(review(change), None, "{name}");
        }
    }

    #[test]
    fn a_token_of_no_pod_says_so() {
        let owner = review(|it| it["user"]["extra"] = json!({}));
        assert_eq!(owner.expect("an account").pod, None);
    }
}
