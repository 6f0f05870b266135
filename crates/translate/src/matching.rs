//! Matches of rules, from the API's form to the tables' form.
//!
//! A match that cannot be compiled takes no request; as the rule is then no longer what its author
//! wrote, its other matches answer 500 and `PartiallyInvalid` names the broken one. A value of a
//! closed enum that this version does not know refuses the whole route, as the API asks.

mod path;

use http::{HeaderName, Method};
use weft_api::route::{
    GrpcMatch, GrpcMethodMatch, HttpMatch, HttpMethod, ValueMatch, ValueMatchType,
};
use weft_ir::{HeaderMatch, PathMatch, QueryMatch, Regex, RegexError, StringMatch};

use crate::{
    field::{Field, Quoted},
    notes::{self, Code},
    verdict::{Judge, Refusal},
};

/// The matches of an HTTPRoute rule that can be compiled. No match at all is PathPrefix `/`.
pub(crate) fn http(
    judge: &mut Judge<'_, '_>,
    matches: &[HttpMatch],
    at: &Field<'_>,
) -> Vec<weft_ir::HttpMatch> {
    if matches.is_empty() {
        return vec![weft_ir::HttpMatch::default()];
    }
    // Exactly as large as needed: there are as many of these lists as rules.
    let mut compiled = Vec::with_capacity(matches.len());
    for (index, http_match) in matches.iter().enumerate() {
        compiled.extend(one_http(judge, http_match, &at.index(index)));
    }
    compiled
}

/// The matches of a GRPCRoute rule that can be compiled. No match at all takes every call.
pub(crate) fn grpc(
    judge: &mut Judge<'_, '_>,
    matches: &[GrpcMatch],
    at: &Field<'_>,
) -> Vec<weft_ir::GrpcMatch> {
    if matches.is_empty() {
        return vec![weft_ir::GrpcMatch::default()];
    }
    let mut compiled = Vec::with_capacity(matches.len());
    for (index, grpc_match) in matches.iter().enumerate() {
        let at = at.index(index);
        let method = match &grpc_match.method {
            None => Some(None),
            Some(method) => grpc_method(judge, method, &at.key("method")).map(Some),
        };
        let headers = headers(judge, &grpc_match.headers, &at.key("headers"));
        if let (Some(method), Some(headers)) = (method, headers) {
            compiled.push(weft_ir::GrpcMatch::new(method, headers));
        }
    }
    compiled
}

/// What ReplacePrefixMatch replaces: the prefix of the rule's only match. `None` if the rule does
/// not have exactly one match or that is no PathPrefix (CEL rule of HTTPRouteRule).
pub(crate) fn sole_prefix(written: usize, compiled: &[weft_ir::HttpMatch]) -> Option<&str> {
    match (written, compiled) {
        (0 | 1, [only]) => match &only.path {
            PathMatch::Prefix(prefix) => Some(prefix),
            PathMatch::Exact(_) | PathMatch::Regex(_) => None,
        },
        // The only match is broken, and that has been said.
        (1, []) => Some(""),
        _ => None,
    }
}

fn one_http(
    judge: &mut Judge<'_, '_>,
    http_match: &HttpMatch,
    at: &Field<'_>,
) -> Option<weft_ir::HttpMatch> {
    // All four before any `?`: every problem is worth saying.
    let path = path::compile(judge, http_match.path.as_ref(), &at.key("path"));
    let method = match &http_match.method {
        None => Some(None),
        Some(method) => self::method(judge, method, &at.key("method")).map(Some),
    };
    let headers = headers(judge, &http_match.headers, &at.key("headers"));
    let query = query(judge, &http_match.query_params, &at.key("queryParams"));
    Some(weft_ir::HttpMatch::new(path?, method?, headers?, query?))
}

fn method(judge: &mut Judge<'_, '_>, method: &HttpMethod, at: &Field<'_>) -> Option<Method> {
    let known = !matches!(method, HttpMethod::Unknown(_));
    let parsed = known
        .then(|| Method::from_bytes(method.as_str().as_bytes()).ok())
        .flatten();
    if parsed.is_none() {
        unknown(judge, "method", method.as_str(), at);
    }
    parsed
}

/// Header matches; of entries whose names are equal without case only the first counts
/// (HTTPHeaderMatch.name).
fn headers(
    judge: &mut Judge<'_, '_>,
    entries: &[ValueMatch],
    at: &Field<'_>,
) -> Option<Vec<HeaderMatch>> {
    let mut compiled: Vec<HeaderMatch> = Vec::with_capacity(entries.len());
    let mut whole = true;
    for (index, entry) in entries.iter().enumerate() {
        let at = at.index(index);
        let Ok(name) = HeaderName::try_from(&entry.name) else {
            let message = format!("{} is not a header name", Quoted(&entry.name));
            broken(judge, &notes::INVALID_MATCH, &at.key("name"), &message);
            whole = false;
            continue;
        };
        if compiled.iter().any(|earlier| earlier.name == name) {
            repeated(judge, &entry.name, &at);
            continue;
        }
        match value(judge, entry, &at) {
            Some(value) => compiled.push(HeaderMatch { name, value }),
            None => whole = false,
        }
    }
    whole.then_some(compiled)
}

/// Query matches; of entries with exactly the same name only the first counts
/// (HTTPQueryParamMatch.name).
fn query(
    judge: &mut Judge<'_, '_>,
    entries: &[ValueMatch],
    at: &Field<'_>,
) -> Option<Vec<QueryMatch>> {
    let mut compiled: Vec<QueryMatch> = Vec::with_capacity(entries.len());
    let mut whole = true;
    for (index, entry) in entries.iter().enumerate() {
        let at = at.index(index);
        if entry.name.is_empty() {
            broken(
                judge,
                &notes::INVALID_MATCH,
                &at.key("name"),
                "a parameter has a name",
            );
            whole = false;
            continue;
        }
        if compiled.iter().any(|earlier| *earlier.name == *entry.name) {
            repeated(judge, &entry.name, &at);
            continue;
        }
        match value(judge, entry, &at) {
            Some(value) => compiled.push(QueryMatch {
                name: entry.name.as_str().into(),
                value,
            }),
            None => whole = false,
        }
    }
    whole.then_some(compiled)
}

fn value(judge: &mut Judge<'_, '_>, entry: &ValueMatch, at: &Field<'_>) -> Option<StringMatch> {
    match entry.type_() {
        ValueMatchType::Exact => Some(StringMatch::Exact(entry.value.as_str().into())),
        ValueMatchType::RegularExpression => {
            regex(judge, &entry.value, &at.key("value")).map(StringMatch::Regex)
        }
        ValueMatchType::Unknown(text) => {
            unknown(judge, "match type", text, &at.key("type"));
            None
        }
    }
}

/// Service and method of a call; an empty string is an absent one (GRPCMethodMatch: "At least one
/// of Service and Method MUST be a non-empty string").
fn grpc_method(
    judge: &mut Judge<'_, '_>,
    method: &GrpcMethodMatch,
    at: &Field<'_>,
) -> Option<weft_ir::GrpcMethodMatch> {
    let written = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, name) = (written(&method.service), written(&method.method));
    if service.is_none() && name.is_none() {
        broken(
            judge,
            &notes::INVALID_MATCH,
            at,
            "neither service nor method is given",
        );
        return None;
    }
    match method.type_() {
        ValueMatchType::Exact => {
            let service = grpc_token(judge, service, is_grpc_service, &at.key("service"));
            let method = grpc_token(judge, name, is_grpc_method, &at.key("method"));
            Some(weft_ir::GrpcMethodMatch::Exact {
                service: service?,
                method: method?,
            })
        }
        ValueMatchType::RegularExpression => {
            let mut compile = |text: Option<String>, key| match text {
                None => Some(None),
                Some(text) => regex(judge, &text, &at.key(key)).map(Some),
            };
            let service = compile(service, "service");
            let method = compile(name, "method");
            Some(weft_ir::GrpcMethodMatch::Regex {
                service: service?,
                method: method?,
            })
        }
        ValueMatchType::Unknown(text) => {
            unknown(judge, "match type", text, &at.key("type"));
            None
        }
    }
}

fn grpc_token(
    judge: &mut Judge<'_, '_>,
    text: Option<String>,
    valid: fn(&str) -> bool,
    at: &Field<'_>,
) -> Option<Option<Box<str>>> {
    match text {
        Some(text) if !valid(&text) => {
            let message = format!("{} has characters that no gRPC name has", Quoted(&text));
            broken(judge, &notes::INVALID_MATCH, at, &message);
            None
        }
        text => Some(text.map(String::into_boxed_str)),
    }
}

/// `^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$` (CEL rule of GRPCMethodMatch).
fn is_grpc_service(text: &str) -> bool {
    text.strip_prefix('.')
        .unwrap_or(text)
        .split('.')
        .all(is_grpc_method)
}

/// `^[A-Za-z_][A-Za-z_0-9]*$` (CEL rule of GRPCMethodMatch).
fn is_grpc_method(text: &str) -> bool {
    let word = text
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    word && !text.is_empty() && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn regex(judge: &mut Judge<'_, '_>, pattern: &str, at: &Field<'_>) -> Option<Regex> {
    let quoted = Quoted(pattern);
    let (code, message) = match Regex::new(pattern) {
        Ok(regex) => return Some(regex),
        Err(RegexError::TooLarge { .. }) => (
            &notes::REGEX_SIZE,
            format!("{quoted} compiles to more than 1 MiB"),
        ),
        Err(RegexError::Syntax { message, .. }) => (
            &notes::BAD_REGEX,
            format!("{quoted} is not a regular expression: {message}"),
        ),
    };
    broken(judge, code, at, &message);
    None
}

/// A match that takes no request.
fn broken(judge: &mut Judge<'_, '_>, code: &'static Code, at: &Field<'_>, problem: &str) {
    judge.drop_rule(Refusal::UnsupportedValue, code, at, problem);
}

/// A value of a closed enum that this version does not know: "must result in the implementation
/// setting the Accepted Condition for the Route to `status: False`, with a Reason of
/// `UnsupportedValue`" (PathMatchType, HeaderMatchType, QueryParamMatchType, HTTPMethod,
/// GRPCHeaderMatchType).
fn unknown(judge: &mut Judge<'_, '_>, what: &str, text: &str, at: &Field<'_>) {
    let message = format!("{what} {} is not known", Quoted(text));
    judge.refuse_route(&notes::UNSUPPORTED_VALUE, at, message);
}

fn repeated(judge: &mut Judge<'_, '_>, name: &str, at: &Field<'_>) {
    let message = format!(
        "{} is matched above already; this entry is ignored",
        Quoted(name)
    );
    judge.hint(&notes::REPEATED_NAME, at, message);
}
