//! Addresses of a Gateway: those of the Service in front of its proxies.

use std::net::IpAddr;

use weft_api::{Service, service::ServiceType};
use weft_ir::Hostname;

/// How a Service is reached. Each list is in the order of the Service, every entry once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// By IP address.
    pub(super) addresses: Vec<IpAddr>,
    /// By name: load balancers of some clouds have a name and change their addresses.
    pub(super) hostnames: Vec<String>,
}

/// Where the Service can be reached: a load balancer where the Service asks for one, the cluster's
/// addresses otherwise. Empty until there is any.
pub(super) fn of(service: &Service) -> Reached {
    let mut reached = Reached::default();
    if *service.spec.type_() != ServiceType::LoadBalancer {
        // A headless Service has the word `None` here, which is no address.
        let first = service.spec.cluster_ip.iter();
        let all = first.chain(&service.spec.cluster_ips);
        all.for_each(|text| reached.add_address(text));
        return reached;
    }
    let balancer = service.status.load_balancer.iter();
    for ingress in balancer.flat_map(|balancer| &balancer.ingress) {
        if let Some(text) = &ingress.ip {
            reached.add_address(text);
        }
        if let Some(name) = &ingress.hostname {
            reached.add_name(name);
        }
    }
    reached
}

impl Reached {
    fn add_address(&mut self, text: &str) {
        if let Ok(address) = text.parse()
            && !self.addresses.contains(&address)
        {
            self.addresses.push(address);
        }
    }

    /// What is no hostname would have the API server refuse the whole status.
    fn add_name(&mut self, name: &str) {
        let is_hostname = Hostname::parse(name).is_some() && !name.starts_with('*');
        let is_known = self.hostnames.iter().any(|known| known == name);
        if is_hostname && !is_known {
            self.hostnames.push(name.to_owned());
        }
    }
}
