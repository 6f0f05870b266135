//! `weft explain`: where a request would go and why, by the code that routes it.

mod decision;
mod question;
mod text;

use std::io;

use weft_api::{Condition, ConditionStatus, Kind, ObjectKey, ObjectRef};
use weft_ir::{
    FilterContext, Frontend, FrontendProtocol, Gateway, Group, ListenerChoice, Name, Port,
    PortProtocol, Scheme, ServicePort,
};
use weft_translate::Status;

use self::{
    decision::{Answer, Decision, Entry, Given},
    question::Question,
};
use crate::{
    args::{Explain, Global, Reference, Target},
    exit::{Exit, Failure, Outcome},
    load::Loaded,
    output::{self, Format, Paint},
};

/// Runs the command.
pub(crate) fn run(args: &Explain, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let loaded = args.origin.load(global)?;
    let decision = decide(&loaded, args)?;
    match format {
        Format::Json => output::print_json(&decision)?,
        _ => output::print(&text::text(
            &decision,
            Paint(global.color.on(&io::stdout())),
        ))?,
    }
    Ok(Exit::Good)
}

fn decide(loaded: &Loaded, args: &Explain) -> Result<Decision, Failure> {
    match (&args.gateway, &args.to) {
        (Some(gateway), _) => at_gateway(loaded, args, gateway),
        (None, Some(target)) => in_mesh(loaded, args, target),
        // The parser asks for one of the two.
        (None, None) => Err(Failure::usage(
            "name a Service with --to or a Gateway with --gateway",
        )),
    }
}

fn at_gateway(loaded: &Loaded, args: &Explain, asked: &Reference) -> Result<Decision, Failure> {
    let name = &asked.name;
    let gateway = loaded.output.tables.gateways.get(name);
    let gateway = gateway.ok_or_else(|| why_no_gateway(loaded, name))?;
    let port = port_of(gateway, asked.port)?;
    let hostname = port.listeners.iter().find_map(|it| it.hostname.as_ref());
    let authority = match hostname {
        Some(hostname) => hostname.to_string().replace('*', "www"),
        None => "localhost".to_owned(),
    };
    let scheme = decision::scheme_of(port.protocol);
    let authority = match port.port {
        number if number == scheme.default_port() => authority,
        number => format!("{authority}:{number}"),
    };
    let question = Question::new(args, &authority)?;
    let endpoints = loaded.endpoints();
    let given = Given {
        question: &question,
        endpoints: endpoints.table(),
        context: FilterContext {
            scheme,
            port: port.port,
        },
    };
    let entry = |listener: Option<&str>| Entry {
        kind: "Gateway",
        name: name.to_string(),
        port: port.port,
        protocol: match port.protocol {
            PortProtocol::Http => "HTTP",
            PortProtocol::Https => "HTTPS",
        },
        listener: listener.map(str::to_owned),
        client_namespace: None,
        group: None,
    };
    let Question { host, sni, .. } = &question;
    if let Some((listener, reason)) = refused_handshake(port, sni.as_deref()) {
        return Ok(given.ended(entry(listener), Answer::NoHandshake { reason }));
    }
    Ok(match port.listener_for(sni.as_deref(), host) {
        ListenerChoice::Serve(at) => match port.listeners.get(at) {
            Some(listener) => given.routed(entry(Some(&listener.name)), &listener.routes),
            None => given.ended(entry(None), Answer::status(404, "no listener")),
        },
        ListenerChoice::NotFound => {
            let reason = format!("no listener of port {} takes the host {host}", port.port);
            given.ended(entry(None), Answer::status(404, reason))
        }
        ListenerChoice::Misdirected => {
            let sni = sni.as_deref().unwrap_or("no server name");
            let reason = format!("another listener than that of {sni} serves the host {host}");
            given.ended(entry(None), Answer::status(421, reason))
        }
    })
}

/// Why no TLS connection for the server name comes about, with the listener it would belong to.
fn refused_handshake<'p>(port: &'p Port, sni: Option<&str>) -> Option<(Option<&'p str>, String)> {
    if port.protocol != PortProtocol::Https {
        return None;
    }
    // The listener of a connection is the one that would serve a request for the connection's name.
    let name = sni.unwrap_or_default();
    let ListenerChoice::Serve(at) = port.listener_for(sni, name) else {
        let reason = format!(
            "no listener of port {} takes the server name {name:?}",
            port.port
        );
        return Some((None, reason));
    };
    let listener = port.listeners.get(at)?;
    let reason = || {
        format!(
            "listener {:?} has no certificate that can be used; `weft analyze` says why",
            listener.name
        )
    };
    let refused = listener.certificates.is_empty();
    refused.then(|| (Some(&*listener.name), reason()))
}

fn port_of(gateway: &Gateway, asked: Option<u16>) -> Result<&Port, Failure> {
    let open = || {
        let ports = gateway.ports.iter().map(|port| port.port.to_string());
        ports.collect::<Vec<_>>().join(", ")
    };
    let found = match asked {
        Some(number) => gateway.ports.iter().find(|port| port.port == number),
        None => gateway.ports.first(),
    };
    let name = &gateway.name;
    found.map(AsRef::as_ref).ok_or_else(|| match asked {
        Some(number) => Failure::errors(format!(
            "Gateway {name} does not serve port {number}; its ports: {}",
            open()
        )),
        None => Failure::errors(format!("Gateway {name} serves no port; see `weft analyze`")),
    })
}

/// Why a Gateway is not in the tables, in the words of its status.
fn why_no_gateway(loaded: &Loaded, name: &Name) -> Failure {
    let key = ObjectKey::new(name.namespace.clone(), name.name.clone());
    let status = loaded
        .output
        .statuses
        .get(&ObjectRef::new(Kind::Gateway, key));
    let refused = |conditions: &[Condition]| {
        let refused = conditions
            .iter()
            .find(|it| it.status == ConditionStatus::False);
        refused.map(|it| format!("{}: {}", it.reason, it.message))
    };
    let why = match status.map(AsRef::as_ref) {
        Some(Status::Gateway(status)) => refused(&status.conditions),
        _ => None,
    };
    match why {
        Some(why) => Failure::errors(format!("Gateway {name} is not served: {why}")),
        None => Failure::errors(format!(
            "there is no Gateway {name}; known: {}",
            names(
                loaded
                    .store
                    .gateways()
                    .entries()
                    .map(|(key, _)| key.to_string())
            )
        )),
    }
}

fn in_mesh(loaded: &Loaded, args: &Explain, asked: &Target) -> Result<Decision, Failure> {
    let name = asked.name(&args.namespace);
    let frontend = frontend_of(loaded, &name, asked.port)?;
    let authority = format!("{}.{}", name.name, name.namespace);
    let authority = match frontend.port {
        80 => authority,
        port => format!("{authority}:{port}"),
    };
    let question = Question::new(args, &authority)?;
    let endpoints = loaded.endpoints();
    let given = Given {
        question: &question,
        endpoints: endpoints.table(),
        context: FilterContext {
            scheme: Scheme::Http,
            port: frontend.port,
        },
    };
    let (group, routes) = group_of(frontend, &args.namespace);
    let entry = Entry {
        kind: "Service",
        name: name.to_string(),
        port: frontend.port,
        protocol: match frontend.protocol {
            FrontendProtocol::Http => "HTTP",
            FrontendProtocol::Http2 => "HTTP/2",
            FrontendProtocol::Opaque => "opaque",
        },
        listener: None,
        client_namespace: Some(args.namespace.clone()),
        group: Some(group),
    };
    Ok(match (routes, frontend.fault) {
        (Some(routes), _) => given.routed(entry, routes),
        (None, Some(fault)) => {
            let reason = format!("the Service's endpoints cannot be used: {}", fault.as_str());
            given.ended(entry, Answer::status(500, reason))
        }
        (None, None) => {
            let port = ServicePort {
                service: name,
                port: frontend.port,
            };
            given.passed_through(entry, &port)
        }
    })
}

fn frontend_of<'l>(
    loaded: &'l Loaded,
    name: &Name,
    port: Option<u16>,
) -> Result<&'l Frontend, Failure> {
    let service = loaded.output.tables.services.get(name).ok_or_else(|| {
        let known = loaded
            .output
            .tables
            .services
            .keys()
            .map(ToString::to_string);
        Failure::errors(match loaded.store.service(&name.namespace, &name.name) {
            Some(_) => format!("Service {name} has no ClusterIP: clients dial its endpoints"),
            None => format!("there is no Service {name}; known: {}", names(known)),
        })
    })?;
    let frontend = match (port, service.ports.as_slice()) {
        (Some(port), _) => service.port(port),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    frontend.map(AsRef::as_ref).ok_or_else(|| {
        let ports = names(service.ports.iter().map(|it| it.port.to_string()));
        Failure::errors(format!("name a TCP port of Service {name}: {ports}"))
    })
}

fn group_of<'f>(
    frontend: &'f Frontend,
    client_namespace: &str,
) -> (String, Option<&'f weft_ir::RouteSet>) {
    match frontend.group(client_namespace) {
        Group::Consumer(routes) => {
            let replaced = if frontend.producer.is_some() {
                "   (replaces the producer's routes)"
            } else {
                ""
            };
            (
                format!("consumer {client_namespace}{replaced}"),
                Some(routes),
            )
        }
        Group::Producer(routes) => ("producer".to_owned(), Some(routes)),
        Group::PassThrough => {
            let then = match frontend.fault {
                Some(_) => "refused",
                None => "balanced over the endpoints",
            };
            (format!("none   ({then})"), None)
        }
    }
}

/// A list for an error message, short enough to read.
fn names(all: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let all: Vec<String> = all.collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", all[..SHOWN].join(", "), count - SHOWN),
        _ => all.join(", "),
    }
}
