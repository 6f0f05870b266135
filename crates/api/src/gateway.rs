//! GatewayClass, Gateway and ListenerSet.

use std::collections::BTreeMap;

use crate::conditions::Condition;
use crate::meta::LabelSelector;
use crate::object::kind_struct;
use crate::reference::{
    ObjectReference, ParentReference, PortNumber, RouteGroupKind, SecretReference,
};
use crate::route::DefaultScope;
use crate::schema::{Omit, open_enum, schema};

kind_struct! {
    /// A class of Gateways served by one controller. Cluster-scoped.
    pub struct GatewayClass { spec: ClassSpec, status: ClassStatus }

    /// Listeners on addresses, to which routes attach.
    pub struct Gateway { spec: GatewaySpec, status: GatewayStatus }

    /// Further listeners for a Gateway, owned by somebody else (GEP-1713).
    pub struct ListenerSet { spec: ListenerSetSpec, status: ListenerSetStatus }
}

open_enum! {
    /// What a listener receives.
    pub enum ProtocolType {
        Http = "HTTP",
        Https = "HTTPS",
        Tls = "TLS",
        Tcp = "TCP",
        Udp = "UDP",
    }

    /// Who ends TLS.
    pub enum TlsMode {
        Terminate = "Terminate",
        Passthrough = "Passthrough",
    }

    /// What happens to clients whose certificate does not verify.
    pub enum FrontendValidationMode {
        AllowValidOnly = "AllowValidOnly",
        AllowInsecureFallback = "AllowInsecureFallback",
    }

    /// The namespaces routes or listener sets may come from.
    pub enum FromNamespaces {
        All = "All",
        Selector = "Selector",
        Same = "Same",
        None = "None",
    }

    /// What an address of a Gateway is.
    pub enum AddressType {
        IpAddress = "IPAddress",
        Hostname = "Hostname",
        NamedAddress = "NamedAddress",
    }
}

schema! {
    /// Spec of GatewayClass and of XMesh: the controller that serves it.
    pub struct ClassSpec {
        /// Domain-prefixed name of the controller.
        pub controller_name: String,
        /// Settings of the controller.
        pub parameters_ref: Option<ObjectReference>,
        /// For humans.
        pub description: Option<String>,
    }

    /// Status of GatewayClass and of XMesh.
    pub struct ClassStatus {
        /// Verdicts.
        pub conditions: Vec<Condition>,
        /// Features the controller implements, sorted by name.
        pub supported_features: Vec<SupportedFeature>,
    }

    /// A feature by its name in the conformance suite.
    pub struct SupportedFeature {
        /// Name, for example `HTTPRouteRequestMirror`.
        pub name: String,
    }

    /// Spec of a Gateway.
    pub struct GatewaySpec {
        /// Name of the GatewayClass.
        pub gateway_class_name: String,
        /// Listeners; may be empty when a ListenerSet brings them.
        pub listeners: Vec<Listener>,
        /// Addresses asked for.
        pub addresses: Vec<GatewayAddress>,
        /// What generated objects get (GEP-1762).
        pub infrastructure: Option<Box<GatewayInfrastructure>>,
        /// Who may add listeners; absent means nobody.
        pub allowed_listeners: Option<AllowedListeners>,
        /// TLS towards backends and clients.
        pub tls: Option<Box<GatewayTls>>,
        /// Routes that attach without naming the Gateway (experimental, GEP-3793).
        pub default_scope: Option<DefaultScope>,
    }

    /// A port that is listened on, in a Gateway or a ListenerSet.
    pub struct Listener {
        /// Name, unique in its object.
        pub name: String,
        /// Host names served, `*.` allowed in front; absent means all.
        pub hostname: Option<String>,
        /// Port.
        pub port: PortNumber,
        /// Protocol.
        pub protocol: ProtocolType,
        /// TLS settings of HTTPS and TLS listeners.
        pub tls: Option<ListenerTls>,
        /// Which routes may attach; absent means routes of the same namespace.
        pub allowed_routes: Option<AllowedRoutes>,
    }

    /// TLS settings of a listener.
    pub struct ListenerTls {
        /// Who ends TLS; absent means `Terminate`.
        pub mode: Option<TlsMode>,
        /// Server certificates.
        pub certificate_refs: Vec<SecretReference>,
        /// Implementation-specific settings.
        pub options: BTreeMap<String, String>,
    }

    /// Routes a listener accepts.
    pub struct AllowedRoutes {
        /// Namespaces routes may come from; absent means `Same`.
        pub namespaces: Option<NamespaceFilter>,
        /// Kinds of routes; empty means those of the listener's protocol.
        pub kinds: Vec<RouteGroupKind>,
    }

    /// Listener sets a Gateway accepts.
    pub struct AllowedListeners {
        /// Namespaces listener sets may come from; absent means `None`.
        pub namespaces: Option<NamespaceFilter>,
    }

    /// A choice of namespaces.
    pub struct NamespaceFilter {
        /// How namespaces are chosen; the default depends on the place.
        pub from: Option<FromNamespaces>,
        /// Labels a namespace must have, for `Selector`.
        pub selector: Option<Box<LabelSelector>>,
    }

    /// An address asked for in a spec or reported in a status.
    pub struct GatewayAddress {
        /// Type of address; absent means `IPAddress`.
        #[serde(rename = "type")]
        pub type_: Option<AddressType>,
        /// The address; absent in a spec means any address of the type.
        pub value: Option<String>,
    }

    /// What objects generated for a Gateway get.
    pub struct GatewayInfrastructure {
        /// Labels of every generated object.
        pub labels: BTreeMap<String, String>,
        /// Annotations of every generated object.
        pub annotations: BTreeMap<String, String>,
        /// Settings of the deployer.
        pub parameters_ref: Option<ObjectReference>,
    }

    /// TLS towards backends and clients.
    pub struct GatewayTls {
        /// Towards backends.
        pub backend: Option<GatewayBackendTls>,
        /// Towards clients.
        pub frontend: Option<FrontendTls>,
    }

    /// How a Gateway identifies itself to backends.
    pub struct GatewayBackendTls {
        /// Client certificate of the Gateway.
        pub client_certificate_ref: Option<SecretReference>,
    }

    /// How clients are verified (GEP-91).
    pub struct FrontendTls {
        /// For every HTTPS port not listed below.
        pub default: FrontendTlsConfig,
        /// By port.
        pub per_port: Vec<FrontendTlsPort>,
    }

    /// How clients of some port are verified.
    pub struct FrontendTlsConfig {
        /// Verification; absent means clients need no certificate.
        pub validation: Option<FrontendValidation>,
    }

    /// How clients of one port are verified.
    pub struct FrontendTlsPort {
        /// Port of HTTPS listeners.
        pub port: PortNumber,
        /// Settings of that port.
        pub tls: FrontendTlsConfig,
    }

    /// Verification of client certificates.
    pub struct FrontendValidation {
        /// ConfigMaps or Secrets with `ca.crt`.
        pub ca_certificate_refs: Vec<ObjectReference>,
        /// What happens to clients that do not verify; absent means `AllowValidOnly`.
        pub mode: Option<FrontendValidationMode>,
    }

    /// Status of a Gateway.
    pub struct GatewayStatus {
        /// Addresses in use.
        pub addresses: Vec<GatewayAddress>,
        /// Verdicts.
        pub conditions: Vec<Condition>,
        /// One entry per listener of the Gateway itself.
        pub listeners: Vec<ListenerStatus>,
        /// Number of accepted ListenerSets.
        pub attached_listener_sets: Option<i32>,
    }

    /// Spec of a ListenerSet.
    pub struct ListenerSetSpec {
        /// The Gateway to add listeners to.
        pub parent_ref: ParentReference,
        /// The listeners.
        pub listeners: Vec<Listener>,
    }

    /// Status of a ListenerSet.
    pub struct ListenerSetStatus {
        /// Verdicts.
        pub conditions: Vec<Condition>,
        /// One entry per listener.
        pub listeners: Vec<ListenerStatus>,
    }
}

/// Status of one listener. Every field is written, empty or not: the schema requires them.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Name of the listener.
    pub name: String,
    /// Kinds of routes that can attach: those asked for and supported.
    pub supported_kinds: Vec<RouteGroupKind>,
    /// Number of routes attached, those with unresolved references included.
    pub attached_routes: i32,
    /// Verdicts.
    pub conditions: Vec<Condition>,
}

impl Omit for ListenerStatus {}

impl ListenerTls {
    /// The mode with its default applied.
    #[must_use]
    pub fn mode(&self) -> &TlsMode {
        self.mode.as_ref().unwrap_or(&TlsMode::Terminate)
    }
}

impl GatewayAddress {
    /// The type with its default applied.
    #[must_use]
    pub fn type_(&self) -> &AddressType {
        self.type_.as_ref().unwrap_or(&AddressType::IpAddress)
    }
}

impl AllowedRoutes {
    /// Where routes may come from, with the default `Same` applied.
    #[must_use]
    pub fn from(&self) -> &FromNamespaces {
        chosen(self.namespaces.as_ref(), &FromNamespaces::Same)
    }
}

impl AllowedListeners {
    /// Where listener sets may come from, with the default `None` applied.
    #[must_use]
    pub fn from(&self) -> &FromNamespaces {
        chosen(self.namespaces.as_ref(), &FromNamespaces::None)
    }
}

fn chosen<'a>(
    filter: Option<&'a NamespaceFilter>,
    default: &'a FromNamespaces,
) -> &'a FromNamespaces {
    filter
        .and_then(|filter| filter.from.as_ref())
        .unwrap_or(default)
}
