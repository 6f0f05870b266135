//! Routes and requests as one line of text each, for tests.
//!
//! Route: `KIND NAMESPACE/NAME [@CREATED] [HOSTNAME…] | MATCH [; MATCH…] [| MATCH…]`, where each `|`
//! between spaces starts a rule. Match: any of `/prefix`, `=/exact`, `~/regex`, a method,
//! `name:value`, `name~regex`, `?name=value`, `?name~regex`; in a `grpc` route `=service/method` and
//! `~service/method`, of which either part may be empty; `!` is a match of a newer version. Request: `METHOD HOST/PATH?QUERY
//! [name:value…]`, with `GRPC` as method for a call. `_` in the value of a header stands for a space.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, request::Parts};

use crate::{
    Filters, GrpcMatch, GrpcMethodMatch, HeaderMatch, Hostname, HttpMatch, Matches, Name,
    PathMatch, QueryMatch, Regex, RequestView, RouteEntry, RouteId, RouteKind, Rule, StringMatch,
    Timeouts, host_of, normalise,
};

/// The rows of a table whose columns are at least two spaces apart.
pub(crate) fn rows<const COLUMNS: usize>(table: &str) -> impl Iterator<Item = [&str; COLUMNS]> {
    table.lines().filter(|line| !line.is_empty()).map(|line| {
        let columns: Vec<&str> = line
            .split("  ")
            .map(str::trim)
            .filter(|column| !column.is_empty())
            .collect();
        columns
            .try_into()
            .unwrap_or_else(|_| panic!("row {line:?} has not {COLUMNS} columns"))
    })
}

/// A route as a table holds it.
pub(crate) fn route(line: &str) -> RouteEntry {
    let mut parts = line.split(" | ");
    let mut head = parts.next().unwrap().split_whitespace();
    let kind = match head.next() {
        Some("http") => RouteKind::Http,
        Some("grpc") => RouteKind::Grpc,
        other => panic!("route kind {other:?} in {line:?}"),
    };
    let (namespace, name) = head.next().unwrap().split_once('/').unwrap();
    let id = Arc::new(RouteId {
        kind,
        name: Name::new(namespace, name),
    });
    let mut entry = RouteEntry {
        hostnames: Vec::new(),
        created: None,
        rules: Vec::new(),
    };
    for word in head {
        match word.strip_prefix('@') {
            Some(created) => entry.created = Some(created.parse().unwrap()),
            None => entry.hostnames.push(Hostname::parse(word).unwrap()),
        }
    }
    entry.rules = parts
        .enumerate()
        .map(|(at, rule)| Arc::new(self::rule(&id, at, rule)))
        .collect();
    entry
}

fn rule(id: &Arc<RouteId>, index: usize, text: &str) -> Rule {
    let matches = match id.kind {
        RouteKind::Http => Matches::Http(text.split(';').map(http_match).collect()),
        RouteKind::Grpc => Matches::Grpc(text.split(';').map(grpc_match).collect()),
    };
    Rule {
        route: Arc::clone(id),
        index: u16::try_from(index).unwrap(),
        name: None,
        matches,
        filters: Filters::default(),
        backends: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    }
}

/// A match of an HTTPRoute.
pub(crate) fn http_match(text: &str) -> HttpMatch {
    if text.trim() == "!" {
        return HttpMatch::unsupported();
    }
    let (mut path, mut method) = (PathMatch::default(), None);
    let (mut headers, mut query) = (Vec::new(), Vec::new());
    for word in words(text) {
        if let Some(parameter) = word.strip_prefix('?') {
            let (name, value) = condition(parameter, '=');
            query.push(QueryMatch {
                name: name.into(),
                value,
            });
        } else if let Some(exact) = word.strip_prefix('=') {
            path = PathMatch::exact(exact).unwrap();
        } else if let Some(regex) = word.strip_prefix('~') {
            path = PathMatch::regex(regex).unwrap();
        } else if word.starts_with('/') {
            path = PathMatch::prefix(word).unwrap();
        } else if word.contains([':', '~']) {
            headers.push(header(word));
        } else {
            method = Some(Method::from_bytes(word.as_bytes()).unwrap());
        }
    }
    HttpMatch::new(path, method, headers, query)
}

/// A match of a GRPCRoute.
pub(crate) fn grpc_match(text: &str) -> GrpcMatch {
    if text.trim() == "!" {
        return GrpcMatch::unsupported();
    }
    let (mut method, mut headers) = (None, Vec::new());
    for word in words(text) {
        let call = |call: &str| {
            let (service, method) = call.split_once('/').unwrap();
            (service.to_owned(), method.to_owned())
        };
        if let Some(exact) = word.strip_prefix('=') {
            let (service, name) = call(exact);
            method = Some(GrpcMethodMatch::exact(Some(&service), Some(&name)));
        } else if let Some(regex) = word.strip_prefix('~') {
            let (service, name) = call(regex);
            method = Some(GrpcMethodMatch::regex(Some(&service), Some(&name)).unwrap());
        } else {
            headers.push(header(word));
        }
    }
    GrpcMatch::new(method, headers)
}

/// The conditions of a match; `-` stands for none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| *word != "-")
}

fn header(word: &str) -> HeaderMatch {
    let (name, value) = condition(word, ':');
    HeaderMatch {
        name: HeaderName::from_bytes(name.as_bytes()).unwrap(),
        value,
    }
}

fn condition(word: &str, equals: char) -> (&str, StringMatch) {
    let at = word.find([equals, '~']).unwrap();
    let (name, value) = (&word[..at], word[at + 1..].replace('_', " "));
    if word[at..].starts_with('~') {
        (name, StringMatch::Regex(Regex::new(&value).unwrap()))
    } else {
        (name, StringMatch::Exact(value.into()))
    }
}

/// A request in the canonical form, and its host.
pub(crate) struct Request {
    head: Parts,
    host: String,
}

/// A request as the data path hands it over.
pub(crate) fn request(line: &str) -> Request {
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (authority, target) = target.split_at(target.find('/').unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = normalise(path).unwrap().path;
    let uri = if query.is_empty() {
        path.into_owned()
    } else {
        format!("{path}?{query}")
    };
    let mut request = http::Request::builder().uri(uri).header("host", authority);
    if method == "GRPC" {
        request = request
            .method("POST")
            .header("content-type", "application/grpc");
    } else {
        request = request.method(method);
    }
    for word in words {
        let (name, value) = word.split_once(':').unwrap();
        request = request.header(
            name,
            HeaderValue::from_str(&value.replace('_', " ")).unwrap(),
        );
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    Request {
        head,
        host: host_of(authority).to_ascii_lowercase(),
    }
}

impl Request {
    /// What matching sees.
    pub(crate) fn view(&self) -> RequestView<'_> {
        RequestView::new(&self.head, &self.host)
    }
}
