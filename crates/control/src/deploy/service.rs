//! The Service of a Gateway: its ports, and the addresses that were asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value, json};
use weft_api::Gateway;
use weft_api::gateway::{AddressType, Listener, ProtocolType};
use weft_api::service::{ServiceType, Transport};

use super::ADMIN_PORT;
use super::metadata::Owned;
use super::parameters::Parameters;

/// A port clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The number, from 1 on.
    pub number: u16,
    /// Whether datagrams are received on it, not connections.
    pub is_udp: bool,
}

/// The ports of listeners, each once however many listeners share it.
///
/// Left out are those that cannot be: numbers that are no port, protocols nobody knows, and
/// [`ADMIN_PORT`], which a Service would show to the world. A listener with one of those is
/// refused in its status.
#[must_use]
pub fn ports<'a>(listeners: impl IntoIterator<Item = &'a Listener>) -> BTreeSet<Port> {
    let port = |listener: &Listener| {
        let number = u16::try_from(listener.port).ok().filter(|&it| it != 0)?;
        let is_udp = match listener.protocol {
            ProtocolType::Http | ProtocolType::Https | ProtocolType::Tls | ProtocolType::Tcp => {
                false
            }
            ProtocolType::Udp => true,
            ProtocolType::Unknown(_) => return None,
        };
        (is_udp || number != ADMIN_PORT).then_some(Port { number, is_udp })
    };
    listeners.into_iter().filter_map(port).collect()
}

/// The Service; `None` without ports.
pub(super) fn render(
    owned: &Owned,
    gateway: &Gateway,
    ports: &BTreeSet<Port>,
    parameters: &Parameters,
) -> Option<Value> {
    if ports.is_empty() {
        return None;
    }
    let ports: Vec<Value> = ports.iter().map(Port::rendered).collect();
    let mut spec = Map::new();
    spec.insert("type".to_owned(), json!(parameters.service_type));
    spec.insert("ports".to_owned(), json!(ports));
    spec.insert("selector".to_owned(), owned.selector());
    spec.extend(addressed(gateway, &parameters.service_type));
    let fields = Map::from_iter([("spec".to_owned(), Value::Object(spec))]);
    Some(owned.object("v1", "Service", fields))
}

impl Port {
    /// As a port of a Service. Pods listen on the same number, so a redirect to the port of the
    /// listener leads back to it.
    fn rendered(&self) -> Value {
        let (word, protocol) = match self.is_udp {
            true => ("udp", Transport::Udp),
            false => ("tcp", Transport::Tcp),
        };
        let number = self.number;
        json!({
            "name": format!("{word}-{number}"),
            "port": number,
            "targetPort": number,
            "protocol": protocol,
        })
    }
}

/// The fields that ask for addresses (GEP-1762): of the load balancer, or of the cluster where
/// there is none.
///
/// A Service can ask a load balancer for one address; of several the first is asked for, and
/// the status names those it does not have. An address fixes the family as well:
/// a second address of the other family was not asked for.
fn addressed(gateway: &Gateway, service_type: &ServiceType) -> Map<String, Value> {
    let asked = asked(gateway);
    let families: Vec<&str> = families(&asked);
    let (policy, families) = match families.as_slice() {
        [] | [_, _, ..] => ("PreferDualStack", json!(families)),
        [_] => ("SingleStack", json!(families)),
    };
    let mut fields = Map::from_iter([("ipFamilyPolicy".to_owned(), json!(policy))]);
    let Some(first) = asked.first() else {
        return fields;
    };
    fields.insert("ipFamilies".to_owned(), families);
    let field = match service_type {
        ServiceType::LoadBalancer => "loadBalancerIP",
        _ => "clusterIP",
    };
    fields.insert(field.to_owned(), json!(first));
    fields
}

/// The addresses by value, in order. What is no IP address nobody can assign.
fn asked(gateway: &Gateway) -> Vec<IpAddr> {
    let addresses = gateway.spec.addresses.iter();
    addresses
        .filter(|address| *address.type_() == AddressType::IpAddress)
        .filter_map(|address| address.value.as_deref()?.parse().ok())
        .collect()
}

/// The families of addresses, each once, that of the first address first.
fn families(addresses: &[IpAddr]) -> Vec<&'static str> {
    let mut families = Vec::new();
    for address in addresses {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}
