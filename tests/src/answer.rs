//! What becomes of a request, by the code the data path runs: listener or group, winning rule,
//! filters, backends.

use std::fmt::Write;

use http::{HeaderMap, request::Parts};
use weft_ir::{
    Backend, Effect, Explanation, FilterContext, Filters, Group, ListenerChoice, Name, NoRecord,
    Outcome, Port, PortProtocol, RequestView, RouteSet, Rule, Scheme, Tables, Target, host_of,
    is_grpc, normalise,
};

use crate::ask::{Ask, Entry};

const NO_LISTENER: &str = "404 no listener takes the host";

/// Answers one question, as indented lines.
pub fn answer(tables: &Tables, ask: &Ask) -> String {
    let mut lines = Lines::default();
    match table(tables, ask) {
        Ok((routes, context)) => lines.route(routes, &context, ask),
        Err(end) if end == NO_LISTENER && is_grpc(&ask.headers) => {
            lines.line("grpc UNIMPLEMENTED, no listener takes the host");
        }
        Err(end) => lines.line(&end),
    }
    lines.text
}

/// The table of a request and what filters need to know, or the end of the matter.
fn table<'t>(tables: &'t Tables, ask: &Ask) -> Result<(&'t RouteSet, FilterContext), String> {
    match &ask.entry {
        Entry::Gateway {
            name,
            scheme,
            port,
            sni,
        } => {
            let context = FilterContext {
                scheme: *scheme,
                port: *port,
            };
            let host = host(&ask.headers);
            listener(tables, name, *port, sni.as_deref(), &host).map(|routes| (routes, context))
        }
        Entry::Mesh {
            client,
            service,
            port,
        } => {
            let context = FilterContext {
                scheme: Scheme::Http,
                port: *port,
            };
            let frontend = tables
                .services
                .get(service)
                .and_then(|service| service.port(*port));
            let Some(frontend) = frontend else {
                return Err("not a Service port of the mesh".to_owned());
            };
            match frontend.group(client) {
                Group::Consumer(routes) | Group::Producer(routes) => Ok((routes, context)),
                Group::PassThrough => Err(match frontend.fault {
                    Some(fault) if is_grpc(&ask.headers) => {
                        format!("grpc UNAVAILABLE {}, not passed through", fault.as_str())
                    }
                    Some(fault) => format!("500 {}, not passed through", fault.as_str()),
                    None => match &frontend.tls {
                        Some(_) => format!("passed through to {service}:{port} in TLS"),
                        None => format!("passed through to {service}:{port}"),
                    },
                }),
            }
        }
    }
}

fn listener<'t>(
    tables: &'t Tables,
    gateway: &Name,
    port: u16,
    sni: Option<&str>,
    host: &str,
) -> Result<&'t RouteSet, String> {
    let gateway = tables.gateways.get(gateway).ok_or("no such Gateway")?;
    let port = gateway
        .ports
        .iter()
        .find(|open| open.port == port)
        .ok_or("port is not open")?;
    if port.protocol == PortProtocol::Https {
        handshake(port, sni)?;
    }
    match port.listener_for(sni, host) {
        ListenerChoice::Serve(at) => Ok(&port.listeners[at].routes),
        ListenerChoice::NotFound => Err(NO_LISTENER.to_owned()),
        ListenerChoice::Misdirected => Err("421 misdirected".to_owned()),
    }
}

/// Whether the listener that the server name chooses can make a connection at all.
fn handshake(port: &Port, sni: Option<&str>) -> Result<(), String> {
    match port.listener_for(sni, sni.unwrap_or_default()) {
        ListenerChoice::Serve(at) if port.listeners[at].certificates.is_empty() => {
            Err("no handshake, the listener has no usable certificate".to_owned())
        }
        ListenerChoice::Serve(_) => Ok(()),
        _ => Err("no handshake, no listener has the server name".to_owned()),
    }
}

/// Host of the authority, in lower case and without port.
fn host(headers: &HeaderMap) -> String {
    let authority = headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    host_of(authority.unwrap_or_default()).to_ascii_lowercase()
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, line: &str) {
        self.text.push_str("  ");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn route(&mut self, routes: &RouteSet, context: &FilterContext, ask: &Ask) {
        let (path, query) = match ask.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (ask.target.as_str(), None),
        };
        let normal = match normalise(path) {
            Ok(normal) => normal,
            Err(error) => return self.line(&format!("400 {error}")),
        };
        if normal.encoded_separator && routes.restricts_by_path() {
            return self.line("400 encoded separator");
        }
        let mut target = normal.path.into_owned();
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        let mut parts = http::Request::new(()).into_parts().0;
        parts.method = ask.method.clone();
        parts.uri = target.parse().expect("a normalised path is a URI");
        parts.headers = ask.headers.clone();
        let host = host(&parts.headers);
        let view = RequestView::new(&parts, &host);
        let winner = if ask.explain {
            let mut explanation = Explanation::default();
            let winner = routes.find(&view, &mut explanation);
            self.explain(routes, &explanation);
            winner
        } else {
            routes.find(&view, &mut NoRecord)
        };
        match winner {
            Some(winner) => {
                let rule = &routes.rules()[winner.rule as usize];
                self.line(&format!("{} match {}", rule_name(rule), winner.matched));
                self.serve(rule, context, &parts);
            }
            None if is_grpc(&parts.headers) => self.line("grpc UNIMPLEMENTED, no rule matches"),
            None => self.line("404 no rule matches"),
        }
    }

    fn explain(&mut self, routes: &RouteSet, explanation: &Explanation) {
        for tried in explanation.tried() {
            let rule = rule_name(&routes.rules()[tried.rule as usize]);
            let outcome = match &tried.outcome {
                Outcome::Won => "won".to_owned(),
                Outcome::Lost(step) => format!("lost: {step}"),
                Outcome::Missed(miss) => format!("missed: {miss}"),
            };
            self.line(&format!("tried {rule} match {}: {outcome}", tried.matched));
        }
    }

    /// Rule filters, then for each backend with a share its own.
    fn serve(&mut self, rule: &Rule, context: &FilterContext, original: &Parts) {
        let mut parts = original.clone();
        if let Some(end) = self.filters(&rule.filters, context, &mut parts) {
            let mut headers = end.1;
            rule.filters
                .apply_response(&rule.filters.capture(original), &mut headers);
            let fields = changes(&HeaderMap::new(), &headers);
            return self.line(format!("{} {fields}", end.0).trim_end());
        }
        let total: u64 = rule
            .backends
            .iter()
            .map(|backend| u64::from(backend.weight))
            .sum();
        if total == 0 {
            let grpc = is_grpc(&original.headers);
            self.line(if grpc {
                "grpc UNAVAILABLE, no backend"
            } else {
                "500 no backend"
            });
        }
        for backend in rule.backends.iter().filter(|backend| backend.weight > 0) {
            let share = f64::from(backend.weight) * 100.0 / total as f64;
            let sent = Sent {
                rule,
                backend,
                original,
                share: format!("{share:.0}%"),
            };
            self.backend(&sent, context, parts.clone());
        }
    }

    fn backend(&mut self, sent: &Sent<'_>, context: &FilterContext, mut parts: Parts) {
        let Sent {
            rule,
            backend,
            original,
            share,
        } = sent;
        let captured = backend.filters.capture(&parts);
        let rule_captured = rule.filters.capture(original);
        let mut response = HeaderMap::new();
        if let Target::Fault { fault, reference } = &backend.target {
            let grpc = is_grpc(&original.headers);
            let code = if grpc { "grpc UNAVAILABLE" } else { "500" };
            return self.line(&format!("{share} {code} {} ({reference})", fault.as_str()));
        }
        match self.filters(&backend.filters, context, &mut parts) {
            Some((status, headers)) => {
                response = headers;
                backend.filters.apply_response(&captured, &mut response);
                rule.filters.apply_response(&rule_captured, &mut response);
                let fields = changes(&HeaderMap::new(), &response);
                self.line(format!("{share} {status} {fields}").trim_end());
            }
            None => {
                let Target::Service { port, .. } = &backend.target else {
                    return;
                };
                let head = changes(&original.headers, &parts.headers);
                let mut line = format!("{share} {port} {} {}", parts.method, parts.uri);
                let _ = write!(line, "{}{head}", if head.is_empty() { "" } else { " " });
                self.line(&line);
                response.insert("server", http::HeaderValue::from_static("backend"));
                let before = response.clone();
                backend.filters.apply_response(&captured, &mut response);
                rule.filters.apply_response(&rule_captured, &mut response);
                if response != before {
                    self.line(&format!("  response {}", changes(&before, &response)));
                }
            }
        }
    }

    /// Runs the request half of filters; an answer ends the request.
    fn filters(
        &mut self,
        filters: &Filters,
        context: &FilterContext,
        parts: &mut Parts,
    ) -> Option<(u16, HeaderMap)> {
        for filter in filters {
            match filter.apply_request(parts, context) {
                Effect::Continue => {}
                Effect::Mirror(mirror) => {
                    self.line(&format!("mirror {mirror}: {} {}", parts.method, parts.uri));
                }
                Effect::Respond(answer) => return Some((answer.status.as_u16(), answer.headers)),
            }
        }
        None
    }
}

/// A request on its way to one backend.
struct Sent<'a> {
    rule: &'a Rule,
    backend: &'a Backend,
    original: &'a Parts,
    share: String,
}

/// `HTTPRoute shop/web rule 1 (name)`.
pub fn rule_name(rule: &Rule) -> String {
    let name = rule
        .name
        .as_ref()
        .map(|name| format!(" ({name})"))
        .unwrap_or_default();
    format!("{} rule {}{name}", rule.route, rule.index)
}

/// What changed between two heads: `{x: new, -y}`, in the order of names.
fn changes(before: &HeaderMap, after: &HeaderMap) -> String {
    let mut fields = Vec::new();
    for name in after.keys() {
        let values: Vec<_> = after.get_all(name).iter().collect();
        if !before.get_all(name).iter().eq(values.iter().copied()) {
            for value in values {
                fields.push(format!(
                    "{name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                ));
            }
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    fields.extend(gone.map(|name| format!("-{name}")));
    fields.sort();
    if fields.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", fields.join("; "))
    }
}
