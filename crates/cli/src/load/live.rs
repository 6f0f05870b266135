//! A cluster, read once and judged as its control plane judges it.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{Condition, ConditionStatus, ConditionType, Gateway, Object, gateway::AddressType};
use weft_control::deploy::limit;
use weft_ir::Name;
use weft_source::{
    Finding,
    kube::{Cluster, InstalledApi, WATCHED_KINDS},
};
use weft_store::Store;
use weft_translate::{GatewayFacts, Output, Scope, features::Channel, referents, translate};

use super::parameters;
use crate::{
    cluster::{self, ClusterOptions},
    exit::Failure,
};

/// A cluster as it was when it was read.
pub(crate) struct Live {
    cluster: Cluster,
    runtime: tokio::runtime::Runtime,
    installed: InstalledApi,
    /// Everything but Secrets and ConfigMaps, which are read when something refers to them.
    pub(crate) store: Store,
    /// What could not be read.
    pub(crate) findings: Vec<Finding>,
}

impl Live {
    /// Lists every kind once.
    ///
    /// # Errors
    /// The API server cannot be reached, or has no Gateway API.
    pub(crate) fn read(options: &ClusterOptions) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (cluster, installed, snapshot) = runtime.block_on(async {
            let cluster = options.connect().await?;
            let snapshot = cluster.snapshot(WATCHED_KINDS).await;
            let snapshot = snapshot.map_err(cluster::failure)?;
            let installed = match cluster.gateway_api().await {
                Ok(installed) => installed,
                // Whoever may not look at CRDs is told what the rest says.
                Err(error) if error.is_forbidden() => Some(InstalledApi {
                    bundle_version: None,
                    channel: None,
                }),
                Err(error) => return Err(cluster::failure(error)),
            };
            let installed = installed.ok_or_else(|| {
                let url = cluster.url();
                Failure::errors(format!(
                    "{url} has no Gateway API; `weft check --pre` says how to install its CRDs"
                ))
            })?;
            Ok::<_, Failure>((cluster, installed, snapshot))
        })?;
        let mut store = Store::default();
        for object in snapshot.objects {
            store.apply(object);
        }
        Ok(Self {
            cluster,
            runtime,
            installed,
            store,
            findings: snapshot.findings,
        })
    }

    /// Translates objects of this cluster, perhaps changed. Adds the Secrets and ConfigMaps that they
    /// refer to, and returns those that could not be read.
    ///
    /// # Errors
    /// None today; what cannot be read is a finding.
    pub(crate) fn translate(&self, store: &mut Store) -> Result<(Output, Vec<Finding>), Failure> {
        let scope = self.scope(store);
        let mut wanted = referents(store, &scope);
        wanted.extend(parameters::maps(store, &scope.gateway_controller));
        wanted.retain(|object| store.get(object).is_none());
        let read = self.runtime.block_on(self.cluster.snapshot_of(&wanted));
        for object in read.objects {
            store.apply(object);
        }
        let mut scope = super::with_tls(scope, store);
        // Those of this machine say nothing of a pod's.
        scope.unusable_authorities.platform = None;
        let unusable = parameters::unusable(store, &scope.gateway_controller);
        scope.unusable_parameters = Some(unusable);
        limit(&mut scope);
        Ok((translate(store, &scope), read.findings))
    }

    fn scope(&self, store: &Store) -> Scope {
        let channel = match self.installed.channel.as_deref() {
            Some("experimental") => Channel::Experimental,
            _ => Channel::Standard,
        };
        let gateways: BTreeMap<_, _> = store.gateways().iter().map(facts).collect();
        Scope {
            gateways,
            bundle_version: self.installed.bundle_version.clone(),
            ..Scope::cluster(channel, "")
        }
    }
}

/// What the status of a Gateway says of its surroundings: addresses, and what its proxies have.
fn facts(gateway: &Arc<Gateway>) -> (Name, GatewayFacts) {
    let addresses = gateway.status.addresses.iter();
    let addresses = addresses.filter_map(|it| it.value.as_deref()?.parse().ok());
    let names = gateway.status.addresses.iter();
    let names = names.filter(|it| *it.type_() == AddressType::Hostname);
    let is_programmed =
        |it: &&Condition| it.is(ConditionType::Programmed) && it.status == ConditionStatus::True;
    let programmed = gateway.status.conditions.iter().find(is_programmed);
    let facts = GatewayFacts {
        addresses: addresses.collect(),
        hostnames: names.filter_map(|it| it.value.clone()).collect(),
        acknowledged: programmed.and_then(|it| it.observed_generation),
        ..GatewayFacts::default()
    };
    (Name::new(gateway.namespace(), gateway.name()), facts)
}
