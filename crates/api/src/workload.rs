//! Namespace, Pod and ServiceAccount: the fields Weft reads, nothing else is kept.

use std::net::IpAddr;

use crate::meta::ObjectMeta;
use crate::object::kind_struct;
use crate::schema::{open_enum, schema};
use crate::service::Transport;

kind_struct! {
    /// A Pod.
    pub struct Pod { spec: PodSpec, status: PodStatus }
}

open_enum! {
    /// Where a Pod is in its life.
    pub enum PodPhase {
        Pending = "Pending",
        Running = "Running",
        Succeeded = "Succeeded",
        Failed = "Failed",
    }
}

schema! {
    /// A namespace, of which only the labels matter. Cluster-scoped.
    pub struct Namespace {
        /// Metadata.
        pub metadata: ObjectMeta,
    }

    /// A service account, which matters as part of an identity.
    pub struct ServiceAccount {
        /// Metadata.
        pub metadata: ObjectMeta,
    }

    /// Spec of a Pod.
    pub struct PodSpec {
        /// Service account; absent means `default`.
        pub service_account_name: Option<String>,
        /// Node it runs on, once scheduled.
        pub node_name: Option<String>,
        /// Whether it shares the node's network.
        pub host_network: Option<bool>,
        /// Containers.
        pub containers: Vec<Container>,
    }

    /// A container of a Pod.
    pub struct Container {
        /// Name.
        pub name: String,
        /// Declared ports.
        pub ports: Vec<ContainerPort>,
    }

    /// A declared port of a container.
    pub struct ContainerPort {
        /// Name, which a Service's target port may use.
        pub name: Option<String>,
        /// Number.
        pub container_port: i32,
        /// Transport; absent means TCP.
        pub protocol: Option<Transport>,
    }

    /// Status of a Pod.
    pub struct PodStatus {
        /// Where it is in its life.
        pub phase: Option<PodPhase>,
        /// First address.
        #[serde(rename = "podIP")]
        pub pod_ip: Option<String>,
        /// All addresses, at most one per family.
        #[serde(rename = "podIPs")]
        pub pod_ips: Vec<PodIp>,
    }

    /// An address of a Pod.
    pub struct PodIp {
        /// The address.
        pub ip: String,
    }
}

impl PodSpec {
    /// The service account with its default applied.
    #[must_use]
    pub fn service_account_name(&self) -> &str {
        match self.service_account_name.as_deref() {
            None | Some("") => "default",
            Some(name) => name,
        }
    }
}

impl PodStatus {
    /// The Pod's addresses, first family first, without repeats.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let first = self
            .pod_ip
            .as_deref()
            .and_then(|text| text.parse::<IpAddr>().ok());
        let others = self
            .pod_ips
            .iter()
            .filter_map(|entry| entry.ip.parse::<IpAddr>().ok());
        first
            .into_iter()
            .chain(others.filter(move |address| Some(*address) != first))
    }
}
