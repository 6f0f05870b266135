//! Rules in words: matches, backends and limits on one line each.

use weft_ir::{
    Backend, GrpcMatch, GrpcMethodMatch, HeaderMatch, HttpMatch, Matches, PathMatch, Rule,
    StringMatch, Target,
};

#[cfg(test)]
mod tests;

/// `HTTPRoute shop/web rule 1 "cart"`
pub(crate) fn rule_name(rule: &Rule) -> String {
    match &rule.name {
        Some(name) => format!("{} rule {} {name:?}", rule.route, rule.index),
        None => format!("{} rule {}", rule.route, rule.index),
    }
}

/// One match of a rule: `PathPrefix /cart · GET · header x-env=canary`.
pub(crate) fn one_match(rule: &Rule, matched: u16) -> String {
    let at = usize::from(matched);
    let conditions = match &rule.matches {
        Matches::Http(list) => list.get(at).map(http_match),
        Matches::Grpc(list) => list.get(at).map(grpc_match),
    };
    let conditions = conditions.unwrap_or_default();
    if conditions.is_empty() {
        "every request".to_owned()
    } else {
        conditions.join(" · ")
    }
}

fn http_match(one: &HttpMatch) -> Vec<String> {
    let mut conditions = Vec::new();
    match &one.path {
        PathMatch::Exact(path) => conditions.push(format!("Exact {path}")),
        PathMatch::Prefix(path) if path.is_empty() => conditions.push("PathPrefix /".to_owned()),
        PathMatch::Prefix(path) => conditions.push(format!("PathPrefix {path}")),
        PathMatch::Regex(regex) => conditions.push(format!("RegularExpression {regex}")),
    }
    conditions.extend(one.method.iter().map(ToString::to_string));
    conditions.extend(one.headers.iter().map(header_match));
    let query =
        |query: &weft_ir::QueryMatch| format!("query {}{}", query.name, comparison(&query.value));
    conditions.extend(one.query.iter().map(query));
    conditions
}

fn grpc_match(one: &GrpcMatch) -> Vec<String> {
    let any = |part: Option<&str>| part.unwrap_or("*").to_owned();
    let mut conditions = Vec::new();
    match &one.method {
        None => {}
        Some(GrpcMethodMatch::Exact { service, method }) => {
            let (service, method) = (any(service.as_deref()), any(method.as_deref()));
            conditions.push(format!("method {service}/{method}"));
        }
        Some(GrpcMethodMatch::Regex { service, method }) => {
            let service = any(service.as_ref().map(weft_ir::Regex::pattern));
            let method = any(method.as_ref().map(weft_ir::Regex::pattern));
            conditions.push(format!("method ~ {service}/{method}"));
        }
    }
    conditions.extend(one.headers.iter().map(header_match));
    conditions
}

fn header_match(header: &HeaderMatch) -> String {
    format!("header {}{}", header.name, comparison(&header.value))
}

fn comparison(value: &StringMatch) -> String {
    match value {
        StringMatch::Exact(wanted) => format!("={wanted}"),
        StringMatch::Regex(regex) => format!("~{regex}"),
    }
}

/// `shop/web-stable:80`, with the TLS it gets, or the reference and why it cannot be used.
pub(crate) fn target(target: &Target) -> String {
    match target {
        Target::Service {
            port, tls: None, ..
        } => port.to_string(),
        Target::Service {
            port,
            tls: Some(tls),
            ..
        } => format!("{port} in TLS as {}", tls.hostname),
        Target::Fault { fault, reference } => format!("{reference} ({})", fault.as_str()),
    }
}

/// `shop/web-stable:80 80 % · shop/web-canary:80 20 %`
pub(crate) fn split(backends: &[Backend]) -> String {
    let shares = backends
        .iter()
        .map(|backend| format!("{} {}", target(&backend.target), share(backend, backends)));
    shares.collect::<Vec<_>>().join(" · ")
}

/// The share of a backend, in percent of all requests of its rule.
pub(crate) fn share(backend: &Backend, all: &[Backend]) -> String {
    let total: u64 = all.iter().map(|it| u64::from(it.weight)).sum();
    if total == 0 {
        return "0 %".to_owned();
    }
    let permille = (u64::from(backend.weight) * 1000 + total / 2) / total;
    match (permille / 10, permille % 10) {
        (percent, 0) => format!("{percent} %"),
        (percent, tenth) => format!("{percent}.{tenth} %"),
    }
}

/// What a rule of a route with the annotation `weft.dev/idempotent` says.
const IDEMPOTENT: &str = "a request that an endpoint read before it died goes to another one";

/// Timeouts, retries and what may be repeated, where a rule says so.
pub(crate) fn limits(rule: &Rule) -> Vec<String> {
    let mut limits = Vec::new();
    limits.extend(rule.timeouts.request.map(|it| format!("request {it:?}")));
    limits.extend(
        rule.timeouts
            .backend_request
            .map(|it| format!("backend request {it:?}")),
    );
    limits.extend(rule.retry.as_ref().map(|retry| {
        let codes: Vec<_> = retry.codes.iter().map(u16::to_string).collect();
        let on = if codes.is_empty() {
            "connection errors".to_owned()
        } else {
            codes.join(",")
        };
        format!("{} retries on {on}", retry.attempts)
    }));
    limits.extend(rule.idempotent.then(|| IDEMPOTENT.to_owned()));
    limits
}
