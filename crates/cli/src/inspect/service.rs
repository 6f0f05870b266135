//! A Service: its ports, who sends to it, its endpoints, and the policies for TLS to it.

use weft_api::{Object, Service};
use weft_ir::{Endpoint, EndpointState, Name};

use super::{Section, gateway::Parts};
use crate::{load::Loaded, routes};

/// A Service and everything that leads to it or from it.
pub(super) fn of_service(loaded: &Loaded, service: &Service) -> Parts {
    let name = Name::new(service.namespace(), service.name());
    let address = service.spec.cluster_ip.clone();
    let facts = vec![("address", address.unwrap_or_else(|| "none".to_owned()))];
    let ports = service.spec.ports.iter().map(|port| {
        [
            port.name.clone().unwrap_or_default(),
            port.port.to_string(),
            port.app_protocol.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let ports = Section::new("ports", &["NAME", "PORT", "PROTOCOL"], ports.collect());
    let rows = routes::to_service(&loaded.output, &name);
    let routes = Section::new("routes to it", &["AT", "RULE", "PORT", "SHARE"], rows);
    let endpoints = Section::new(
        "endpoints",
        &["PORT", "ADDRESS", "STATE", "ZONE", "POD", "MEMBER"],
        endpoints(loaded, &name),
    );
    let policies = Section::new(
        "TLS to it",
        &["POLICY", "PORT", "NAME"],
        policies(loaded, service),
    );
    (facts, vec![ports, routes, endpoints, policies])
}

fn endpoints(loaded: &Loaded, service: &Name) -> Vec<[String; 6]> {
    let table = loaded.endpoints();
    let of_it = table
        .table()
        .iter()
        .filter(|(port, _)| port.service == *service);
    let rows = of_it.flat_map(|(port, set)| {
        let row = move |endpoint: &Endpoint| {
            let state = match endpoint.state {
                EndpointState::Ready => "ready",
                EndpointState::Terminating => "terminating",
            };
            let text =
                |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
            [
                port.port.to_string(),
                endpoint.address.to_string(),
                state.to_owned(),
                text(&endpoint.zone),
                text(&endpoint.pod),
                text(&endpoint.member),
            ]
        };
        set.all().iter().map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

fn policies(loaded: &Loaded, service: &Service) -> Vec<[String; 3]> {
    let policies = loaded.store.backend_tls_policies().iter();
    let here = policies.filter(|policy| policy.namespace() == service.namespace());
    let mut rows = Vec::new();
    for policy in here {
        let targets = policy.spec.target_refs.iter();
        let it = targets.filter(|target| {
            target.group.is_empty() && target.kind == "Service" && target.name == service.name()
        });
        rows.extend(it.map(|target| {
            let port = target.section_name.clone();
            [
                policy.name().to_owned(),
                port.unwrap_or_else(|| "every".to_owned()),
                policy.spec.validation.hostname.clone(),
            ]
        }));
    }
    rows
}
