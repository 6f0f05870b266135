//! The roots of the mesh as a ConfigMap in every namespace that has a Gateway of ours, and beside the
//! proxies of nodes: what proxies verify the control plane by before they have a certificate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use weft_api::{AnyObject, ConfigMap, Kind, ObjectKey, ObjectRef, meta::ObjectMeta};
use weft_certs::{Clock, SignerRoots, TrustBundle};
use weft_source::kube::{Cluster, Created, RequestError};
use weft_spiffe::TrustDomain;

use crate::{
    deploy::{ROOTS_KEY, ROOTS_NAME},
    hub::Hub,
    world::Gateways,
};

/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// What somebody else changed or deleted is put right after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// Publishes the roots while this replica leads.
pub(crate) struct Publisher {
    pub(crate) cluster: Cluster,
    pub(crate) domain: TrustDomain,
    pub(crate) clock: Clock,
    pub(crate) roots: watch::Receiver<SignerRoots>,
    pub(crate) leads: watch::Receiver<bool>,
    pub(crate) hub: Arc<Hub>,
    /// The namespace of the proxies of nodes, where there are some.
    pub(crate) nodes: Option<String>,
    /// The version that is published everywhere.
    pub(crate) published: watch::Sender<u64>,
}

impl Publisher {
    /// Publishes for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        let mut generations = self.hub.generations();
        let mut done = (BTreeSet::new(), String::new());
        loop {
            let mut wait = AGAIN;
            if *self.leads.borrow_and_update() {
                let (pem, version) = self.pem();
                let mut wanted = namespaces(&self.hub.gateways());
                wanted.extend(self.nodes.clone());
                if done == (wanted.clone(), pem.clone()) {
                    self.published.send_replace(version);
                } else {
                    match self.publish(&wanted, &pem).await {
                        Ok(()) => {
                            done = (wanted, pem);
                            self.published.send_replace(version);
                        }
                        Err(error) => {
                            tracing::warn!("the roots are not published everywhere: {error}");
                            wait = RETRY;
                        }
                    }
                }
            }
            // Every branch can be dropped; who can change nothing any more is not waited for.
            tokio::select! {
                Ok(()) = generations.changed() => {}
                Ok(()) = self.roots.changed() => {}
                Ok(()) = self.leads.changed() => {}
                () = tokio::time::sleep(wait) => done = Default::default(),
            }
        }
    }

    /// All roots in force, and their version.
    fn pem(&mut self) -> (String, u64) {
        let SignerRoots { roots, version, .. } = self.roots.borrow_and_update().clone();
        let (bundle, refused) = TrustBundle::from_der(&self.domain, roots, self.clock.now());
        for (position, error) in refused {
            tracing::error!("root {position} of the mesh is not published: {error}");
        }
        (bundle.to_pem(), version)
    }

    async fn publish(&self, namespaces: &BTreeSet<String>, pem: &str) -> Result<(), RequestError> {
        let mut result = Ok(());
        for namespace in namespaces {
            // One namespace that does not take it keeps it from no other.
            let published = self.publish_in(namespace, pem).await;
            result = result.and(published);
        }
        result
    }

    async fn publish_in(&self, namespace: &str, pem: &str) -> Result<(), RequestError> {
        let place = ObjectRef::new(Kind::ConfigMap, ObjectKey::new(namespace, ROOTS_NAME));
        let values = BTreeMap::from([(ROOTS_KEY.to_owned(), pem.to_owned())]);
        match self.cluster.read(&place).await? {
            Some(AnyObject::ConfigMap(stored)) if stored.data == values => return Ok(()),
            Some(_) => {}
            None => {
                let config_map = ConfigMap {
                    metadata: ObjectMeta {
                        namespace: Some(namespace.into()),
                        name: Some(ROOTS_NAME.into()),
                        ..ObjectMeta::default()
                    },
                    data: values.clone(),
                    ..ConfigMap::default()
                };
                if self.cluster.create(&config_map.into()).await? == Created::Yes {
                    return Ok(());
                }
            }
        }
        self.cluster.set_values(&place, &values).await
    }
}

/// Where Gateways are. Namespaces that are being deleted take nothing new.
fn namespaces(gateways: &Gateways) -> BTreeSet<String> {
    let staying = gateways.iter().filter(|(_, served)| !served.is_ending);
    staying
        .map(|(name, _)| name.namespace.to_string())
        .collect()
}
