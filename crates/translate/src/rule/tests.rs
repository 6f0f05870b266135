//! How rules compile: one table row per clause of the specification, each naming its source.
//!
//! A row is a rule in YAML and what becomes of it, one fact per line: conditions that are not at
//! their good value, the rule as the data path sees it, findings with their field. Every rule under
//! test has a sound neighbour in its route, which must never notice.

mod backends;
mod filter_lists;
mod filters;
mod matches;
mod policies;
mod properties;
mod verdicts;
mod world;

use std::{fmt::Write, sync::Arc};

use weft_api::{GrpcRoute, HttpRoute, filter::FilterType, reference::BackendRef};
use weft_ir::{
    Backend, GrpcMatch, GrpcMethodMatch, HeaderMatch, HttpMatch, Matches, Name, PathMatch, RouteId,
    Rule, StringMatch, Target,
};

use self::world::WORLD;
use crate::{
    Input, Scope,
    context::{CompileContext, ParentMode, Uses},
    notes::Note,
    route::{CompiledRoute, RouteKind},
};

/// A rule and what becomes of it.
type Row<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Compiles each rule as the first of an HTTPRoute at a gateway.
fn check(rows: &[Row<'_>]) {
    for (name, rule, expected) in rows {
        assert_eq!(
            http_rule(rule, ParentMode::Gateway),
            *expected,
            "{name}\nrule: {rule}"
        );
    }
}

/// The same for GRPCRoutes.
fn check_grpc(rows: &[Row<'_>]) {
    for (name, rule, expected) in rows {
        assert_eq!(grpc_rule(rule), *expected, "{name}\nrule: {rule}");
    }
}

/// What becomes of the first rule of an HTTPRoute `shop/route`. A rule without backend gets one,
/// Service `shop/web` port 80, which is not shown.
fn http_rule(rule: &str, parent: ParentMode) -> Vec<String> {
    let mut rule: weft_api::route::HttpRule = read(rule);
    let redirects = rule
        .filters
        .iter()
        .any(|f| f.type_ == FilterType::RequestRedirect);
    if rule.backend_refs.is_empty() && !redirects {
        rule.backend_refs.push(web());
    }
    let neighbour =
        read("{matches: [{path: {value: /sound}}], backendRefs: [{name: web, port: 80}]}");
    let mut route = HttpRoute::default();
    route.spec.rules = vec![rule, neighbour];
    first_rule(&compile(route, parent))
}

fn grpc_rule(rule: &str) -> Vec<String> {
    let mut rule: weft_api::route::GrpcRule = read(rule);
    if rule.backend_refs.is_empty() {
        rule.backend_refs.push(web());
    }
    let neighbour =
        read("{matches: [{method: {service: sound}}], backendRefs: [{name: web, port: 80}]}");
    let mut route = GrpcRoute::default();
    route.spec.rules = vec![rule, neighbour];
    first_rule(&compile(route, ParentMode::Gateway))
}

/// A route compiled in the test world.
struct Outcome {
    compiled: CompiledRoute,
    notes: Vec<Note>,
    uses: Uses,
}

fn compile<R: RouteKind>(mut route: R, parent: ParentMode) -> Outcome {
    let metadata = route.metadata_mut();
    metadata.namespace = Some("shop".into());
    metadata.name = Some("route".into());
    let id = RouteId {
        kind: R::ROUTE_KIND,
        name: Name::new("shop", "route"),
    };
    let scope = Scope::standalone();
    let input = Input {
        store: &WORLD,
        scope: &scope,
    };
    let mut context = CompileContext::new(input, parent, Arc::new(id));
    let compiled = route.compile(&mut context);
    let (notes, uses) = context.finish();
    Outcome {
        compiled,
        notes,
        uses,
    }
}

/// The facts about the first rule, after a look at its neighbour.
fn first_rule(outcome: &Outcome) -> Vec<String> {
    let compiled = &outcome.compiled;
    if compiled.accepted.is_ok() {
        let neighbour = compiled
            .rules
            .last()
            .expect("a sound rule stays in the tables");
        let mut shown = show_rule(neighbour);
        shown.truncate(
            shown
                .find(" -> shop/web:80 AsClient")
                .unwrap_or(shown.len()),
        );
        assert!(
            ["/sound", "sound/*"].contains(&&*shown),
            "the sound rule became {shown:?}"
        );
    }
    let mut lines = conditions(compiled);
    lines.extend(
        compiled
            .rules
            .iter()
            .filter(|rule| rule.index == 0)
            .map(|rule| show_rule(rule)),
    );
    lines.extend(findings(&outcome.notes));
    lines
}

/// Conditions that are not at their good value.
fn conditions(compiled: &CompiledRoute) -> Vec<String> {
    let mut lines = Vec::new();
    for (condition, verdict) in [
        ("Accepted", &compiled.accepted),
        ("ResolvedRefs", &compiled.resolved_refs),
    ] {
        if let Err(rejection) = verdict {
            lines.push(format!("{condition}=False/{}", rejection.reason));
        }
    }
    if let Some(rejection) = &compiled.partially_invalid {
        assert_eq!(
            rejection.reason, "UnsupportedValue",
            "the only reason the API has"
        );
        assert!(
            rejection.message.starts_with("Dropped Rule"),
            "{}",
            rejection.message
        );
        lines.push("PartiallyInvalid".to_owned());
    }
    lines
}

/// Code and field of each finding but the summary of a dropped rule, which `PartiallyInvalid` shows.
fn findings(notes: &[Note]) -> impl Iterator<Item = String> {
    let notes = notes.iter().filter(|note| note.code.id != "WA219");
    notes.map(|note| format!("{} {}", note.code.id, note.field))
}

fn show_rule(rule: &Rule) -> String {
    let mut text = match &rule.matches {
        Matches::Http(matches) => list(matches, show_http),
        Matches::Grpc(matches) => list(matches, show_grpc),
    };
    for filter in &rule.filters {
        write!(text, " | {filter}").expect("a String takes everything");
    }
    let backends = list(&rule.backends, show_backend);
    if !matches!(
        backends.as_str(),
        "" | "shop/web:80 Http1" | "shop/web:80 Http2"
    ) {
        write!(text, " -> {backends}").expect("a String takes everything");
    }
    text
}

fn list<T>(items: &[T], show: fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn show_http(http: &HttpMatch) -> String {
    let mut parts = vec![match &http.path {
        PathMatch::Prefix(prefix) if prefix.is_empty() => "/".to_owned(),
        PathMatch::Prefix(prefix) => prefix.to_string(),
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Regex(regex) => format!("~{}", regex.pattern()),
    }];
    parts.extend(http.method.as_ref().map(ToString::to_string));
    parts.extend(http.headers.iter().map(show_header));
    parts.extend(
        http.query
            .iter()
            .map(|query| format!("?{}{}", query.name, show(&query.value))),
    );
    parts.join(" ")
}

fn show_grpc(grpc: &GrpcMatch) -> String {
    let any = |part: Option<&str>| part.unwrap_or("*").to_owned();
    let mut parts = vec![match &grpc.method {
        None => "*/*".to_owned(),
        Some(GrpcMethodMatch::Exact { service, method }) => {
            format!("{}/{}", any(service.as_deref()), any(method.as_deref()))
        }
        Some(GrpcMethodMatch::Regex { service, method }) => {
            let pattern = |regex: &Option<weft_ir::Regex>| {
                regex
                    .as_ref()
                    .map_or("*".to_owned(), |regex| format!("~{}", regex.pattern()))
            };
            format!("{}/{}", pattern(service), pattern(method))
        }
    }];
    parts.extend(grpc.headers.iter().map(show_header));
    parts.join(" ")
}

fn show_header(header: &HeaderMatch) -> String {
    format!("{}{}", header.name, show(&header.value))
}

fn show(value: &StringMatch) -> String {
    match value {
        StringMatch::Exact(text) => format!("={text}"),
        StringMatch::Regex(regex) => format!("~{}", regex.pattern()),
    }
}

fn show_backend(backend: &Backend) -> String {
    let mut text = match &backend.target {
        Target::Service {
            port,
            protocol,
            tls,
        } => {
            let tls = tls.as_ref().map(|tls| format!(" {tls}"));
            format!("{port} {protocol:?}{}", tls.unwrap_or_default())
        }
        Target::Fault { fault, reference } => format!("{}({reference})", fault.as_str()),
    };
    if backend.weight != 1 {
        write!(text, " x{}", backend.weight).expect("a String takes everything");
    }
    for filter in &backend.filters {
        write!(text, " [{filter}]").expect("a String takes everything");
    }
    text
}

fn web() -> BackendRef {
    read("{name: web, port: 80}")
}

fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}
