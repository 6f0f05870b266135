//! One table of objects per kind, and for each kind what counts as its content.

use std::sync::Arc;

use weft_api::meta::ObjectMeta;
use weft_api::{
    AnyObject, BackendTlsPolicy, ConfigMap, EndpointSlice, Gateway, GatewayClass, GrpcRoute,
    HttpRoute, Kind, ListenerSet, Namespace, Object, ObjectRef, Pod, ReferenceGrant, Secret,
    Service, ServiceAccount, TcpRoute, TlsRoute, UdpRoute, XBackend, XBackendTrafficPolicy, XMesh,
};

use crate::objects::Objects;
use crate::{Change, Store};

/// An object the store keeps.
pub(crate) trait Stored: Object + PartialEq {
    /// Whether translation cannot tell the two apart: everything is equal but the status and
    /// bookkeeping metadata.
    fn same_content(&self, other: &Self) -> bool;
}

/// Metadata a reader of content may look at. Left out: the resource version, which moves with
/// every status write.
fn same_metadata(left: &ObjectMeta, right: &ObjectMeta) -> bool {
    left.labels == right.labels
        && left.annotations == right.annotations
        && left.generation == right.generation
        && left.uid == right.uid
        && left.creation_timestamp == right.creation_timestamp
        && left.deletion_timestamp == right.deletion_timestamp
        && left.owner_references == right.owner_references
}

/// Declares the tables: field and accessor, type, fields that are content, fields that are not.
/// The patterns are exhaustive, so that a new field of a type must be put on one side.
macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $table:ident: $type:ident { $($content:ident),* $(; ignoring $ignored:ident)? },
    )+) => {
        /// The objects of every kind.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Tables {
            $($table: Objects<$type>,)+
        }

        impl Tables {
            /// Adds or replaces an object; returns the one it replaced.
            pub(crate) fn insert(
                &mut self,
                object: AnyObject,
                revision: u64,
            ) -> (Change, Option<AnyObject>) {
                match object {
                    $(AnyObject::$type(object) => {
                        let (change, previous) = self.$table.insert(object, revision);
                        (change, previous.map(AnyObject::from))
                    })+
                }
            }

            /// Removes an object and returns it.
            pub(crate) fn remove(
                &mut self,
                reference: &ObjectRef,
                revision: u64,
            ) -> Option<AnyObject> {
                match reference.kind {
                    $(Kind::$type => {
                        self.$table.remove(&reference.key, revision).map(AnyObject::from)
                    })+
                }
            }

            /// Gives up spare room.
            pub(crate) fn shrink_to_fit(&mut self) {
                $(self.$table.shrink_to_fit();)+
            }

            /// The object of a kind and key.
            pub(crate) fn get(&self, reference: &ObjectRef) -> Option<AnyObject> {
                match reference.kind {
                    $(Kind::$type => {
                        self.$table.at(&reference.key).map(Arc::clone).map(AnyObject::from)
                    })+
                }
            }

            /// Every object, by kind, then by key.
            pub(crate) fn iter(&self) -> impl Iterator<Item = AnyObject> + '_ {
                std::iter::empty()
                    $(.chain(self.$table.iter().map(Arc::clone).map(AnyObject::from)))+
            }

            /// Number of objects.
            pub(crate) fn len(&self) -> usize {
                0 $(+ self.$table.len())+
            }

            /// The revision of the last change to a kind.
            pub(crate) fn revision_of(&self, kind: Kind) -> u64 {
                match kind {
                    $(Kind::$type => self.$table.revision(),)+
                }
            }
        }

        /// Objects by kind.
        impl Store {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $table(&self) -> &Objects<$type> {
                    &self.tables.$table
                }
            )+
        }

        $(
            impl Stored for $type {
                fn same_content(&self, other: &Self) -> bool {
                    let Self { metadata, $($content,)* $($ignored: _)? } = self;
                    same_metadata(metadata, &other.metadata)
                        $(&& *$content == other.$content)*
                }
            }
        )+
    };
}

tables! {
    /// Namespaces, under keys with an empty namespace.
    namespaces: Namespace {},
    /// Services.
    services: Service { spec; ignoring status },
    /// EndpointSlices.
    endpoint_slices: EndpointSlice { address_type, endpoints, ports },
    /// Pods; their status is content, because it holds the addresses.
    pods: Pod { spec, status },
    /// Service accounts.
    service_accounts: ServiceAccount {},
    /// Secrets.
    secrets: Secret { type_, data, string_data },
    /// ConfigMaps.
    config_maps: ConfigMap { data, binary_data },
    /// GatewayClasses, under keys with an empty namespace.
    gateway_classes: GatewayClass { spec; ignoring status },
    /// Gateways.
    gateways: Gateway { spec; ignoring status },
    /// ListenerSets.
    listener_sets: ListenerSet { spec; ignoring status },
    /// HTTPRoutes.
    http_routes: HttpRoute { spec; ignoring status },
    /// GRPCRoutes.
    grpc_routes: GrpcRoute { spec; ignoring status },
    /// TLSRoutes.
    tls_routes: TlsRoute { spec; ignoring status },
    /// TCPRoutes.
    tcp_routes: TcpRoute { spec; ignoring status },
    /// UDPRoutes.
    udp_routes: UdpRoute { spec; ignoring status },
    /// ReferenceGrants.
    reference_grants: ReferenceGrant { spec },
    /// BackendTLSPolicies.
    backend_tls_policies: BackendTlsPolicy { spec; ignoring status },
    /// XMeshes, under keys with an empty namespace.
    meshes: XMesh { spec; ignoring status },
    /// XBackends.
    backends: XBackend { spec; ignoring status },
    /// XBackendTrafficPolicies.
    traffic_policies: XBackendTrafficPolicy { spec; ignoring status },
}
