//! Gives Gateways what `deploy` renders for them, while this replica leads.

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

use crate::deploy::{Deployed, is_ours};

/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// What somebody else changed or deleted is put right after so long.
const AGAIN: Duration = Duration::from_secs(300);

/// A Gateway and what it is to be given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) deployed: Deployed,
}

/// By Gateway.
pub(crate) type AllWanted = Arc<BTreeMap<Name, Arc<Wanted>>>;

/// Applies while this replica leads.
pub(crate) struct Deployer {
    pub(crate) cluster: Cluster,
    pub(crate) wanted: watch::Receiver<AllWanted>,
    pub(crate) leads: watch::Receiver<bool>,
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

impl Deployer {
    /// Applies for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        let mut done: BTreeMap<Name, Deployed> = BTreeMap::new();
        loop {
            let mut wait = AGAIN;
            if *self.leads.borrow_and_update() {
                let wanted = Arc::clone(&self.wanted.borrow_and_update());
                done.retain(|name, _| wanted.contains_key(name));
                if !self.apply_all(&wanted, &mut done).await {
                    wait = RETRY;
                }
            }
            // Every branch can be dropped: watched values stay changed.
            tokio::select! {
                Ok(()) = self.wanted.changed() => {}
                Ok(()) = self.leads.changed() => done.clear(),
                () = tokio::time::sleep(wait) => if wait == AGAIN { done.clear() },
            }
        }
    }

    /// Applies what is not done yet; false when some of it failed. One Gateway delays no other.
    async fn apply_all(
        &self,
        wanted: &BTreeMap<Name, Arc<Wanted>>,
        done: &mut BTreeMap<Name, Deployed>,
    ) -> bool {
        let is_new =
            |(name, wanted): &(&Name, &Arc<Wanted>)| done.get(*name) != Some(&wanted.deployed);
        let todo: BTreeSet<_> = wanted.iter().filter(is_new).map(|(name, _)| name).collect();
        let mut all_good = true;
        for name in todo {
            // Another replica may lead by now.
            let (true, Some(wanted)) = (*self.leads.borrow(), wanted.get(name)) else {
                break;
            };
            match self.apply(wanted).await {
                Ok(()) => {
                    tracing::info!(gateway = %name, "deployed");
                    done.insert(name.clone(), wanted.deployed.clone());
                }
                Err(error) => {
                    tracing::warn!(gateway = %name, "not deployed: {error}");
                    all_good = false;
                }
            }
        }
        all_good
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
}
