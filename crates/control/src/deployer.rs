//! Gives Gateways what `deploy` renders for them, and takes back what they are not to have any more,
//! while this replica leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;
use weft_api::Gateway;
use weft_ir::Name;
use weft_source::kube::{Cluster, Place, RequestError};

use crate::deploy::{Deployed, MANAGED_BY, MANAGED_LABEL, is_ours};

/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// What somebody else changed or deleted is put right after so long.
const AGAIN: Duration = Duration::from_secs(300);
/// What a Gateway is given, by API version and plural, in the order in which it is taken back. By the
/// Service a leftover is found, so it goes last.
const KINDS: [(&str, &str); 3] = [
    ("apps/v1", "deployments"),
    ("v1", "serviceaccounts"),
    ("v1", "services"),
];

/// A Gateway and what it is to be given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) deployed: Deployed,
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// By Gateway.
    pub(crate) wanted: BTreeMap<Name, Arc<Wanted>>,
    /// By namespace and name of the objects to remove, with the Gateway that they were made for.
    pub(crate) leftovers: BTreeMap<Name, Arc<Gateway>>,
}

/// Why Gateways could not be given what they are to have, of those where trying again alone does not
/// help.
pub(crate) type Failures = Arc<BTreeMap<Name, String>>;

/// Applies while this replica leads.
pub(crate) struct Deployer {
    pub(crate) cluster: Cluster,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) failures: watch::Sender<Failures>,
    pub(crate) leads: watch::Receiver<bool>,
}

/// What was done, and what the log says of the rest.
#[derive(Default)]
struct Memory {
    done: BTreeMap<Name, Deployed>,
    told: BTreeMap<Name, String>,
}

/// An object was not applied.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(
        "{plural} {name} exists and was not made for this Gateway; delete it, or rename the Gateway"
    )]
    Foreign { plural: &'static str, name: Name },
    #[error("an object of a kind that is not deployed: {0}")]
    Kind(String),
}

impl ApplyError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_transient())
    }
}

impl Deployer {
    /// Applies for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        let mut memory = Memory::default();
        loop {
            let mut wait = AGAIN;
            if *self.leads.borrow_and_update() {
                let plan = Arc::clone(&self.plan.borrow_and_update());
                memory.done.retain(|name, _| plan.wanted.contains_key(name));
                let is_applied = self.apply_all(&plan.wanted, &mut memory).await;
                if !self.remove_all(&plan.leftovers).await || !is_applied {
                    wait = RETRY;
                }
            }
            // Every branch can be dropped: watched values stay changed.
            tokio::select! {
                Ok(()) = self.plan.changed() => {}
                Ok(()) = self.leads.changed() => memory.done.clear(),
                () = tokio::time::sleep(wait) => if wait == AGAIN { memory.done.clear() },
            }
        }
    }

    /// Applies what is not done yet; false when some of it failed. One Gateway delays no other.
    async fn apply_all(&self, wanted: &BTreeMap<Name, Arc<Wanted>>, memory: &mut Memory) -> bool {
        let is_new = |(name, wanted): &(&Name, &Arc<Wanted>)| {
            memory.done.get(*name) != Some(&wanted.deployed)
        };
        let todo: BTreeSet<_> = wanted.iter().filter(is_new).map(|(name, _)| name).collect();
        let mut failures = BTreeMap::new();
        let mut told = BTreeMap::new();
        for name in todo {
            // Another replica may lead by now.
            let (true, Some(wanted)) = (*self.leads.borrow(), wanted.get(name)) else {
                break;
            };
            let Err(error) = self.apply(wanted).await else {
                tracing::info!(gateway = %name, "deployed");
                memory.done.insert(name.clone(), wanted.deployed.clone());
                continue;
            };
            let text = error.to_string();
            // The same words every two seconds tell nobody anything.
            if memory.told.get(name) != Some(&text) {
                tracing::warn!(gateway = %name, "not deployed: {text}");
            }
            if !error.is_transient() {
                failures.insert(name.clone(), text.clone());
            }
            told.insert(name.clone(), text);
        }
        self.failures.send_if_modified(|now| {
            let has_changed = **now != failures;
            if has_changed {
                *now = Arc::new(failures);
            }
            has_changed
        });
        memory.told = told;
        memory.told.is_empty()
    }

    async fn apply(&self, wanted: &Wanted) -> Result<(), ApplyError> {
        for object in wanted.deployed.objects() {
            let text = |path| {
                object
                    .pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let plural = match text("/kind") {
                "ServiceAccount" => "serviceaccounts",
                "Service" => "services",
                "Deployment" => "deployments",
                other => return Err(ApplyError::Kind(other.to_owned())),
            };
            let place = Place {
                api_version: text("/apiVersion"),
                plural,
                namespace: text("/metadata/namespace"),
                name: text("/metadata/name"),
            };
            let stored = self.cluster.look_at(&place).await?;
            if stored.is_some_and(|stored| !is_ours(&stored, &wanted.gateway)) {
                let name = Name::new(place.namespace, place.name);
                return Err(ApplyError::Foreign { plural, name });
            }
            self.cluster.apply(&place, object).await?;
        }
        Ok(())
    }

    /// Removes what Gateways are not to have any more; false when some of it is still there.
    async fn remove_all(&self, leftovers: &BTreeMap<Name, Arc<Gateway>>) -> bool {
        let mut all_good = true;
        for (name, gateway) in leftovers {
            if !*self.leads.borrow() {
                break;
            }
            match self.remove(name, gateway).await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(%name, count, "removed: its Gateway has another class now, or its namespace ends")
                }
                Err(error) => {
                    tracing::warn!(%name, "not removed: {error}");
                    all_good = false;
                }
            }
        }
        all_good
    }

    /// Removes the objects of a name that were made for this incarnation of the Gateway, and returns
    /// how many.
    async fn remove(&self, name: &Name, gateway: &Gateway) -> Result<usize, RequestError> {
        let mut count = 0;
        for (api_version, plural) in KINDS {
            let place = Place {
                api_version,
                plural,
                namespace: &name.namespace,
                name: &name.name,
            };
            let Some(stored) = self.cluster.look_at(&place).await? else {
                continue;
            };
            let metadata = &stored["metadata"];
            let is_managed = metadata["labels"][MANAGED_LABEL] == MANAGED_BY;
            let is_leaving = !metadata["deletionTimestamp"].is_null();
            if !is_managed || is_leaving || !is_ours(&stored, gateway) {
                continue;
            }
            let uid = metadata["uid"].as_str();
            count += usize::from(self.cluster.remove(&place, uid).await?);
        }
        Ok(count)
    }
}
