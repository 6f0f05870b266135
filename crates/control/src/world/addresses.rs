//! Addresses of a Gateway: those of the Service in front of its proxies.

use std::net::IpAddr;

use weft_api::{Service, service::ServiceType};

/// Where the Service can be reached: a load balancer where the Service asks for one, the cluster's
/// addresses otherwise. Empty until there is any. In the order of the Service, each once.
pub(super) fn of(service: &Service) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut add = |text: &str| {
        if let Ok(address) = text.parse::<IpAddr>()
            && !found.contains(&address)
        {
            found.push(address);
        }
    };
    if service.spec.type_ == Some(ServiceType::LoadBalancer) {
        let balancer = service.status.load_balancer.iter();
        let ingress = balancer.flat_map(|balancer| &balancer.ingress);
        ingress.filter_map(|it| it.ip.as_deref()).for_each(&mut add);
    } else {
        // A headless Service has the word `None` here, which is no address.
        let first = service.spec.cluster_ip.iter();
        let all = first.chain(&service.spec.cluster_ips);
        all.map(String::as_str).for_each(&mut add);
    }
    found
}
