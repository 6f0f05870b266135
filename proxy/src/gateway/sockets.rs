//! The listening sockets of a gateway. The parent opens them and keeps them for as long as the port
//! is configured, whatever becomes of the workers that serve them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use weft_ir::Tables;

use crate::listen::listen_as;

/// A socket that listens, and where.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) address: SocketAddr,
    pub(super) listener: Arc<TcpListener>,
}

/// The sockets by port.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<u16, Socket>,
    /// Ports that could not be had, and why.
    failed: BTreeMap<u16, String>,
}

impl Sockets {
    /// Opens what is missing of `ports`; returns what is new. Nothing is closed.
    pub(super) fn open(&mut self, ports: &BTreeSet<u16>) -> Vec<Socket> {
        self.failed.retain(|port, _| ports.contains(port));
        let mut fresh = Vec::new();
        for port in ports {
            if self.open.contains_key(port) {
                continue;
            }
            match listen(*port) {
                Ok(socket) => {
                    self.failed.remove(port);
                    self.open.insert(*port, socket.clone());
                    fresh.push(socket);
                }
                Err(error) => {
                    let text = explain(*port, &error);
                    if self.failed.get(port) != Some(&text) {
                        tracing::error!("{text}");
                    }
                    self.failed.insert(*port, text);
                }
            }
        }
        fresh
    }

    /// Closes what is not among `ports`.
    pub(super) fn close_others(&mut self, ports: &BTreeSet<u16>) {
        self.open.retain(|port, _| ports.contains(port));
        self.failed.retain(|port, _| ports.contains(port));
    }

    /// Whether none is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Every open socket.
    pub(super) fn all(&self) -> Vec<Socket> {
        self.open.values().cloned().collect()
    }

    /// Ports that could not be had, and why.
    pub(super) fn failed(&self) -> &BTreeMap<u16, String> {
        &self.failed
    }
}

/// Ports of all Gateways of the tables.
pub(super) fn ports(tables: &Tables) -> BTreeSet<u16> {
    let gateways = tables.gateways.values();
    let ports = gateways.flat_map(|gateway| gateway.ports.iter().map(|port| port.port));
    ports.collect()
}

/// One socket for both families; one of IPv4 where the system has no IPv6.
fn listen(port: u16) -> io::Result<Socket> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let (address, listener) = match listen_as(address, true) {
        Ok(listener) => (address, listener),
        Err(error) if is_without_ipv6(&error) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            (address, listen_as(address, false)?)
        }
        Err(error) => return Err(error),
    };
    let listener = Arc::new(listener);
    Ok(Socket { address, listener })
}

fn is_without_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    is(Errno::AFNOSUPPORT) || is(Errno::ADDRNOTAVAIL)
}

fn explain(port: u16, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; set the sysctl net.ipv4.ip_unprivileged_port_start=0 in the pod, or use a port from 1024"
        }
        io::ErrorKind::AddrInUse => "; another process of the pod has it",
        _ => "",
    };
    format!("port {port} cannot be listened on: {error}{cure}")
}
