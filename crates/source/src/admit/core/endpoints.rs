//! EndpointSlices (`ValidateEndpointSlice`).

use std::net::IpAddr;

use serde_json::Value;

use super::super::text;
use super::{Faults, items, string};

pub(super) fn check(object: &Value, faults: &mut Faults) {
    let family = string(object, "addressType").unwrap_or_default();
    for (index, endpoint) in items(object, "endpoints").iter().enumerate() {
        let path = format!("endpoints[{index}]");
        for (place, address) in items(endpoint, "addresses").iter().enumerate() {
            let address = address.as_str().unwrap_or_default();
            if let Err(reason) = check_address(family, address) {
                let message = format!("{address:?} {reason}");
                faults.add(format!("{path}.addresses[{place}]"), message);
            }
        }
        if string(endpoint, "hostname").is_some_and(|name| !text::is_dns_label(name)) {
            faults.add(format!("{path}.hostname"), "must be a DNS label (RFC 1123)");
        }
        if string(endpoint, "nodeName").is_some_and(|name| !text::is_dns_name(name)) {
            faults.add(format!("{path}.nodeName"), "must be a DNS name (RFC 1123)");
        }
    }
    ports(object, faults);
}

fn check_address(family: &str, text: &str) -> Result<(), String> {
    if family == "FQDN" {
        let valid = text::is_dns_name(text);
        return valid
            .then_some(())
            .ok_or_else(|| "is not a DNS name".to_owned());
    }
    let address: Option<IpAddr> = text.parse().ok();
    let address = address.filter(|address| address.is_ipv4() == (family == "IPv4"));
    let Some(address) = address else {
        return Err(format!("is not an {family} address"));
    };
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let link_multicast = match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    if address.is_unspecified() || link_local || link_multicast {
        return Err("is an address no endpoint can have".to_owned());
    }
    Ok(())
}

fn ports(object: &Value, faults: &mut Faults) {
    let ports = items(object, "ports");
    for (index, port) in ports.iter().enumerate() {
        let name = string(port, "name").unwrap_or_default();
        let path = format!("ports[{index}].name");
        if !name.is_empty() && !text::is_dns_label(name) {
            faults.add(&path, "must be a DNS label (RFC 1123)");
        }
        let same = |other: &Value| string(other, "name").unwrap_or_default() == name;
        if ports[..index].iter().any(same) {
            faults.add(&path, format!("repeats the name {name:?}"));
        }
        if string(port, "appProtocol").is_some_and(|name| !text::is_qualified_name(name)) {
            let message = "must be a name with an optional DNS prefix, as in kubernetes.io/h2c";
            faults.add(format!("ports[{index}].appProtocol"), message);
        }
    }
}
