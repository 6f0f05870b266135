//! Services (`ValidateService`).

use std::net::IpAddr;

use serde_json::Value;

use super::super::text;
use super::{Faults, fields, items, label, string};

const HEADLESS: &str = "None";

pub(super) fn check(object: &Value, faults: &mut Faults) {
    let null = Value::Null;
    let spec = object.get("spec").unwrap_or(&null);
    let type_ = string(spec, "type").unwrap_or("ClusterIP");
    let addresses = items(spec, "clusterIPs");
    let first = addresses.first().and_then(Value::as_str);
    let address = string(spec, "clusterIP");
    let is_headless = address.or(first) == Some(HEADLESS);
    if type_ == "ExternalName" {
        external_name(spec, faults);
    } else if items(spec, "ports").is_empty() && !is_headless {
        faults.add("spec.ports", "needs at least 1 item");
    }
    if is_headless && type_ != "ClusterIP" && type_ != "ExternalName" {
        faults.add(
            "spec.clusterIP",
            format!("must not be None for type {type_}"),
        );
    }
    cluster_addresses(address, addresses, faults);
    ports(spec, faults);
    for (key, value) in fields(spec, "selector").into_iter().flatten() {
        label("spec.selector", key, value, faults);
    }
    for (index, address) in items(spec, "externalIPs").iter().enumerate() {
        if !is_address(address.as_str().unwrap_or_default()) {
            faults.add(
                format!("spec.externalIPs[{index}]"),
                "must be an IP address",
            );
        }
    }
}

fn external_name(spec: &Value, faults: &mut Faults) {
    let name = string(spec, "externalName").unwrap_or_default();
    if !text::is_dns_name(name.trim_end_matches('.')) {
        faults.add(
            "spec.externalName",
            "must be a DNS name for type ExternalName",
        );
    }
    if string(spec, "clusterIP").is_some_and(|address| address != HEADLESS) {
        faults.add("spec.clusterIP", "must be empty for type ExternalName");
    }
}

fn cluster_addresses(address: Option<&str>, addresses: &[Value], faults: &mut Faults) {
    let wrong = |text: &str| text != HEADLESS && !is_address(text);
    if address.is_some_and(wrong) {
        faults.add("spec.clusterIP", "must be an IP address, \"None\" or empty");
    }
    if addresses.is_empty() {
        return;
    }
    if addresses.first().and_then(Value::as_str) != address {
        faults.add("spec.clusterIPs[0]", "must be the same as spec.clusterIP");
    }
    let parsed: Vec<Option<IpAddr>> = addresses
        .iter()
        .map(|address| address.as_str()?.parse().ok())
        .collect();
    for (index, address) in addresses.iter().enumerate().skip(1) {
        if wrong(address.as_str().unwrap_or_default()) || address == HEADLESS {
            faults.add(format!("spec.clusterIPs[{index}]"), "must be an IP address");
        }
    }
    if let [Some(one), Some(other), ..] = parsed.as_slice()
        && one.is_ipv4() == other.is_ipv4()
    {
        faults.add(
            "spec.clusterIPs[1]",
            "must be of the other IP family than the first",
        );
    }
}

fn ports(spec: &Value, faults: &mut Faults) {
    let ports = items(spec, "ports");
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        match string(port, "name") {
            None if ports.len() > 1 => {
                faults.add(
                    &path,
                    "needs a name, as every port of a Service with several",
                );
            }
            Some(name) if !text::is_dns_label(name) => {
                faults.add(format!("{path}.name"), "must be a DNS label (RFC 1123)");
            }
            Some(name) => {
                let same = |other: &Value| string(other, "name") == Some(name);
                if ports[..index].iter().any(same) {
                    faults.add(format!("{path}.name"), format!("repeats the name {name:?}"));
                }
            }
            None => {}
        }
        target_port(port, &path, faults);
        if string(port, "appProtocol").is_some_and(|name| !text::is_qualified_name(name)) {
            let message = "must be a name with an optional DNS prefix, as in kubernetes.io/h2c";
            faults.add(format!("{path}.appProtocol"), message);
        }
    }
}

fn target_port(port: &Value, path: &str, faults: &mut Faults) {
    let valid = match port.get("targetPort") {
        // 0 and the empty text mean the same port, as absence does.
        Some(Value::Number(number)) => number.as_u64().is_some_and(|number| number <= 65_535),
        Some(Value::String(name)) => name.is_empty() || text::is_port_name(name),
        _ => true,
    };
    if !valid {
        let message = "must be a port from 1 to 65535 or the name of one (at most 15 lower-case \
                       letters, digits and `-`)";
        faults.add(format!("{path}.targetPort"), message);
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}
