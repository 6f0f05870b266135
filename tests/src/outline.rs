//! The output of a translation as a page a reviewer reads: tables, rules, statuses, findings, and
//! what becomes of requests. One line per thing, nothing that was not decided.

mod rules;
mod statuses;

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use weft_api::ObjectRef;
use weft_ir::{Frontend, Gateway, RouteEntry, RouteSet, Service, Tables};
use weft_translate::Output;

use crate::{answer::answer, fixture::Fixture};

/// The page of a fixture: only what is about its own objects, or routed by them.
pub fn outline(fixture: &Fixture, output: &Output) -> String {
    let mut page = String::new();
    section(&mut page, "tables", &tables(&output.tables, &fixture.own));
    section(&mut page, "rules", &rules::rules(&output.tables));
    section(
        &mut page,
        "statuses",
        &statuses::statuses(output, &fixture.own),
    );
    section(&mut page, "findings", &findings(output, &fixture.own));
    let mut asked = String::new();
    for ask in &fixture.asks {
        let _ = write!(asked, "{}\n{}", ask.text, answer(&output.tables, ask));
    }
    section(&mut page, "requests", &asked);
    page
}

fn section(page: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let gap = if page.is_empty() { "" } else { "\n" };
        let _ = write!(page, "{gap}## {title}\n{body}");
    }
}

fn findings(output: &Output, own: &BTreeSet<ObjectRef>) -> String {
    let mut text = String::new();
    for note in output.notes.values().flat_map(|notes| notes.iter()) {
        if own.contains(&note.object) {
            let (code, severity) = (note.code.id, note.code.severity);
            let _ = writeln!(text, "{severity} {code} {} {}", note.object, note.field);
            let _ = writeln!(text, "  {}", note.message);
        }
    }
    text
}

fn tables(tables: &Tables, own: &BTreeSet<ObjectRef>) -> String {
    let names: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    for gateway in tables.gateways.values() {
        let is_own = names.contains(&format!("Gateway {}", gateway.name));
        gateway_table(&mut text, gateway, is_own);
    }
    for service in tables.services.values() {
        let is_own = names.contains(&format!("Service {}", service.name));
        service_table(&mut text, service, is_own);
    }
    text
}

/// A Gateway of the fixture with all its listeners; another one with those that have routes.
fn gateway_table(text: &mut String, gateway: &Gateway, is_own: bool) {
    if let Some(secret) = &gateway.client_certificate {
        let _ = writeln!(text, "Gateway {} shows backends {secret}", gateway.name);
    }
    for port in &gateway.ports {
        for listener in &port.listeners {
            if listener.routes.is_empty() && !is_own {
                continue;
            }
            let host = listener
                .hostname
                .as_ref()
                .map_or_else(|| "*".to_owned(), |h| h.to_string());
            let protocol = format!("{:?}", port.protocol).to_uppercase();
            let (gateway, name) = (&gateway.name, &listener.name);
            let _ = writeln!(
                text,
                "Gateway {gateway} :{} {protocol} {name} host {host}",
                port.port
            );
            for certificate in &listener.certificates {
                let _ = writeln!(text, "  certificate {certificate}");
            }
            route_set(text, "  ", &listener.routes);
        }
    }
}

/// A Service of the fixture with all its ports; another one with those that have routes.
fn service_table(text: &mut String, service: &Service, is_own: bool) {
    for port in &service.ports {
        let Frontend {
            producer,
            consumers,
            ..
        } = &**port;
        let is_plain = port.fault.is_none() && port.tls.is_none();
        if producer.is_none() && consumers.is_empty() && is_plain && !is_own {
            continue;
        }
        let addresses: Vec<String> = service
            .cluster_ips
            .iter()
            .map(ToString::to_string)
            .collect();
        let _ = writeln!(
            text,
            "Service {}:{} at {} {:?}, endpoints {:?}",
            service.name,
            port.port,
            addresses.join(" "),
            port.protocol,
            port.upstream
        );
        if let Some(tls) = &port.tls {
            let _ = writeln!(text, "  when no route takes it: {tls}");
        }
        if let Some(fault) = port.fault {
            let _ = writeln!(text, "  refused when no route takes it: {}", fault.as_str());
        }
        if let Some(routes) = producer {
            text.push_str("  producer\n");
            route_set(text, "    ", routes);
        }
        for (namespace, routes) in consumers {
            let _ = writeln!(text, "  consumer {namespace}");
            route_set(text, "    ", routes);
        }
    }
}

/// One line per route: its rules and the hosts it is served for.
fn route_set(text: &mut String, indent: &str, routes: &Arc<RouteSet>) {
    for entry in routes.entries() {
        let RouteEntry {
            hostnames, rules, ..
        } = entry.as_ref();
        let Some(first) = rules.first() else { continue };
        let indexes: Vec<String> = rules.iter().map(|rule| rule.index.to_string()).collect();
        let _ = write!(text, "{indent}{} rule {}", first.route, indexes.join(" "));
        if !hostnames.is_empty() {
            let hosts: Vec<String> = hostnames.iter().map(ToString::to_string).collect();
            let _ = write!(text, " for {}", hosts.join(" "));
        }
        text.push('\n');
    }
}
