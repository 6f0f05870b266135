//! Gateways, their ports and listeners.

use std::{cmp::Reverse, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Hostname, Name, RouteSet};

/// A Gateway that serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// The Gateway object.
    pub name: Name,
    /// Its ports, in ascending order.
    pub ports: Vec<Arc<Port>>,
    /// Secret with the certificate that is shown to backends whose [`Target`](crate::Target) asks for
    /// TLS (`spec.tls.backend.clientCertificateRef`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<Name>,
}

/// The protocol that all listeners of a port share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PortProtocol {
    /// HTTP/1.1 and HTTP/2 with prior knowledge in cleartext.
    Http,
    /// The same behind TLS that is terminated here.
    Https,
}

/// One port of a Gateway with the listeners that share it; made by [`Port::new`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredPort")]
#[non_exhaustive]
pub struct Port {
    /// TCP port as written in the Gateway.
    pub port: u16,
    /// Protocol of every listener of the port.
    pub protocol: PortProtocol,
    /// Most specific hostname first; distinct.
    pub listeners: Vec<Arc<Listener>>,
}

/// A listener that is accepted. It stands here even when it cannot serve, so that its hosts do not
/// fall to a less specific listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// `spec.listeners[].name`.
    pub name: Arc<str>,
    /// `None` takes every host.
    pub hostname: Option<Hostname>,
    /// Secrets with the certificates of a terminating listener, in list order. Empty on an HTTPS port
    /// when none of them can be used: handshakes for its hosts are refused.
    #[serde(default)]
    pub certificates: Vec<Name>,
    /// The routes attached to this listener and no other (listener isolation).
    #[serde(default, skip_serializing_if = "has_no_route")]
    pub routes: Arc<RouteSet>,
}

fn has_no_route(routes: &Arc<RouteSet>) -> bool {
    routes.is_empty()
}

/// What [`Port::listener_for`] decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerChoice {
    /// Index into [`Port::listeners`].
    Serve(usize),
    /// No listener of the port takes the host: 404.
    NotFound,
    /// The connection was made for another listener: 421 (RFC 9110 section 15.5.20, GEP-3567).
    Misdirected,
}

impl Port {
    /// A port from its listeners in any order. Their hostnames are distinct.
    pub fn new(port: u16, protocol: PortProtocol, mut listeners: Vec<Arc<Listener>>) -> Self {
        listeners.sort_by(|a, b| order(a.hostname.as_ref()).cmp(&order(b.hostname.as_ref())));
        Self {
            port,
            protocol,
            listeners,
        }
    }

    /// The listener that serves a request for `host` (lower case, no port).
    ///
    /// It is the one with the most specific hostname and no other, whether or not its routes take
    /// the request (listener isolation, `GatewaySpec.listeners`). On an HTTPS port the connection
    /// belongs to the listener that `connection_sni` (lower case; `None` if the client sent none)
    /// chose, and a request that another listener should serve is misdirected (`Listener.hostname`).
    pub fn listener_for(&self, connection_sni: Option<&str>, host: &str) -> ListenerChoice {
        let Some(best) = self.most_specific(host) else {
            return ListenerChoice::NotFound;
        };
        match self.protocol {
            PortProtocol::Http => ListenerChoice::Serve(best),
            // A client without SNI reaches only the listener that takes every host.
            PortProtocol::Https => match self.most_specific(connection_sni.unwrap_or_default()) {
                Some(chosen) if chosen == best => ListenerChoice::Serve(best),
                // The best listener is another one: either it is more specific for the host than
                // the connection's, or the connection's does not take the host at all.
                _ => ListenerChoice::Misdirected,
            },
        }
    }

    /// Index of the listener with the most specific hostname that takes `host`.
    fn most_specific(&self, host: &str) -> Option<usize> {
        let find = |wildcard: bool, text: &str| {
            let wanted = key(wildcard, text);
            let order = |listener: &Arc<Listener>| order(listener.hostname.as_ref()).cmp(&wanted);
            self.listeners.binary_search_by(order).ok()
        };
        let dots = host
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| *byte == b'.');
        let suffixes = dots.filter_map(|(at, _)| host.get(at..));
        find(false, host)
            .or_else(|| suffixes.into_iter().find_map(|suffix| find(true, suffix)))
            .or_else(|| {
                self.listeners
                    .len()
                    .checked_sub(1)
                    .filter(|last| self.takes_all(*last))
            })
    }

    fn takes_all(&self, listener: usize) -> bool {
        self.listeners
            .get(listener)
            .is_some_and(|listener| listener.hostname.is_none())
    }
}

/// Sort key of listeners: exact hostnames, then wildcards, longer before shorter, then by text; a
/// listener without hostname comes last.
type Order<'a> = (u8, Reverse<usize>, &'a str);

fn order(hostname: Option<&Hostname>) -> Order<'_> {
    match hostname {
        Some(Hostname::Exact(host)) => key(false, host),
        Some(Hostname::Wildcard(suffix)) => key(true, suffix),
        None => (2, Reverse(0), ""),
    }
}

fn key(wildcard: bool, text: &str) -> Order<'_> {
    (u8::from(wildcard), Reverse(text.len()), text)
}

/// A port as it is stored: the order of listeners is restored, not trusted.
#[derive(Deserialize)]
struct StoredPort {
    port: u16,
    protocol: PortProtocol,
    listeners: Vec<Arc<Listener>>,
}

impl From<StoredPort> for Port {
    fn from(stored: StoredPort) -> Self {
        Self::new(stored.port, stored.protocol, stored.listeners)
    }
}

#[cfg(test)]
mod tests;
