//! `RequestHeaderModifier` and `ResponseHeaderModifier`.

use http::{HeaderName, HeaderValue};
use weft_api::filter::{Header, HeaderModifier};

use crate::{
    field::{Field, Quoted},
    notes,
    verdict::{Judge, Refusal},
};

/// Fields that frame a message or belong to one hop (RFC 9110 section 7.6.1, RFC 9112 section 6):
/// the data path writes them, and a filter that could would smuggle requests.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Prefix of the fields in which Weft speaks to itself. What comes from outside is stripped at the
/// first hop, so a filter that touches one would do nothing or, worse, be believed.
const OWN_PREFIX: &str = "x-weft-";

/// What a filter does to a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Set,
    Add,
    Remove,
}

/// Compiles a modifier. "Only one action for a given header name is permitted" (HTTPHeaderFilter);
/// of entries of one list with equal names only the first counts (HTTPHeader.name).
pub(super) fn compile(
    judge: &mut Judge<'_, '_>,
    modifier: &HeaderModifier,
    at: &Field<'_>,
) -> Option<weft_ir::HeaderModifier> {
    let mut seen: Vec<(HeaderName, Action)> = Vec::new();
    let mut compiled = weft_ir::HeaderModifier::default();
    let mut whole = true;
    let lists = [
        (Action::Set, &modifier.set, "set", &mut compiled.set),
        (Action::Add, &modifier.add, "add", &mut compiled.add),
    ];
    for (action, list, key, out) in lists {
        out.reserve_exact(list.len());
        let at = at.key(key);
        for (index, header) in list.iter().enumerate() {
            let at = at.index(index);
            match admit(judge, &header.name, action, &mut seen, &at.key("name")) {
                Admitted::Name(name) => match value(judge, header, &at.key("value")) {
                    Some(value) => out.push((name, value)),
                    None => whole = false,
                },
                Admitted::Ignored => {}
                Admitted::Refused => whole = false,
            }
        }
    }
    let remove_at = at.key("remove");
    compiled.remove.reserve_exact(modifier.remove.len());
    for (index, name) in modifier.remove.iter().enumerate() {
        match admit(
            judge,
            name,
            Action::Remove,
            &mut seen,
            &remove_at.index(index),
        ) {
            Admitted::Name(name) => compiled.remove.push(name),
            Admitted::Ignored => {}
            Admitted::Refused => whole = false,
        }
    }
    whole.then_some(compiled)
}

/// What became of a header name.
enum Admitted {
    Name(HeaderName),
    /// A repeat inside one list.
    Ignored,
    Refused,
}

fn admit(
    judge: &mut Judge<'_, '_>,
    text: &str,
    action: Action,
    seen: &mut Vec<(HeaderName, Action)>,
    at: &Field<'_>,
) -> Admitted {
    let quoted = Quoted(text);
    let refusal = Refusal::UnsupportedValue;
    let Ok(name) = HeaderName::try_from(text) else {
        let message = format!("{quoted} is not a header name");
        judge.drop_rule(refusal, &notes::INVALID_FILTER, at, message);
        return Admitted::Refused;
    };
    // One request has one host: it can be replaced, not extended and not taken away.
    let is_host = name == http::header::HOST && action != Action::Set;
    if is_host || FRAMING.contains(&name.as_str()) {
        let message = format!("{quoted} frames the message or belongs to one connection");
        judge.drop_rule(refusal, &notes::FORBIDDEN_HEADER, at, message);
        return Admitted::Refused;
    }
    if name.as_str().starts_with(OWN_PREFIX) {
        let message = format!("{quoted} is Weft's own; nobody else's value is trusted");
        judge.drop_rule(refusal, &notes::FORBIDDEN_HEADER, at, message);
        return Admitted::Refused;
    }
    match seen.iter().find(|(earlier, _)| *earlier == name) {
        Some((_, earlier)) if *earlier == action => {
            judge.hint(
                &notes::REPEATED_NAME,
                at,
                format!("{quoted} stands above already"),
            );
            Admitted::Ignored
        }
        Some(_) => {
            let message = format!("{quoted} has two actions; one filter has one per header");
            judge.drop_rule(refusal, &notes::INVALID_FILTER, at, message);
            Admitted::Refused
        }
        None => {
            seen.push((name.clone(), action));
            Admitted::Name(name)
        }
    }
}

fn value(judge: &mut Judge<'_, '_>, header: &Header, at: &Field<'_>) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(&header.value).ok();
    if value.is_none() {
        // The value itself stays unsaid: it may be a secret.
        let message = format!(
            "the value of {} is not a header value",
            Quoted(&header.name)
        );
        judge.drop_rule(
            Refusal::UnsupportedValue,
            &notes::INVALID_FILTER,
            at,
            message,
        );
    }
    value
}
