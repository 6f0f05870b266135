//! Certificates and certification authorities of the store: checked when they change, not before.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use weft_api::{ConfigMap, Object, Secret};
use weft_certs::{CaRoots, check_pair};
use weft_ir::Name;
use weft_store::Store;
use weft_wire::{CaBundle, Certificate};

/// Type of the Secrets that hold a certificate.
const TLS_SECRET: &str = "kubernetes.io/tls";
/// Key of a ConfigMap that holds certification authorities.
const CA_KEY: &str = "ca.crt";

/// Certificates by Secret, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    secrets_revision: u64,
    secrets: BTreeMap<Name, CheckedSecret>,
    config_maps_revision: u64,
    config_maps: BTreeMap<Name, CheckedAuthorities>,
    usable: Arc<weft_wire::Certificates>,
    usable_authorities: Arc<weft_wire::CaBundles>,
}

#[derive(Debug)]
struct CheckedSecret {
    secret: Arc<Secret>,
    result: Result<Arc<Certificate>, String>,
}

#[derive(Debug)]
struct CheckedAuthorities {
    config_map: Arc<ConfigMap>,
    result: Result<Arc<CaBundle>, String>,
}

impl Certificates {
    /// Takes over Secrets and ConfigMaps of the store.
    pub(super) fn update(&mut self, store: &Store) {
        if store.secrets().revision() != self.secrets_revision {
            self.secrets_revision = store.secrets().revision();
            self.update_secrets(store);
        }
        if store.config_maps().revision() != self.config_maps_revision {
            self.config_maps_revision = store.config_maps().revision();
            self.update_authorities(store);
        }
    }

    fn update_secrets(&mut self, store: &Store) {
        let mut old = std::mem::take(&mut self.secrets);
        for secret in store.secrets() {
            if secret.type_.as_deref() != Some(TLS_SECRET) {
                continue;
            }
            let name = Name::new(secret.namespace(), secret.name());
            let known = old.remove(&name);
            let known = known.filter(|known| Arc::ptr_eq(&known.secret, secret));
            let checked = known.or_else(|| {
                // A Secret without one of the keys is judged by translation.
                let (chain, key) = (secret.get("tls.crt")?, secret.get("tls.key")?);
                let certificate = || Certificate {
                    chain_pem: Bytes::copy_from_slice(chain),
                    key_pem: Bytes::copy_from_slice(key),
                };
                let result = match check_pair(chain, key) {
                    Ok(_facts) => Ok(Arc::new(certificate())),
                    Err(error) => Err(error.to_string()),
                };
                let secret = Arc::clone(secret);
                Some(CheckedSecret { secret, result })
            });
            self.secrets.extend(checked.map(|checked| (name, checked)));
        }
        let usable = self.secrets.iter().filter_map(|(name, checked)| {
            let certificate = checked.result.as_ref().ok()?;
            Some((name.clone(), Arc::clone(certificate)))
        });
        let usable: weft_wire::Certificates = usable.collect();
        if usable != *self.usable {
            self.usable = Arc::new(usable);
        }
    }

    fn update_authorities(&mut self, store: &Store) {
        let mut old = std::mem::take(&mut self.config_maps);
        for config_map in store.config_maps() {
            let name = Name::new(config_map.namespace(), config_map.name());
            let known = old.remove(&name);
            let checked = match known {
                Some(known) if Arc::ptr_eq(&known.config_map, config_map) => Some(known),
                known => CheckedAuthorities::new(config_map, known.as_ref()),
            };
            self.config_maps
                .extend(checked.map(|checked| (name, checked)));
        }
        let usable = self.config_maps.iter().filter_map(|(name, checked)| {
            let bundle = checked.result.as_ref().ok()?;
            Some((name.clone(), Arc::clone(bundle)))
        });
        let usable: weft_wire::CaBundles = usable.collect();
        if usable != *self.usable_authorities {
            self.usable_authorities = Arc::new(usable);
        }
    }

    /// Those that can be served.
    pub(super) fn usable(&self) -> &Arc<weft_wire::Certificates> {
        &self.usable
    }

    /// Secrets that cannot, and why.
    pub(super) fn unusable(&self) -> BTreeMap<Name, String> {
        let refused = self.secrets.iter().filter_map(|(name, checked)| {
            let error = checked.result.as_ref().err()?;
            Some((name.clone(), error.clone()))
        });
        refused.collect()
    }

    /// Authorities that backends can be verified by.
    pub(super) fn usable_authorities(&self) -> &Arc<weft_wire::CaBundles> {
        &self.usable_authorities
    }

    /// ConfigMaps whose authorities cannot be trusted, and why.
    pub(super) fn unusable_authorities(&self) -> BTreeMap<Name, String> {
        let refused = self.config_maps.iter().filter_map(|(name, checked)| {
            let error = checked.result.as_ref().err()?;
            Some((name.clone(), error.clone()))
        });
        refused.collect()
    }
}

impl CheckedAuthorities {
    /// `None` without text under the key, which is for translation to judge. A text that is as it was
    /// stays the same, by pointer.
    fn new(config_map: &Arc<ConfigMap>, known: Option<&Self>) -> Option<Self> {
        let pem = std::str::from_utf8(config_map.get(CA_KEY)?).ok()?;
        let known = known.and_then(|known| known.result.as_ref().ok());
        let result = match known.filter(|bundle| bundle.pem == pem) {
            Some(bundle) => Ok(Arc::clone(bundle)),
            None => match CaRoots::from_pem(pem) {
                Ok(_roots) => Ok(Arc::new(CaBundle {
                    pem: pem.to_owned(),
                })),
                Err(error) => Err(error.to_string()),
            },
        };
        let config_map = Arc::clone(config_map);
        Some(Self { config_map, result })
    }
}
