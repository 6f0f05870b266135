//! A cluster's configuration at one moment: each kind listed once, nothing followed. What cannot be
//! read is a finding and keeps nothing else from being read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::core::params::ListParams;
use tokio::task::JoinSet;
use weft_api::{AnyObject, Kind, ObjectRef};

use super::cluster::{ApiError, Cluster, Limits};
use super::direct::RequestError;
use super::discovery;
use super::item::{Item, Page, Served};
use super::known::unreadable;
use crate::finding::{Finding, UNWATCHED};

/// What one page may cost.
pub(super) const LIMITS: Limits = Limits {
    time: Duration::from_secs(30),
    bytes: 64 * 1024 * 1024,
};
/// Objects per page.
const PAGE: u32 = 500;
/// Requests at once, so that an API server under load is not asked for everything together.
const AT_ONCE: usize = 8;

/// What a cluster says once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Objects that could be read, by kind in the order they were asked for.
    pub objects: Vec<AnyObject>,
    /// Kinds and objects that could not, and which right is missing.
    pub findings: Vec<Finding>,
}

impl Snapshot {
    fn add(&mut self, item: Item) {
        match (item.object, item.reference) {
            (Ok(object), _) => self.objects.push(object),
            (Err(error), Some(reference)) => {
                let finding = unreadable(reference.clone(), error);
                let cure = "correct the field; until then the control plane keeps the last version \
                            it could read";
                self.findings.push(finding.cure(cure));
            }
            // No API server has objects without names.
            (Err(error), None) => self
                .findings
                .push(Finding::new(&UNWATCHED, error.to_string())),
        }
    }

    fn extend(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.findings.extend(other.findings);
    }
}

impl Cluster {
    /// In which versions these kinds are served; those that are not are absent.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say.
    pub async fn served(&self, kinds: &[Kind]) -> Result<BTreeMap<Kind, String>, RequestError> {
        let look = discovery::look(self, LIMITS.time, &mut None, kinds).await;
        let found = look.map_err(RequestError::about("which kinds are served"))?;
        // Only an answer to a tag can say «not modified».
        Ok(found.unwrap_or_default())
    }

    /// Every object of these kinds. A kind that is not served has none; one that roles do not allow
    /// to list, or that cannot be listed for another reason, is a finding.
    ///
    /// # Errors
    /// [`RequestError`] when the API server does not say which kinds it serves.
    pub async fn snapshot(&self, kinds: &[Kind]) -> Result<Snapshot, RequestError> {
        let served = self.served(kinds).await?;
        let mut parts: BTreeMap<Kind, Snapshot> = BTreeMap::new();
        let mut waiting = served.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((kind, version)) = waiting.next()
            {
                let (cluster, served) = (self.clone(), Served { kind, version });
                running.spawn(async move { (kind, list(&cluster, &served).await) });
            }
            match running.join_next().await {
                Some(Ok((kind, part))) => drop(parts.insert(kind, part)),
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => break,
            }
        }
        let mut all = Snapshot::default();
        for kind in kinds {
            all.extend(parts.remove(kind).unwrap_or_default());
        }
        Ok(all)
    }

    /// These objects, one by one. One that does not exist is neither an object nor a finding.
    pub async fn snapshot_of(&self, objects: &BTreeSet<ObjectRef>) -> Snapshot {
        let mut all = Snapshot::default();
        for object in objects {
            match self.read(object).await {
                Ok(found) => all.objects.extend(found),
                Err(error) => all.findings.push(
                    Finding::new(&UNWATCHED, error.to_string())
                        .object(Some(object.clone()))
                        .cure(cure(error.is_forbidden(), "get", object.kind)),
                ),
            }
        }
        all
    }
}

async fn list(cluster: &Cluster, served: &Served) -> Snapshot {
    let mut listed = pages(cluster, served, Some(PAGE)).await;
    // The list took longer than the API server remembers its state: ask for all at once.
    if matches!(&listed, Err(error) if error.is_gone()) {
        listed = pages(cluster, served, None).await;
    }
    listed.unwrap_or_else(|error| {
        let kind = served.kind;
        let finding = Finding::new(&UNWATCHED, format!("{kind}: {error}"));
        Snapshot {
            objects: Vec::new(),
            findings: vec![finding.cure(cure(error.is_forbidden(), "list", kind))],
        }
    })
}

async fn pages(
    cluster: &Cluster,
    served: &Served,
    limit: Option<u32>,
) -> Result<Snapshot, ApiError> {
    let mut all = Snapshot::default();
    let mut next = None;
    loop {
        let parameters = ListParams {
            limit,
            continue_token: next.take(),
            ..ListParams::default()
        };
        let request = kube::core::Request::new(served.path("")).list(&parameters)?;
        let answer = match cluster.fetch(request, LIMITS).await {
            // The kind went since it was said to be served.
            Err(error) if error.is_not_found() => return Ok(Snapshot::default()),
            answer => answer?,
        };
        let page = Page::decode(served, answer.body()).map_err(ApiError::Unreadable)?;
        for item in page.items {
            all.add(item);
        }
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

fn cure(is_forbidden: bool, verb: &str, kind: Kind) -> String {
    if !is_forbidden {
        return UNWATCHED.cure.to_owned();
    }
    let dot = if kind.group().is_empty() { "" } else { "." };
    format!(
        "allow {verb} of {}{dot}{} to the user of this kubeconfig",
        kind.plural(),
        kind.group()
    )
}
