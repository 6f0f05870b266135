//! Which kinds the API server serves, and in which versions: one document, asked for again and
//! again, mostly answered with «not modified». CRDs come and go while we run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use weft_api::Kind;

use super::cluster::{ApiError, Cluster, Limits};
use super::item::Served;
use super::kind::{Deltas, FAILURES_TOLD};
use super::known::Delta;
use super::pace::Backoff;
use super::settings::WatchOptions;
use super::trouble::Trouble;

/// Aggregated discovery, in every server since Kubernetes 1.30 (KEP-3352).
const ACCEPTED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The kind of the document that was asked for.
const DOCUMENT: &str = "APIGroupDiscoveryList";
/// Most bytes of the document; one of a cluster with hundreds of CRDs has some hundred thousand.
const DOCUMENT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is served, as last seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Catalogue {
    /// Counts the looks; 0 before the first.
    pub(super) looks: u64,
    versions: BTreeMap<Kind, String>,
}

impl Catalogue {
    /// The version to read a kind in; `None` when it is not served.
    pub(super) fn served(&self, kind: Kind) -> Option<Served> {
        self.versions.get(&kind).map(|version| Served {
            kind,
            version: version.clone(),
        })
    }
}

/// In which versions kinds are served, as the watches see it. Follows the cluster.
#[derive(Clone, Debug)]
pub struct Versions(watch::Receiver<Catalogue>);

impl Versions {
    pub(super) fn new(catalogue: watch::Receiver<Catalogue>) -> Self {
        Self(catalogue)
    }

    /// The version to write a kind in; the newest one while nobody knows.
    pub(super) fn served(&self, kind: Kind) -> Served {
        let served = self.0.borrow().served(kind);
        served.unwrap_or_else(|| Served::newest(kind))
    }
}

/// Looks again and again.
pub(super) struct Discovery {
    pub(super) cluster: Cluster,
    pub(super) options: Arc<WatchOptions>,
    pub(super) deltas: Deltas,
    pub(super) catalogue: watch::Sender<Catalogue>,
    /// Asks for a look at once.
    pub(super) nudge: Arc<Notify>,
}

impl Discovery {
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(self.options.retry);
        let mut tag = None;
        loop {
            let options = &self.options;
            let timeout = options.request_timeout;
            let result = look(&self.cluster, timeout, &mut tag, &options.kinds).await;
            let failures = backoff.failures();
            let (wait, told) = match result {
                Ok(found) => {
                    backoff.worked();
                    self.publish(found);
                    (None, (failures >= FAILURES_TOLD).then_some(None))
                }
                Err(error) => {
                    let error = Trouble::from(error);
                    let (reached, asked) = (error.was_reached(), error.retry_after());
                    let wait = backoff.failed(reached, asked, &self.options.jitter);
                    let is_news = backoff.failures() == FAILURES_TOLD;
                    (Some(wait), is_news.then(|| Some(error.finding(None))))
                }
            };
            if let Some(finding) = told {
                if let Some(finding) = &finding {
                    tracing::warn!("{finding}");
                }
                let delta = Delta::Trouble(None, finding);
                if self.deltas.send(vec![delta]).await.is_err() {
                    return;
                }
            }
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => self.pause().await,
            }
        }
    }

    /// Makes a look count.
    fn publish(&self, found: Option<BTreeMap<Kind, String>>) {
        self.catalogue.send_modify(|catalogue| {
            catalogue.looks += 1;
            if let Some(versions) = found {
                catalogue.versions = versions;
            }
        });
    }

    /// Waits for the next look, which those who are told that a kind is gone may want soon.
    async fn pause(&self) {
        let nudged = self.nudge.notified();
        let _either = tokio::time::timeout(self.options.discovery_interval, nudged).await;
        tokio::time::sleep(self.options.retry.first).await;
    }
}

/// The served versions of these kinds; `None` when they are the same as at the last look.
pub(super) async fn look(
    cluster: &Cluster,
    timeout: Duration,
    tag: &mut Option<HeaderValue>,
    kinds: &[Kind],
) -> Result<Option<BTreeMap<Kind, String>>, ApiError> {
    let mut request = kube::core::Request::new("/apis").list(&Default::default())?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    if let Some(tag) = tag.as_ref() {
        headers.insert(IF_NONE_MATCH, tag.clone());
    }
    let limits = Limits {
        time: timeout,
        bytes: DOCUMENT_MAX_BYTES,
    };
    let answer = cluster.fetch(request, limits).await?;
    if answer.status() == http::StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    let document: Document = serde_json::from_slice(answer.body()).map_err(ApiError::Unreadable)?;
    if document.kind != DOCUMENT {
        let message = format!(
            "it answered {} where {DOCUMENT} was asked for",
            document.kind
        );
        return Err(ApiError::Unreadable(serde::de::Error::custom(format!(
            "{message}; Weft needs Kubernetes 1.33 or later"
        ))));
    }
    *tag = answer.headers().get(ETAG).cloned();
    Ok(Some(document.versions(kinds)))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Document {
    kind: String,
    items: Vec<Group>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    metadata: GroupMetadata,
    versions: Vec<GroupVersion>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupMetadata {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersion {
    version: String,
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    resource: String,
    verbs: Vec<String>,
}

impl Document {
    /// The version of each kind that we like best among those served. The core group stands in
    /// another document, and all servers have it.
    fn versions(&self, kinds: &[Kind]) -> BTreeMap<Kind, String> {
        let choose = |kind: &Kind| {
            let serves = |version: &&&str| kind.group().is_empty() || self.serves(*kind, version);
            let version = kind.versions().iter().find(serves)?;
            Some((*kind, (*version).to_owned()))
        };
        kinds.iter().filter_map(choose).collect()
    }

    fn serves(&self, kind: Kind, version: &str) -> bool {
        let groups = self.items.iter();
        let mut versions = groups
            .filter(|group| group.metadata.name == kind.group())
            .flat_map(|group| &group.versions)
            .filter(|served| served.version == version);
        let can = |resource: &Resource, verb: &str| resource.verbs.iter().any(|can| can == verb);
        versions.any(|version| {
            version.resources.iter().any(|resource| {
                resource.resource == kind.plural()
                    && can(resource, "list")
                    && can(resource, "watch")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case: what the API server serves as `group/version/plural`, a kind, the version read.
    const CASES: &[(&str, &[&str], Kind, Option<&str>)] = &[
        (
            "the newest of several",
            &[
                "gateway.networking.k8s.io/v1alpha2/tcproutes",
                "gateway.networking.k8s.io/v1/tcproutes",
            ],
            Kind::TcpRoute,
            Some("v1"),
        ),
        (
            "an older one where there is no other",
            &["gateway.networking.k8s.io/v1alpha2/tcproutes"],
            Kind::TcpRoute,
            Some("v1alpha2"),
        ),
        (
            "a version of the group that has not the kind",
            &["gateway.networking.k8s.io/v1/gateways"],
            Kind::TlsRoute,
            None,
        ),
        (
            "the same plural in a group of somebody else",
            &["example.com/v1/gateways"],
            Kind::Gateway,
            None,
        ),
        (
            "the core group, which is not listed",
            &[],
            Kind::Service,
            Some("v1"),
        ),
    ];

    #[test]
    fn the_best_served_version_is_read() {
        for (name, served, kind, expected) in CASES {
            let items = served.iter().map(|path| {
                let mut parts = path.split('/');
                let mut part = || parts.next().unwrap_or_default();
                let (group, version, plural) = (part(), part(), part());
                serde_json::json!({
                    "metadata": { "name": group },
                    "versions": [{
                        "version": version,
                        "resources": [{ "resource": plural, "verbs": ["get", "list", "watch"] }],
                    }],
                })
            });
            let document =
                serde_json::json!({ "kind": DOCUMENT, "items": items.collect::<Vec<_>>() });
            let document: Document = serde_json::from_value(document).expect("a document");
            let versions = document.versions(&[*kind]);
            assert_eq!(versions.get(kind).map(String::as_str), *expected, "{name}");
        }
    }
}
