//! Certificates and authorities of a world, for the data path under test. What did not change from one
//! world to the next stays the same, as it does in `weft run`.

use std::{collections::HashMap, sync::Arc};

use weft_api::ObjectKey;
use weft_certs::{Authority, BuiltIn, CaRoots, Clock, Issuers, ServerCert, Signer};
use weft_forward::Roots;
use weft_ir::Name;
use weft_spiffe::TrustDomain;
use weft_store::Store;
use weft_wire::{CaBundle, CaBundles};

use crate::wait::Expected;

/// What was parsed before, by its text.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    certificates: HashMap<String, ServerCert>,
    roots: HashMap<String, Arc<CaRoots>>,
}

impl Trust {
    /// The certificates of a world.
    pub(crate) fn certificates(&mut self, store: &Store) -> HashMap<Name, ServerCert> {
        let mut found = HashMap::new();
        for (key, secret) in store.secrets().entries() {
            let text = |name: &str| secret.string_data.get(name).cloned();
            if let (Some(cert), Some(key_pem)) = (text("tls.crt"), text("tls.key")) {
                let parsed = self.certificates.entry(format!("{cert}{key_pem}"));
                let parsed = parsed.or_insert_with(|| {
                    ServerCert::from_pem(cert.as_bytes(), key_pem.as_bytes())
                        .expected("a certificate of the world")
                });
                found.insert(name_of(key), parsed.clone());
            }
        }
        found
    }

    /// The authorities of a world. The platform has those of the ConfigMap `platform/roots`.
    pub(crate) fn roots(&mut self, store: &Store) -> Roots {
        let mut config_maps = HashMap::new();
        for (key, map) in store.config_maps().entries() {
            let Some(pem) = map.data.get("ca.crt") else {
                continue;
            };
            // One that is none is refused by the translation.
            let Ok(parsed) = CaRoots::from_pem(pem) else {
                continue;
            };
            let shared = self.roots.entry(pem.clone());
            let shared = shared.or_insert_with(|| Arc::new(parsed));
            config_maps.insert(name_of(key), Arc::clone(shared));
        }
        Roots {
            platform: config_maps.get(&Name::new("platform", "roots")).cloned(),
            config_maps,
        }
    }
}

/// An authority of the trust domain `cluster.local`, which lives in memory.
///
/// # Panics
/// When the system has no randomness.
#[must_use]
pub fn authority() -> Arc<dyn Signer> {
    let now = Clock::system().read().wall;
    let authority = Authority::generate(&TrustDomain::default(), now).expected("an authority");
    Arc::new(BuiltIn::new(Issuers {
        signing: Arc::new(authority),
        also_trusted: Vec::new(),
        bundle_version: 1,
    }))
}

/// The authorities of a world as a control plane sends them.
#[must_use]
pub fn ca_bundles(store: &Store) -> CaBundles {
    let entries = store.config_maps().entries();
    let bundles = entries.filter_map(|(key, map)| {
        let pem = map.data.get("ca.crt")?.clone();
        Some((name_of(key), Arc::new(CaBundle { pem })))
    });
    bundles.collect()
}

fn name_of(key: &ObjectKey) -> Name {
    Name::new(key.namespace(), key.name())
}
