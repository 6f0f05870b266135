//! Compiled rules, each once, however many tables share it.

use std::{fmt::Write, sync::Arc};

use weft_ir::{
    Backend, Filters, GrpcMatch, GrpcMethodMatch, HeaderMatch, HttpMatch, Matches, PathMatch,
    Retry, Rule, StringMatch, Tables, Target, Timeouts,
};

use crate::answer::rule_name;

/// Every rule of the tables. A route compiles once for Gateways and once for the mesh, so two rules
/// of one name are told apart by their parents where they differ.
pub(super) fn rules(tables: &Tables) -> String {
    let mut seen: Vec<(String, Vec<&str>)> = Vec::new();
    let mut add = |rule: &Arc<Rule>, mode: &'static str| {
        let page = format!("{}{{}}\n{}", rule_name(rule), rule_page(rule));
        match seen.iter_mut().find(|(known, _)| *known == page) {
            Some((_, modes)) if modes.contains(&mode) => {}
            Some((_, modes)) => modes.push(mode),
            None => seen.push((page, vec![mode])),
        }
    };
    for gateway in tables.gateways.values() {
        let listeners = gateway.ports.iter().flat_map(|port| &port.listeners);
        for rule in listeners.flat_map(|listener| listener.routes.rules()) {
            add(rule, " at gateways");
        }
    }
    for port in tables.services.values().flat_map(|service| &service.ports) {
        let groups = port.producer.iter().chain(port.consumers.values());
        for rule in groups.flat_map(|routes| routes.rules()) {
            add(rule, " in the mesh");
        }
    }
    seen.sort();
    let title = |page: &str| page.lines().next().unwrap_or_default().to_owned();
    let titles: Vec<String> = seen.iter().map(|(page, _)| title(page)).collect();
    let mut text = String::new();
    for (page, modes) in &seen {
        let twice = titles.iter().filter(|other| **other == title(page)).count() > 1;
        text.push_str(&page.replacen("{}", if twice { modes[0] } else { "" }, 1));
    }
    text
}

fn rule_page(rule: &Rule) -> String {
    let mut text = String::new();
    match &rule.matches {
        Matches::Http(matches) => {
            for one in matches {
                let _ = writeln!(text, "  match {}", http_match(one));
            }
        }
        Matches::Grpc(matches) => {
            for one in matches {
                let _ = writeln!(text, "  match {}", grpc_match(one));
            }
        }
    }
    filters(&mut text, "  ", &rule.filters);
    limits(&mut text, &rule.timeouts, rule.retry.as_ref());
    if rule.idempotent {
        text.push_str("  every request may be made twice\n");
    }
    for backend in &rule.backends {
        backend_page(&mut text, backend);
    }
    if rule.backends.is_empty() && !rule.filters.is_terminal() {
        text.push_str("  no backend\n");
    }
    text
}

fn filters(text: &mut String, indent: &str, filters: &Filters) {
    for filter in filters {
        let _ = writeln!(text, "{indent}filter {filter}");
    }
}

fn limits(text: &mut String, timeouts: &Timeouts, retry: Option<&Retry>) {
    let spans = [
        ("request", timeouts.request),
        ("backend", timeouts.backend_request),
    ];
    for (name, span) in spans {
        if let Some(span) = span {
            let _ = writeln!(text, "  {name} timeout {span:?}");
        }
    }
    if let Some(Retry {
        codes,
        attempts,
        backoff,
    }) = retry
    {
        let _ = writeln!(
            text,
            "  retry {attempts} times on {codes:?}, backoff {backoff:?}"
        );
    }
}

fn backend_page(text: &mut String, backend: &Backend) {
    let _ = match &backend.target {
        Target::Service {
            port,
            protocol,
            tls,
        } => {
            let _ = writeln!(text, "  to {} of {port} {protocol:?}", backend.weight);
            tls.iter().try_for_each(|tls| writeln!(text, "    {tls}"))
        }
        Target::Fault { fault, reference } => {
            writeln!(
                text,
                "  to {} of 500 {}: {reference}",
                backend.weight,
                fault.as_str()
            )
        }
    };
    filters(text, "    ", &backend.filters);
}

fn http_match(one: &HttpMatch) -> String {
    let mut conditions = Vec::new();
    match &one.path {
        PathMatch::Exact(path) => conditions.push(format!("Exact {path}")),
        PathMatch::Prefix(path) if path.is_empty() => {}
        PathMatch::Prefix(path) => conditions.push(format!("PathPrefix {path}")),
        PathMatch::Regex(regex) => {
            conditions.push(format!("RegularExpression {}", regex.pattern()))
        }
    }
    conditions.extend(one.method.iter().map(ToString::to_string));
    headers(&mut conditions, &one.headers);
    for query in &one.query {
        conditions.push(format!("query {}{}", query.name, value(&query.value)));
    }
    all(&conditions)
}

fn grpc_match(one: &GrpcMatch) -> String {
    let mut conditions = Vec::new();
    match &one.method {
        None => {}
        Some(GrpcMethodMatch::Exact { service, method }) => conditions.push(format!(
            "{}/{}",
            service.as_deref().unwrap_or("*"),
            method.as_deref().unwrap_or("*")
        )),
        Some(GrpcMethodMatch::Regex { service, method }) => {
            for (name, regex) in [("service", service), ("method", method)] {
                if let Some(regex) = regex {
                    conditions.push(format!("{name}~{}", regex.pattern()));
                }
            }
        }
    }
    headers(&mut conditions, &one.headers);
    all(&conditions)
}

fn headers(conditions: &mut Vec<String>, headers: &[HeaderMatch]) {
    for header in headers {
        conditions.push(format!("header {}{}", header.name, value(&header.value)));
    }
}

fn value(value: &StringMatch) -> String {
    match value {
        StringMatch::Exact(wanted) => format!("={wanted}"),
        StringMatch::Regex(regex) => format!("~{}", regex.pattern()),
    }
}

fn all(conditions: &[String]) -> String {
    if conditions.is_empty() {
        "everything".to_owned()
    } else {
        conditions.join(", ")
    }
}
