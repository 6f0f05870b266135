//! Everything a proxy runs on, in one value.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weft_ir::{Endpoints, Name, Namespaces, Peers, Tables, Workloads};

/// What goes in at the sender and comes out at the receiver. Cloning costs seven reference counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// Gateways, Services and their routes.
    pub tables: Arc<Tables>,
    /// Endpoints of Service ports.
    pub endpoints: Arc<Endpoints>,
    /// Certificates of listeners, by Secret.
    pub certificates: Arc<Certificates>,
    /// Who may vouch for backends, by ConfigMap.
    pub ca_bundles: Arc<CaBundles>,
    /// Pods, by their nodes. A Gateway's proxies have none, a node's have those of that node.
    pub workloads: Arc<Workloads>,
    /// Members of the mesh that can be reached through the tunnel, by their nodes.
    pub peers: Arc<Peers>,
    /// Namespaces whose pods must not start without the mesh.
    pub namespaces: Arc<Namespaces>,
}

/// Certificates of listeners, by Secret.
pub type Certificates = BTreeMap<Name, Arc<Certificate>>;

/// What a Secret of type `kubernetes.io/tls` holds. This room carries it and reads nothing into it;
/// `Debug` shows neither half.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The chain, in PEM (`tls.crt`).
    #[serde(with = "blob")]
    pub chain_pem: Bytes,
    /// The key, in PEM (`tls.key`).
    #[serde(with = "blob")]
    pub key_pem: Bytes,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// Who may vouch for backends, by ConfigMap.
pub type CaBundles = BTreeMap<Name, Arc<CaBundle>>;

/// The certification authorities of a ConfigMap. This room carries them and reads nothing into them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaBundle {
    /// The certificates, in PEM (`ca.crt`).
    pub pem: String,
}

/// `Bytes` as a byte string.
mod blob {
    use std::fmt;

    use bytes::Bytes;
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Blob;
        impl Visitor<'_> for Blob {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes::from(bytes))
            }
        }
        from.deserialize_byte_buf(Blob)
    }
}
