//! The closed list of kinds Weft reads, the trait they share, and the enum that holds any of them.

#[cfg(test)]
mod examples;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

pub use parse::ParseError;

use crate::config::{ConfigMap, Secret};
use crate::gateway::{Gateway, GatewayClass, ListenerSet};
use crate::key::{ObjectKey, ObjectRef};
use crate::mesh::{XBackend, XMesh};
use crate::meta::{ObjectMeta, Time};
use crate::policy::{BackendTlsPolicy, ReferenceGrant, XBackendTrafficPolicy};
use crate::route::{GrpcRoute, HttpRoute, TcpRoute, TlsRoute, UdpRoute};
use crate::service::{EndpointSlice, Service};
use crate::workload::{Namespace, Pod, ServiceAccount};
use crate::{DISCOVERY_GROUP, EXPERIMENTAL_GROUP, GATEWAY_GROUP};

/// An object of a known kind.
pub trait Object: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync {
    /// The kind, which knows group, versions and names.
    const KIND: Kind;

    /// The metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// The metadata, to change it.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;

    /// Namespace and name, shared with the metadata.
    fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey::new(
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        )
    }

    /// The namespace; empty for a cluster-scoped object.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// The name.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str> {
        self.metadata().labels.get(key)
    }

    /// The value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata().annotations.get(key)
    }

    /// The generation of the spec; absent outside a cluster.
    fn generation(&self) -> Option<i64> {
        self.metadata().generation
    }

    /// When the object was created, with a resolution of one second; absent outside a cluster.
    fn created(&self) -> Option<&Time> {
        self.metadata().creation_timestamp.as_ref()
    }
}

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One name space per namespace.
    Namespaced,
    /// One name space for the cluster.
    Cluster,
}

/// Declares the structs of kinds that have a spec and perhaps a status.
macro_rules! kind_struct {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { spec: $spec:ty $(, status: $status:ty)? }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            /// Metadata.
            pub metadata: crate::meta::ObjectMeta,
            /// What is asked for.
            pub spec: $spec,
            $(
                /// What controllers say about it, as last read.
                #[serde(skip_serializing_if = "crate::object::is_default")]
                pub status: $status,
            )?
        }
    )+};
}

pub(crate) use kind_struct;

/// Whether a value is the default of its type, which a status is before anybody wrote it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares `Kind`, `AnyObject` and the `Object` implementations from one table: type, name,
/// plural, group, scope, versions read (the one to write first).
macro_rules! kinds {
    ($($type:ident: $name:literal, $plural:literal, $group:expr, $scope:ident, [$($version:literal),+];)+) => {
        /// Every kind Weft reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("[`", stringify!($type), "`].")] $type,)+
        }

        impl Kind {
            /// All kinds, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$type),+];

            /// The name in objects, for example `HTTPRoute`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$type => $name,)+ }
            }

            /// The name in URLs and CRD names, for example `httproutes`.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$type => $plural,)+ }
            }

            /// The API group; empty for the core group.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$type => $group,)+ }
            }

            /// The versions that can be read, all with one schema; the first is written.
            #[must_use]
            pub const fn versions(self) -> &'static [&'static str] {
                match self { $(Self::$type => &[$($version),+],)+ }
            }

            /// Whether objects live in a namespace.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$type => Scope::$scope,)+ }
            }
        }

        /// Any object Weft reads. Cheap to clone.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyObject {
            $(#[doc = concat!("A [`", stringify!($type), "`](struct@", stringify!($type), ").")]
            $type(Arc<$type>),)+
        }

        impl AnyObject {
            /// The kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$type(_) => Kind::$type,)+ }
            }

            /// The metadata.
            #[must_use]
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Self::$type(object) => &object.metadata,)+ }
            }

            /// Namespace and name.
            #[must_use]
            pub fn key(&self) -> ObjectKey {
                match self { $(Self::$type(object) => object.key(),)+ }
            }

            fn value(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$type(object) => serde_json::to_value(object.as_ref()),)+ }
            }

            fn decode(kind: Kind, value: Value) -> Result<Self, parse::DecodeError> {
                match kind {
                    $(Kind::$type => parse::decode::<$type>(value).map(Self::from),)+
                }
            }
        }

        $(
            impl Object for $type {
                const KIND: Kind = Kind::$type;

                fn metadata(&self) -> &ObjectMeta {
                    &self.metadata
                }

                fn metadata_mut(&mut self) -> &mut ObjectMeta {
                    &mut self.metadata
                }
            }

            impl From<$type> for AnyObject {
                fn from(object: $type) -> Self {
                    Self::$type(Arc::new(object))
                }
            }

            impl From<Arc<$type>> for AnyObject {
                fn from(object: Arc<$type>) -> Self {
                    Self::$type(object)
                }
            }
        )+
    };
}

kinds! {
    Namespace: "Namespace", "namespaces", "", Cluster, ["v1"];
    Service: "Service", "services", "", Namespaced, ["v1"];
    EndpointSlice: "EndpointSlice", "endpointslices", DISCOVERY_GROUP, Namespaced, ["v1"];
    Pod: "Pod", "pods", "", Namespaced, ["v1"];
    ServiceAccount: "ServiceAccount", "serviceaccounts", "", Namespaced, ["v1"];
    Secret: "Secret", "secrets", "", Namespaced, ["v1"];
    ConfigMap: "ConfigMap", "configmaps", "", Namespaced, ["v1"];
    GatewayClass: "GatewayClass", "gatewayclasses", GATEWAY_GROUP, Cluster, ["v1", "v1beta1"];
    Gateway: "Gateway", "gateways", GATEWAY_GROUP, Namespaced, ["v1", "v1beta1"];
    ListenerSet: "ListenerSet", "listenersets", GATEWAY_GROUP, Namespaced, ["v1"];
    HttpRoute: "HTTPRoute", "httproutes", GATEWAY_GROUP, Namespaced, ["v1", "v1beta1"];
    GrpcRoute: "GRPCRoute", "grpcroutes", GATEWAY_GROUP, Namespaced, ["v1"];
    TlsRoute: "TLSRoute", "tlsroutes", GATEWAY_GROUP, Namespaced, ["v1", "v1alpha3", "v1alpha2"];
    TcpRoute: "TCPRoute", "tcproutes", GATEWAY_GROUP, Namespaced, ["v1", "v1alpha2"];
    UdpRoute: "UDPRoute", "udproutes", GATEWAY_GROUP, Namespaced, ["v1", "v1alpha2"];
    ReferenceGrant: "ReferenceGrant", "referencegrants", GATEWAY_GROUP, Namespaced, ["v1", "v1beta1"];
    BackendTlsPolicy: "BackendTLSPolicy", "backendtlspolicies", GATEWAY_GROUP, Namespaced, ["v1", "v1alpha3"];
    XMesh: "XMesh", "xmeshes", EXPERIMENTAL_GROUP, Cluster, ["v1alpha1"];
    XBackend: "XBackend", "xbackends", EXPERIMENTAL_GROUP, Namespaced, ["v1alpha1"];
    XBackendTrafficPolicy: "XBackendTrafficPolicy", "xbackendtrafficpolicies", EXPERIMENTAL_GROUP, Namespaced, ["v1alpha1"];
}

// === impl Kind ===

impl Kind {
    /// The kind of a group and a name, if Weft reads it.
    #[must_use]
    pub fn find(group: &str, name: &str) -> Option<Self> {
        let same = |kind: &Self| kind.group() == group && kind.as_str() == name;
        Self::ALL.iter().copied().find(same)
    }

    /// `apiVersion` of objects Weft writes, for example `gateway.networking.k8s.io/v1`.
    #[must_use]
    pub fn api_version(self) -> String {
        let version = self.versions().first().copied().unwrap_or_default();
        match self.group() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl AnyObject ===

impl AnyObject {
    /// Kind and key.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new(self.kind(), self.key())
    }

    /// The object as JSON, with `apiVersion` and `kind`.
    ///
    /// # Errors
    ///
    /// When a value cannot be written, for example a time before the year 0.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        let mut value = self.value()?;
        if let Value::Object(fields) = &mut value {
            fields.insert("apiVersion".to_owned(), self.kind().api_version().into());
            fields.insert("kind".to_owned(), self.kind().as_str().into());
        }
        Ok(value)
    }
}

impl Serialize for AnyObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value()
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}
