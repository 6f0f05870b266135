//! Certificates of the Secrets: checked and parsed when the Secret changes, not before.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use weft_api::{Object, Secret};
use weft_certs::{CertError, ServerCert};
use weft_ir::Name;
use weft_store::Store;

/// Type of the Secrets that hold a certificate.
const TLS_SECRET: &str = "kubernetes.io/tls";

/// Server certificates by Secret.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    revision: u64,
    checked: HashMap<Name, Checked>,
    usable: Arc<HashMap<Name, ServerCert>>,
}

#[derive(Debug)]
struct Checked {
    secret: Arc<Secret>,
    result: Result<ServerCert, CertError>,
}

impl Certificates {
    /// Takes over the Secrets of the store.
    pub(crate) fn update(&mut self, store: &Store) {
        let secrets = store.secrets();
        if secrets.revision() == self.revision {
            return;
        }
        self.revision = secrets.revision();
        let mut old = std::mem::take(&mut self.checked);
        for secret in secrets {
            if secret.type_.as_deref() != Some(TLS_SECRET) {
                continue;
            }
            let key = secret.key();
            let name = Name::new(key.namespace(), key.name());
            let known = old.remove(&name);
            let known = known.filter(|known| Arc::ptr_eq(&known.secret, secret));
            let checked = known.or_else(|| {
                // A Secret without one of the keys is judged by translation.
                let (cert, key) = (secret.get("tls.crt")?, secret.get("tls.key")?);
                Some(Checked {
                    secret: Arc::clone(secret),
                    result: ServerCert::from_pem(cert, key),
                })
            });
            self.checked.extend(checked.map(|checked| (name, checked)));
        }
        let usable = self.checked.iter().filter_map(|(name, checked)| {
            let cert = checked.result.as_ref().ok()?;
            Some((name.clone(), cert.clone()))
        });
        self.usable = Arc::new(usable.collect());
    }

    /// Those that can be served.
    pub(crate) fn usable(&self) -> Arc<HashMap<Name, ServerCert>> {
        Arc::clone(&self.usable)
    }

    /// Those that cannot, and why.
    pub(crate) fn unusable(&self) -> BTreeMap<Name, String> {
        let refused = self.checked.iter().filter_map(|(name, checked)| {
            let error = checked.result.as_ref().err()?;
            Some((name.clone(), error.to_string()))
        });
        refused.collect()
    }
}
