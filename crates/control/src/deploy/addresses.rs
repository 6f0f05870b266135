//! The addresses of a Gateway, read off its Service, and what is missing from those asked for.

use weft_api::gateway::{AddressType, GatewayAddress};
use weft_api::service::{LoadBalancerIngress, ServiceType};
use weft_api::{Gateway, Reason, Service};

/// What `status.addresses` of a Gateway says, and whether that is what its spec asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addresses {
    /// Addresses clients can use, in the order of the Service.
    pub assigned: Vec<GatewayAddress>,
    /// What the spec asks for and nobody assigned, in words.
    pub missing: Vec<String>,
}

impl Addresses {
    /// Why the Gateway is not programmed as far as addresses go: reason and message of the
    /// condition `Programmed`. `None` when they are as asked for.
    #[must_use]
    pub fn problem(&self) -> Option<(Reason, String)> {
        if !self.missing.is_empty() {
            let message = format!(
                "spec.addresses: the Service of the Gateway was not given {}; ask for an address \
                 that the cluster can assign, at most one by value",
                self.missing.join(", ")
            );
            return Some((Reason::AddressNotUsable, message));
        }
        let message = "the Service of the Gateway has no address yet; does the cluster have a load \
                       balancer?";
        self.assigned
            .is_empty()
            .then(|| (Reason::AddressNotAssigned, message.to_owned()))
    }
}

/// The addresses of a Gateway whose Service this is; none while there is no Service.
///
/// A `LoadBalancer` has those of its load balancer, any other Service those in the cluster.
#[must_use]
pub fn addresses(gateway: &Gateway, service: Option<&Service>) -> Addresses {
    let assigned = service.map(assigned).unwrap_or_default();
    let asked = gateway.spec.addresses.iter();
    let missing = asked
        .filter(|asked| !assigned.iter().any(|one| meets(one, asked)))
        .map(in_words)
        .collect();
    Addresses { assigned, missing }
}

fn assigned(service: &Service) -> Vec<GatewayAddress> {
    if service.spec.type_ == Some(ServiceType::LoadBalancer) {
        let balancer = service.status.load_balancer.as_ref();
        let ingress = balancer.map(|it| it.ingress.as_slice()).unwrap_or_default();
        return ingress.iter().filter_map(by_ingress).collect();
    }
    let first = service.spec.cluster_ip.iter();
    let mut all: Vec<&String> = service.spec.cluster_ips.iter().collect();
    if all.is_empty() {
        all.extend(first);
    }
    all.into_iter()
        .filter(|it| !it.is_empty() && *it != "None")
        .map(|it| address(AddressType::IpAddress, it))
        .collect()
}

fn by_ingress(ingress: &LoadBalancerIngress) -> Option<GatewayAddress> {
    let by_ip = ingress.ip.as_deref().filter(|ip| !ip.is_empty());
    let by_name = ingress.hostname.as_deref().filter(|name| !name.is_empty());
    by_ip
        .map(|ip| address(AddressType::IpAddress, ip))
        .or_else(|| by_name.map(|name| address(AddressType::Hostname, name)))
}

fn address(type_: AddressType, value: &str) -> GatewayAddress {
    GatewayAddress {
        type_: Some(type_),
        value: Some(value.to_owned()),
    }
}

/// Whether what was assigned is what was asked for; an address without value asks for any of its
/// type.
fn meets(assigned: &GatewayAddress, asked: &GatewayAddress) -> bool {
    let (Some(wanted), Some(value)) = (value(asked), value(assigned)) else {
        return assigned.type_() == asked.type_();
    };
    let same_address = || {
        let parsed = |text: &str| text.parse::<std::net::IpAddr>().ok();
        parsed(wanted).is_some_and(|wanted| parsed(value) == Some(wanted))
    };
    assigned.type_() == asked.type_() && (wanted == value || same_address())
}

fn value(address: &GatewayAddress) -> Option<&str> {
    address.value.as_deref().filter(|value| !value.is_empty())
}

fn in_words(asked: &GatewayAddress) -> String {
    match value(asked) {
        Some(value) => value.to_owned(),
        None => format!("any address of type {}", asked.type_().as_str()),
    }
}
