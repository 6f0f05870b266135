//! Services without their routes.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ciborium::Value;
use serde::{Deserialize, Serialize};
use weft_ir::{BackendFault, Frontend, FrontendProtocol, Name, Service, UpstreamProtocol};

use super::{Decoded, field, of_value, part::Part, read};
use crate::{Key, Kind, Resource, ResourceError};

/// The groups of a port stand in the body, empty: a port is routed before its first route is known,
/// so that losing a route never turns into passing its traffic through.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<P> {
    cluster_ips: Vec<IpAddr>,
    ports: Vec<Part<P>>,
}

pub(crate) fn encode_service(service: &Service) -> Result<Resource, ResourceError> {
    let Service {
        name,
        cluster_ips,
        ports,
    } = service;
    let bare = |port: &Arc<Frontend>| {
        let mut port = Frontend::clone(port);
        for set in port.producer.iter_mut().chain(port.consumers.values_mut()) {
            *set = Arc::default();
        }
        Part::new(port)
    };
    let body = Body {
        cluster_ips: cluster_ips.clone(),
        ports: ports.iter().map(bare).collect(),
    };
    Resource::encode(Key::new(Kind::Service, name.clone()), &body)
}

/// A Service whose groups have no routes yet. A port that is not understood refuses what reaches it.
pub(crate) fn decode_service(name: &Name, body: &[u8]) -> Result<Decoded<Service>, String> {
    let body: Body<Value> = read(body)?;
    let mut ports = Vec::with_capacity(body.ports.len());
    let mut problems = Vec::new();
    for part in &body.ports {
        let frontend = match part.read::<Frontend>() {
            Ok(frontend) => frontend,
            Err(error) => {
                let number = field(part.raw(), "port").and_then(|it| of_value(it).ok());
                let port: u16 = number.ok_or_else(|| format!("a port cannot be read: {error}"))?;
                problems.push(format!("port {port} refuses its requests: {error}"));
                refusing(port)
            }
        };
        ports.push(Arc::new(frontend));
    }
    Ok(Decoded {
        value: Service {
            name: name.clone(),
            cluster_ips: body.cluster_ips,
            ports,
        },
        problems,
    })
}

fn refusing(port: u16) -> Frontend {
    Frontend {
        port,
        protocol: FrontendProtocol::Http,
        upstream: UpstreamProtocol::AsClient,
        tls: None,
        fault: Some(BackendFault::UnsupportedProtocol),
        producer: None,
        consumers: BTreeMap::new(),
    }
}
