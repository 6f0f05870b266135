//! Certification authorities that BackendTLSPolicies refer to: checked and parsed when their ConfigMap
//! changes, not before.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use weft_api::{ConfigMap, Object, policy::WellKnownCaCertificates};
use weft_certs::{CaRoots, RootsError};
use weft_forward::Roots;
use weft_ir::Name;
use weft_store::Store;
use weft_translate::UnusableAuthorities;

#[cfg(test)]
mod tests;

/// Authorities by where they come from.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    revisions: (u64, u64),
    checked: HashMap<Name, Checked>,
    /// Looked up once, when the first policy asks for it.
    platform: Option<Result<Arc<CaRoots>, RootsError>>,
    usable: Arc<Roots>,
}

#[derive(Debug)]
struct Checked {
    config_map: Arc<ConfigMap>,
    result: Result<Arc<CaRoots>, RootsError>,
}

impl Authorities {
    /// Takes over the policies and ConfigMaps of the store. What did not change stays the same, by
    /// pointer.
    pub(crate) fn update(&mut self, store: &Store) {
        let (policies, maps) = (store.backend_tls_policies(), store.config_maps());
        let revisions = (policies.revision(), maps.revision());
        if revisions == self.revisions {
            return;
        }
        self.revisions = revisions;
        let mut wanted = BTreeSet::new();
        for policy in policies {
            let validation = &policy.spec.validation;
            let references = validation.ca_certificate_refs.iter();
            wanted.extend(references.map(|it| Name::new(policy.namespace(), it.name.as_str())));
            let known = validation.well_known_ca_certificates.as_ref();
            if known == Some(&WellKnownCaCertificates::System) {
                self.platform
                    .get_or_insert_with(|| CaRoots::system().map(Arc::new));
            }
        }
        let mut old = std::mem::take(&mut self.checked);
        for name in wanted {
            let Some(config_map) = maps.get(&name.namespace, &name.name) else {
                continue;
            };
            let known = old.remove(&name);
            let known = known.filter(|known| Arc::ptr_eq(&known.config_map, config_map));
            let checked = known.or_else(|| Checked::new(config_map));
            self.checked.extend(checked.map(|checked| (name, checked)));
        }
        let config_maps = self.checked.iter().filter_map(|(name, checked)| {
            let roots = checked.result.as_ref().ok()?;
            Some((name.clone(), Arc::clone(roots)))
        });
        let platform = self.platform.as_ref();
        self.usable = Arc::new(Roots {
            config_maps: config_maps.collect(),
            platform: platform.and_then(|it| it.as_ref().ok()).cloned(),
        });
    }

    /// Those that backends can be verified by.
    pub(crate) fn usable(&self) -> Arc<Roots> {
        Arc::clone(&self.usable)
    }

    /// Those that cannot be used, and why.
    pub(crate) fn unusable(&self) -> UnusableAuthorities {
        let refused = self.checked.iter().filter_map(|(name, checked)| {
            let error = checked.result.as_ref().err()?;
            Some((name.clone(), error.to_string()))
        });
        let platform = self.platform.as_ref();
        UnusableAuthorities {
            config_maps: refused.collect(),
            platform: platform
                .and_then(|it| it.as_ref().err())
                .map(ToString::to_string),
        }
    }
}

impl Checked {
    /// `None` without text under `ca.crt`, which is for translation to judge.
    fn new(config_map: &Arc<ConfigMap>) -> Option<Self> {
        let pem = std::str::from_utf8(config_map.get("ca.crt")?).ok()?;
        Some(Self {
            config_map: Arc::clone(config_map),
            result: CaRoots::from_pem(pem).map(Arc::new),
        })
    }
}
