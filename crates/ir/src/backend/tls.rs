//! TLS towards the endpoints of a backend, as a BackendTLSPolicy asks for it.
//!
//! Settings only: certificates stand here by the name of what holds them, and keys not at all.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Name;

/// How to speak TLS with endpoints (`BackendTLSPolicyValidation`). Connections of different settings
/// are never shared. Where these stand, plaintext is no substitute: a data path that cannot honour
/// them answers 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTls {
    /// The policy.
    pub policy: Name,
    /// The server name that is sent (RFC 6066), and the one to be proved unless there are
    /// `subject_alt_names`.
    pub hostname: Arc<str>,
    /// Who may vouch for the backend.
    pub authorities: Authorities,
    /// When not empty, the certificate has to have one of these, and the hostname counts for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// Certification authorities.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Authorities {
    /// Those of the platform that connects (`wellKnownCACertificates: System`).
    System,
    /// Those under `ca.crt` of these ConfigMaps together; never empty.
    ConfigMaps(Vec<Name>),
}

/// A name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectAltName {
    /// A DNS name, `*.` allowed in front.
    Hostname(Arc<str>),
    /// A URI, for example a SPIFFE ID; compared byte by byte.
    Uri(Arc<str>),
}

impl BackendTls {
    /// The ConfigMaps that hold the authorities.
    pub fn config_maps(&self) -> &[Name] {
        match &self.authorities {
            Authorities::System => &[],
            Authorities::ConfigMaps(names) => names,
        }
    }
}

/// `TLS as web.example, authorities of ConfigMap shop/ca, for spiffe://a/b (BackendTLSPolicy shop/p)`.
impl fmt::Display for BackendTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS as {}, authorities of ", self.hostname)?;
        match &self.authorities {
            Authorities::System => f.write_str("the platform")?,
            Authorities::ConfigMaps(names) => {
                for (at, name) in names.iter().enumerate() {
                    let separator = if at == 0 { "" } else { " and " };
                    write!(f, "{separator}ConfigMap {name}")?;
                }
            }
        }
        for (at, name) in self.subject_alt_names.iter().enumerate() {
            let separator = if at == 0 { ", for" } else { " or" };
            let (SubjectAltName::Hostname(name) | SubjectAltName::Uri(name)) = name;
            write!(f, "{separator} {name}")?;
        }
        write!(f, " (BackendTLSPolicy {})", self.policy)
    }
}
