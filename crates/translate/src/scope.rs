//! What translation needs to know that is not an object: names, mode, and facts from outside.

use std::{collections::BTreeMap, net::IpAddr};

use weft_api::{
    conditions::{GATEWAY_CONTROLLER, MESH_CONTROLLER},
    gateway::{AddressType, GatewayAddress},
};
use weft_ir::Name;
use weft_spiffe::TrustDomain;

use crate::{enrolment::Enrolment, features::Channel};

/// The surroundings of a translation. Equal scopes and equal stores give equal outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `controllerName` of GatewayClasses that are ours and of the statuses under Gateway parents.
    pub gateway_controller: String,
    /// `controllerName` of statuses under Service parents and of our XMesh.
    pub mesh_controller: String,
    /// Name of our XMesh; one of that name with another controller is worth a warning.
    pub mesh_name: String,
    /// Which Gateways are served.
    pub classes: ClassPolicy,
    /// Whether there is a mesh, so that routes attach to Services. Where there is none, routes of
    /// Services are nobody's, and no status says otherwise.
    pub has_mesh: bool,
    /// Who is a member of the mesh; [`EndpointTable`](crate::EndpointTable)s are made with it.
    pub enrolment: Enrolment,
    /// Channel of the CRDs in use; decides which features are claimed.
    pub channel: Channel,
    /// `bundle-version` annotation of the installed Gateway API CRDs, where there are some. `None`
    /// means that there is no API server to ask, so that no version can be wrong.
    pub bundle_version: Option<String>,
    /// How `Programmed` is known.
    pub programming: Programming,
    /// Parameters of Gateways and GatewayClasses (`parametersRef`) that their deployer refused. `None`
    /// means that nobody deploys Gateways, so that no object can hold parameters.
    pub unusable_parameters: Option<UnusableParameters>,
    /// Ports that no listener can have, because whoever serves Gateways needs them, with the reason.
    pub reserved_ports: BTreeMap<u16, String>,
    /// Facts about single Gateways; a Gateway without entry has no address yet.
    pub gateways: BTreeMap<Name, GatewayFacts>,
    /// Secrets whose certificate or key a TLS stack refused, with its words. Secrets that are not
    /// here are judged by their form alone.
    pub unusable_certificates: BTreeMap<Name, String>,
    /// Certification authorities that a TLS stack refused. Others are judged by their form alone.
    pub unusable_authorities: UnusableAuthorities,
}

/// Certification authorities that cannot be used, with the words of a TLS stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusableAuthorities {
    /// Those of ConfigMaps.
    pub config_maps: BTreeMap<Name, String>,
    /// Those of the platform that connects to backends, if it has none. `None` where nothing is known
    /// of it.
    pub platform: Option<String>,
}

/// Parameters that a deployer cannot use, with its words. References that are not here can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusableParameters {
    /// Those of Gateways (`spec.infrastructure.parametersRef`).
    pub gateways: BTreeMap<Name, String>,
    /// Those of GatewayClasses (`spec.parametersRef`), by name of the class.
    pub classes: BTreeMap<String, String>,
}

/// Which Gateways are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassPolicy {
    /// Every Gateway, because nobody else can serve it: standalone mode. A missing GatewayClass,
    /// unless it is [`Scope::GATEWAY_CLASS`], or one of another controller is a warning.
    Every,
    /// Those whose GatewayClass names our controller: in a cluster, and standalone with
    /// `--strict-class`.
    Ours,
}

/// How it is known that the data path has the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programming {
    /// The tables are handed over in process, so what stands in them is programmed.
    Immediate,
    /// Proxies acknowledge; [`GatewayFacts::acknowledged`] says how far they are.
    Acknowledged,
}

/// What is known about one Gateway from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayFacts {
    /// Addresses the Gateway really has, in the order they are to be reported.
    pub addresses: Vec<IpAddr>,
    /// Names it is reached by as well, where a load balancer has some; reported after the addresses.
    pub hostnames: Vec<String>,
    /// Newest `metadata.generation` that every proxy of the Gateway has acknowledged.
    pub acknowledged: Option<i64>,
    /// Why the Gateway could not be given what it needs to be served, such as pods or a Service.
    pub undeployed: Option<String>,
    /// Ports that could not be opened, with the reason.
    pub unusable_ports: BTreeMap<u16, String>,
}

impl GatewayFacts {
    /// The value of an IP address that the Gateway asks for and does not have.
    pub(crate) fn missing<'a>(&self, asked: &'a GatewayAddress) -> Option<&'a str> {
        let is_ip = *asked.type_() == AddressType::IpAddress;
        let value = asked
            .value
            .as_deref()
            .filter(|value| is_ip && !value.is_empty())?;
        let given = |wanted: IpAddr| self.addresses.contains(&wanted);
        (!value.parse().is_ok_and(given)).then_some(value)
    }
}

impl Scope {
    /// Name of the GatewayClass that comes with an installation.
    pub const GATEWAY_CLASS: &'static str = "weft";
    /// Name of our XMesh unless an operator chose another.
    pub const MESH_NAME: &'static str = "weft";

    /// The scope of `weft run` and `weft analyze` on a directory: every Gateway, every feature,
    /// programmed as soon as translated; one process stands for every workload.
    pub fn standalone() -> Self {
        Self {
            gateway_controller: GATEWAY_CONTROLLER.to_owned(),
            mesh_controller: MESH_CONTROLLER.to_owned(),
            mesh_name: Self::MESH_NAME.to_owned(),
            classes: ClassPolicy::Every,
            has_mesh: true,
            enrolment: Enrolment::Labelled(TrustDomain::default()),
            channel: Channel::Experimental,
            bundle_version: None,
            programming: Programming::Immediate,
            unusable_parameters: None,
            reserved_ports: BTreeMap::new(),
            gateways: BTreeMap::new(),
            unusable_certificates: BTreeMap::new(),
            unusable_authorities: UnusableAuthorities::default(),
        }
    }

    /// The scope of a controller in a cluster: our classes only, programmed when acknowledged, and no
    /// mesh, because no node agent is built yet that would serve it.
    pub fn cluster(channel: Channel, bundle_version: impl Into<String>) -> Self {
        Self {
            classes: ClassPolicy::Ours,
            has_mesh: false,
            enrolment: Enrolment::Nobody,
            channel,
            bundle_version: Some(bundle_version.into()),
            programming: Programming::Acknowledged,
            ..Self::standalone()
        }
    }

    /// Whether routes attach in the same way under both. Facts that concern only Gateways do not
    /// matter here, since Gateways are judged anew in any case, nor do authorities and pods that start, of
    /// which a change is found where changes of objects are.
    pub(crate) fn attaches_like(&self, other: &Self) -> bool {
        self.gateway_controller == other.gateway_controller
            && self.mesh_controller == other.mesh_controller
            && self.classes == other.classes
            && self.has_mesh == other.has_mesh
            && self.enrolment.is_like(&other.enrolment)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::standalone()
    }
}
