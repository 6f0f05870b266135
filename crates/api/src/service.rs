//! Service and EndpointSlice: the fields Weft reads, nothing else is kept.

use std::net::IpAddr;

use crate::meta::{IntOrString, Labels, ObjectMeta};
use crate::object::kind_struct;
use crate::schema::{open_enum, schema};

#[cfg(test)]
mod tests;

/// Label of an EndpointSlice that names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

kind_struct! {
    /// A Service: an address (frontend) and a set of endpoints (backend).
    pub struct Service { spec: ServiceSpec, status: ServiceStatus }
}

open_enum! {
    /// What a Service offers.
    pub enum ServiceType {
        ClusterIp = "ClusterIP",
        NodePort = "NodePort",
        LoadBalancer = "LoadBalancer",
        ExternalName = "ExternalName",
    }

    /// Transport protocol of a port.
    pub enum Transport {
        Tcp = "TCP",
        Udp = "UDP",
        Sctp = "SCTP",
    }

    /// Address family of a Service.
    pub enum IpFamily {
        V4 = "IPv4",
        V6 = "IPv6",
    }

    /// What the addresses of an EndpointSlice are.
    pub enum EndpointAddressType {
        V4 = "IPv4",
        V6 = "IPv6",
        Fqdn = "FQDN",
    }
}

schema! {
    /// Spec of a Service.
    pub struct ServiceSpec {
        /// What the Service offers; absent means `ClusterIP`.
        #[serde(rename = "type")]
        pub type_: Option<ServiceType>,
        /// First address, or `None` for a headless Service.
        #[serde(rename = "clusterIP")]
        pub cluster_ip: Option<String>,
        /// All addresses, at most one per family.
        #[serde(rename = "clusterIPs")]
        pub cluster_ips: Vec<String>,
        /// Families of the addresses.
        pub ip_families: Vec<IpFamily>,
        /// Ports.
        pub ports: Vec<ServicePort>,
        /// Labels of the Pods behind the Service; empty when somebody else writes the slices.
        pub selector: Labels,
        /// DNS name an `ExternalName` Service stands for.
        pub external_name: Option<String>,
    }

    /// What a cluster says about a Service.
    pub struct ServiceStatus {
        /// Of a `LoadBalancer`.
        pub load_balancer: Option<LoadBalancerStatus>,
    }

    /// The load balancer of a Service.
    pub struct LoadBalancerStatus {
        /// Where it is reached; empty while there is none yet.
        pub ingress: Vec<LoadBalancerIngress>,
    }

    /// One way to reach a load balancer.
    pub struct LoadBalancerIngress {
        /// By address.
        pub ip: Option<String>,
        /// By name.
        pub hostname: Option<String>,
    }

    /// A port of a Service.
    pub struct ServicePort {
        /// Name; absent only when the Service has one port.
        pub name: Option<String>,
        /// Port of the Service.
        pub port: i32,
        /// Port of the Pods, by number or name; absent means `port`.
        pub target_port: Option<IntOrString>,
        /// Transport; absent means TCP.
        pub protocol: Option<Transport>,
        /// Application protocol, for example `kubernetes.io/h2c`.
        pub app_protocol: Option<String>,
        /// Port on every node.
        pub node_port: Option<i32>,
    }

    /// Some of the endpoints of a Service.
    pub struct EndpointSlice {
        /// Metadata; the label `kubernetes.io/service-name` names the Service.
        pub metadata: ObjectMeta,
        /// What the addresses are.
        pub address_type: EndpointAddressType,
        /// Endpoints.
        pub endpoints: Vec<Endpoint>,
        /// Ports all these endpoints have.
        pub ports: Vec<EndpointPort>,
    }

    /// One endpoint, usually a Pod.
    pub struct Endpoint {
        /// Addresses; consumers use the first.
        pub addresses: Vec<String>,
        /// Whether it can be used.
        pub conditions: EndpointConditions,
        /// Host name within the Service's DNS domain.
        pub hostname: Option<String>,
        /// Node it runs on.
        pub node_name: Option<String>,
        /// Zone it runs in.
        pub zone: Option<String>,
        /// The object it stands for.
        pub target_ref: Option<Box<TargetRef>>,
    }

    /// State of an endpoint. Absent values have the meaning the EndpointSlice API gives them; use
    /// the accessors.
    pub struct EndpointConditions {
        /// Ready for new traffic.
        pub ready: Option<bool>,
        /// Able to serve, terminating or not.
        pub serving: Option<bool>,
        /// On its way out.
        pub terminating: Option<bool>,
    }

    /// The object behind an endpoint.
    pub struct TargetRef {
        /// Kind, usually `Pod`.
        pub kind: Option<String>,
        /// Namespace.
        pub namespace: Option<String>,
        /// Name.
        pub name: Option<String>,
    }

    /// A port of all endpoints of a slice.
    pub struct EndpointPort {
        /// Name of the Service port it belongs to; absent or empty for an unnamed one.
        pub name: Option<String>,
        /// Number; absent means all ports.
        pub port: Option<i32>,
        /// Transport; absent means TCP.
        pub protocol: Option<Transport>,
        /// Application protocol.
        pub app_protocol: Option<String>,
    }
}

impl ServiceSpec {
    /// The type with its default applied.
    #[must_use]
    pub fn type_(&self) -> &ServiceType {
        self.type_.as_ref().unwrap_or(&ServiceType::ClusterIp)
    }

    /// Whether the Service was asked to have no address (`clusterIP: None`).
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.written_addresses().any(|text| text == "None")
    }

    /// The addresses clients dial, first family first, without repeats; none for headless and
    /// `ExternalName` Services and for those the API server has not given one yet.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let first = self
            .cluster_ip
            .as_deref()
            .and_then(|text| text.parse::<IpAddr>().ok());
        let others = self
            .cluster_ips
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok());
        let dialled = *self.type_() != ServiceType::ExternalName;
        first
            .into_iter()
            .chain(others.filter(move |address| Some(*address) != first))
            .filter(move |_| dialled)
    }

    fn written_addresses(&self) -> impl Iterator<Item = &str> {
        self.cluster_ip
            .as_deref()
            .into_iter()
            .chain(self.cluster_ips.iter().map(String::as_str))
    }
}

impl ServicePort {
    /// The transport with its default applied.
    #[must_use]
    pub fn protocol(&self) -> &Transport {
        self.protocol.as_ref().unwrap_or(&Transport::Tcp)
    }
}

impl EndpointPort {
    /// The transport with its default applied.
    #[must_use]
    pub fn protocol(&self) -> &Transport {
        self.protocol.as_ref().unwrap_or(&Transport::Tcp)
    }
}

impl EndpointConditions {
    /// Ready for new traffic; an absent value means ready (EndpointSlice API).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.unwrap_or(true)
    }

    /// Able to serve; an absent value means the same as `ready`.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.serving.unwrap_or_else(|| self.is_ready())
    }

    /// On its way out; an absent value means no.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.terminating.unwrap_or(false)
    }
}
