//! Namespace, Pod and ServiceAccount: the fields Weft reads, nothing else is kept.

use std::net::IpAddr;

use crate::meta::{IntOrString, ObjectMeta};
use crate::object::{Object, kind_struct};
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
        /// Containers that run before these, or beside them (`restartPolicy: Always`).
        pub init_containers: Vec<Container>,
    }

    /// A container of a Pod.
    pub struct Container {
        /// Name.
        pub name: String,
        /// Declared ports.
        pub ports: Vec<ContainerPort>,
        /// Asked by the node until the container has started.
        pub startup_probe: Option<Box<Handler>>,
        /// Asked by the node whether the container takes requests.
        pub readiness_probe: Option<Box<Handler>>,
        /// Asked by the node whether the container lives.
        pub liveness_probe: Option<Box<Handler>>,
        /// What the node does when the container has started and before it ends.
        pub lifecycle: Option<Box<Lifecycle>>,
    }

    /// Hooks of a container.
    pub struct Lifecycle {
        /// Once it has started.
        pub post_start: Option<Handler>,
        /// Before it is ended.
        pub pre_stop: Option<Handler>,
    }

    /// How the node asks a container something, as far as that is a connection: of probes and hooks
    /// only where they lead is kept. What runs a command has none of these.
    pub struct Handler {
        /// An HTTP request.
        pub http_get: Option<HandlerTarget>,
        /// A connection.
        pub tcp_socket: Option<HandlerTarget>,
        /// A gRPC health check.
        pub grpc: Option<HandlerTarget>,
    }

    /// Where a probe or hook leads.
    pub struct HandlerTarget {
        /// Number, or name of a port of the container.
        pub port: Option<IntOrString>,
        /// Host instead of the address of the Pod.
        pub host: Option<String>,
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

/// Label of Namespaces and Pods: `enabled` or `disabled`; that of a Pod overrides that of its
/// Namespace. The only thing that enrols.
pub const MESH: &str = "weft.dev/mesh";
/// Label of Namespaces: `strict` (the default) or `permissive`, which takes plaintext from strangers.
pub const POLICY: &str = "weft.dev/policy";
/// Annotation of Pods and Namespaces: ports, separated by commas, whose incoming connections are not
/// captured.
pub const EXCLUDE_INBOUND_PORTS: &str = "weft.dev/exclude-inbound-ports";
/// Annotation of Pods and Namespaces: ports to which connections are not captured.
pub const EXCLUDE_OUTBOUND_PORTS: &str = "weft.dev/exclude-outbound-ports";
/// Annotation of Pods and Namespaces: networks (CIDR), separated by commas, to which connections are
/// not captured.
pub const EXCLUDE_OUTBOUND_CIDRS: &str = "weft.dev/exclude-outbound-cidrs";
/// Annotation of Pods and Namespaces: ports of the Pod whose bytes are never parsed.
pub const OPAQUE_PORTS: &str = "weft.dev/opaque-ports";
/// Annotation of Pods: how long connections may take to end when the Pod leaves, in seconds.
pub const DRAIN_SECONDS: &str = "weft.dev/drain-seconds";
/// Annotation of Pods that Weft writes: `true` once it has taken over the network of the Pod, `pending`
/// or `error` before; absent where it has nothing to do with it.
pub const CAPTURED: &str = "weft.dev/captured";
/// Annotation of Pods that Weft writes: why it is not captured, for people.
pub const CAPTURED_REASON: &str = "weft.dev/captured-reason";
/// Annotation of Pods that Weft writes: the addresses with which the network of the Pod was taken over,
/// separated by commas. Its node knows them before its kubelet tells them.
pub const CAPTURED_ADDRESSES: &str = "weft.dev/captured-addresses";

impl Pod {
    /// Whether it has ended for good: its address may be another's, and no container runs again.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(
            self.status.phase,
            Some(PodPhase::Succeeded | PodPhase::Failed)
        )
    }

    /// Its addresses as its kubelet tells them; before it does, as its node has found them when it took
    /// over its network.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let told: Vec<_> = self.status.addresses().collect();
        if !told.is_empty() {
            return told;
        }
        let found = self.annotation(CAPTURED_ADDRESSES).unwrap_or_default();
        found.split(',').filter_map(|it| it.parse().ok()).collect()
    }

    /// Whether it shares the network of its node.
    #[must_use]
    pub fn is_on_host_network(&self) -> bool {
        self.spec.host_network == Some(true)
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

impl Container {
    /// The ports of the Pod that the node connects to itself, by probes and by hooks. What leads to
    /// another host, or to a name that no port of the container has, is left out.
    pub fn asked_ports(&self) -> impl Iterator<Item = u16> + '_ {
        let probes = [
            &self.startup_probe,
            &self.readiness_probe,
            &self.liveness_probe,
        ];
        let probes = probes.into_iter().flatten().map(AsRef::as_ref);
        let hooks = self.lifecycle.iter();
        let hooks = hooks.flat_map(|it| [&it.post_start, &it.pre_stop]);
        let handlers = probes.chain(hooks.flatten());
        let targets = handlers.flat_map(|it| [&it.http_get, &it.tcp_socket, &it.grpc]);
        targets.flatten().filter_map(|target| self.port_of(target))
    }

    fn port_of(&self, target: &HandlerTarget) -> Option<u16> {
        if target.host.as_deref().is_some_and(|host| !host.is_empty()) {
            return None;
        }
        let number = match target.port.as_ref()? {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => {
                let is_it = |port: &&ContainerPort| port.name.as_deref() == Some(name.as_str());
                self.ports.iter().find(is_it)?.container_port
            }
        };
        u16::try_from(number).ok().filter(|port| *port != 0)
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
