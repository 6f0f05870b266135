//! The standalone form: a data path in this process, and loopback in the place of a network.
//!
//! What the kernel of a node does is done by [`Standalone::dial`]: a ClusterIP leads to the socket
//! that stands for it and for the namespace of the client, everything else is dialled as it is.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use weft_ir::{Name, ServicePort};

use super::{
    Dialled, Family, Mesh,
    manifests::{Manifests, number, reference},
};
use crate::{backend, gateway::Weft, wait::Expected, world::World};

/// A mesh in one process.
pub struct Standalone {
    weft: Weft,
    /// What has a ClusterIP, and at which ports.
    services: Mutex<Vec<(SocketAddr, ServicePort)>>,
}

impl Standalone {
    /// A mesh without any object.
    #[must_use]
    pub fn start() -> Self {
        Self {
            weft: Weft::start(&World::bare()),
            services: Mutex::default(),
        }
    }

    fn service(&self, address: SocketAddr) -> Option<ServicePort> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let found = services.iter().find(|(known, _)| *known == address);
        found.map(|(_, service)| service.clone())
    }
}

impl Mesh for Standalone {
    async fn listen(&self, _pod: &str, family: Family) -> TcpListener {
        let bound = match family {
            Family::IPv4 => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
            Family::IPv6 => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await,
        };
        bound.expected("a socket of a pod")
    }

    fn nobody(&self, _pod: &str, family: Family) -> SocketAddr {
        match family {
            Family::IPv4 => backend::nobody(),
            // The discard port of a machine without such a service.
            Family::IPv6 => (Ipv6Addr::LOCALHOST, 9).into(),
        }
    }

    async fn apply(&self, manifests: &Manifests) {
        // Pods are this process; the data path of one process is not told about them.
        let objects = manifests.objects().filter(|object| object["kind"] != "Pod");
        let yaml: Vec<String> = objects.map(ToString::to_string).collect();
        let services = manifests.of_kind("Service").flat_map(cluster_ips).collect();
        self.weft.update(&World::raw(yaml.join("\n---\n")));
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = services;
    }

    async fn dial(&self, namespace: &str, address: SocketAddr) -> io::Result<Dialled> {
        let address = match self.service(address) {
            Some(service) => self.weft.mesh_port(namespace, service, Family::of(address)),
            None => address,
        };
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn status(&self, object: &str) -> Option<Value> {
        self.weft.route_status(object)
    }
}

/// Addresses and ports of a Service that has ClusterIPs.
fn cluster_ips(service: &Value) -> Vec<(SocketAddr, ServicePort)> {
    let reference = reference(service);
    let (namespace, name) = reference
        .split_once(' ')
        .and_then(|(_, name)| name.split_once('/'))
        .expect("`Service namespace/name`");
    let spec = &service["spec"];
    let one = std::slice::from_ref(&spec["clusterIP"]);
    let ips = spec["clusterIPs"].as_array().map_or(one, Vec::as_slice);
    let ips = ips.iter().filter_map(|ip| ip.as_str()?.parse().ok());
    let ports = || spec["ports"].as_array().into_iter().flatten();
    ips.flat_map(|ip| ports().map(move |port| (ip, number(&port["port"]))))
        .map(|(ip, port)| {
            let service = Name::new(namespace, name);
            (SocketAddr::new(ip, port), ServicePort { service, port })
        })
        .collect()
}
