//! What makes endpoints and their connections one cluster, and what securing them takes.

use std::{collections::HashMap, sync::Arc};

use weft_certs::{CaRoots, ServerCert};
use weft_ir::{Authorities, BackendTls, Name, ServicePort, SubjectAltName};
use weft_telemetry::metrics::TlsMetrics;

use super::Configuration;
use crate::upstream::{Connectors, Transport};

/// Who may vouch for backends, apart from tables, which name them.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// The authorities under `ca.crt` of ConfigMaps. Shared as long as they are the same.
    pub config_maps: HashMap<Name, Arc<CaRoots>>,
    /// The authorities of the platform, where a backend asks for them.
    pub platform: Option<Arc<CaRoots>>,
}

/// Names a cluster: one load, health and set of connections. A Service port has one in plaintext, or
/// one for each way of securing it, so that connections of different settings are never mixed, nor
/// health told by one set of them held against another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClusterKey {
    pub(super) port: ServicePort,
    pub(super) tls: Option<TlsKey>,
}

/// TLS, and who we are in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TlsKey {
    settings: Arc<BackendTls>,
    /// Secret with the certificate that is shown.
    client_certificate: Option<Name>,
}

impl ClusterKey {
    pub(super) fn new(
        port: &ServicePort,
        tls: Option<&Arc<BackendTls>>,
        client_certificate: Option<&Name>,
    ) -> Self {
        let tls = tls.map(|settings| TlsKey {
            settings: Arc::clone(settings),
            client_certificate: client_certificate.cloned(),
        });
        Self {
            port: port.clone(),
            tls,
        }
    }
}

/// The certificates that a way of securing connections takes, as they are now.
#[derive(Debug, Default)]
pub(super) struct Material {
    roots: Vec<Arc<CaRoots>>,
    certificate: Option<ServerCert>,
    /// Something that is named is not there.
    is_lacking: bool,
}

impl Material {
    /// What the configuration has of it.
    pub(super) fn of(key: &TlsKey, configuration: &Configuration) -> Self {
        let Configuration {
            certificates,
            roots,
            ..
        } = configuration;
        let found: Vec<Option<&Arc<CaRoots>>> = match &key.settings.authorities {
            Authorities::System => vec![roots.platform.as_ref()],
            Authorities::ConfigMaps(names) => names
                .iter()
                .map(|name| roots.config_maps.get(name))
                .collect(),
        };
        let named = key.client_certificate.as_ref();
        let certificate = named.and_then(|name| certificates.get(name)).cloned();
        Self {
            is_lacking: found.iter().any(Option::is_none)
                || named.is_some() != certificate.is_some(),
            roots: found.into_iter().flatten().cloned().collect(),
            certificate,
        }
    }

    /// Whether it is the very same.
    pub(super) fn is(&self, other: &Self) -> bool {
        let (one, two) = (self.roots.iter(), other.roots.iter());
        let same_certificate = match (&self.certificate, &other.certificate) {
            (None, None) => true,
            // Copies of a certificate share its facts.
            (Some(one), Some(two)) => std::ptr::eq(one.info(), two.info()),
            _ => false,
        };
        self.is_lacking == other.is_lacking
            && self.roots.len() == other.roots.len()
            && one.zip(two).all(|(one, two)| Arc::ptr_eq(one, two))
            && same_certificate
    }

    /// How to connect with it.
    pub(super) fn transport(&self, key: &TlsKey, metrics: Arc<TlsMetrics>) -> Transport {
        let policy = &key.settings.policy;
        if self.is_lacking {
            tracing::warn!(%policy, "certificates of a BackendTLSPolicy are missing; its requests are refused");
            return Transport::Unusable;
        }
        let names = key.settings.subject_alt_names.iter();
        let settings = weft_certs::BackendTls {
            server_name: key.settings.hostname.to_string(),
            roots: match self.roots.as_slice() {
                [one] => CaRoots::clone(one),
                several => CaRoots::union(several.iter().map(AsRef::as_ref)),
            },
            subject_alt_names: names.map(alt_name).collect(),
            client_cert: self.certificate.clone(),
            alpn: Vec::new(),
        };
        match Connectors::new(settings, metrics) {
            Ok(connectors) => Transport::Tls(Arc::new(connectors)),
            Err(error) => {
                tracing::error!(%policy, %error, "a BackendTLSPolicy cannot be honoured; its requests are refused");
                Transport::Unusable
            }
        }
    }
}

fn alt_name(name: &SubjectAltName) -> weft_certs::SubjectAltName {
    match name {
        SubjectAltName::Hostname(host) => weft_certs::SubjectAltName::Hostname(host.to_string()),
        SubjectAltName::Uri(uri) => weft_certs::SubjectAltName::Uri(uri.to_string()),
    }
}
