//! Path matches. Exact and PathPrefix values are checked by the rules the API states for them
//! (CEL rules of HTTPPathMatch) and then normalised exactly like the paths of requests, so that
//! `/%61` matches what it says: requests for `/a`.

use weft_api::route::{PathMatch, PathMatchType};
use weft_ir::normalise;

use super::{broken, regex, unknown};
use crate::{
    field::{Field, Quoted},
    notes,
    verdict::Judge,
};

/// Compiles the path of a match; an absent one is PathPrefix `/`.
pub(super) fn compile(
    judge: &mut Judge<'_, '_>,
    path: Option<&PathMatch>,
    at: &Field<'_>,
) -> Option<weft_ir::PathMatch> {
    let Some(path) = path else {
        return Some(weft_ir::PathMatch::default());
    };
    let value_at = at.key("value");
    match path.type_() {
        PathMatchType::Exact => {
            literal(judge, path.value(), &value_at).map(weft_ir::PathMatch::Exact)
        }
        PathMatchType::PathPrefix => {
            let value = literal(judge, path.value(), &value_at)?;
            // "When specified, a trailing `/` is ignored" (PathMatchPathPrefix).
            Some(weft_ir::PathMatch::Prefix(
                value.trim_end_matches('/').into(),
            ))
        }
        PathMatchType::RegularExpression => {
            regex(judge, path.value(), &value_at).map(weft_ir::PathMatch::Regex)
        }
        PathMatchType::Unknown(text) => {
            unknown(judge, "path match type", text, &at.key("type"));
            None
        }
    }
}

/// A literal path, checked and normalised.
fn literal(judge: &mut Judge<'_, '_>, value: &str, at: &Field<'_>) -> Option<Box<str>> {
    let problem = match problem(value) {
        Some(problem) => problem.to_owned(),
        None => match normalise(value) {
            Ok(normal) if normal.encoded_separator => {
                "holds %5c or %00, which no served request has".to_owned()
            }
            // A dot segment that was written as %2e is gone now, and with it what was meant.
            Ok(normal) if slashes(&normal.path) < slashes(value) => {
                "holds a dot segment, which no normalised path has".to_owned()
            }
            Ok(normal) => return Some(normal.path.into()),
            Err(error) => error.to_string(),
        },
    };
    broken(
        judge,
        &notes::INVALID_MATCH,
        at,
        &format!("{} {problem}", Quoted(value)),
    );
    None
}

/// What is wrong with a literal path, in words that follow the value.
fn problem(value: &str) -> Option<&'static str> {
    let has = |part: &str| value.contains(part);
    let ends = |part: &str| value.ends_with(part);
    if !value.starts_with('/') {
        Some("does not start with /")
    } else if has("//") {
        Some("holds //, which no normalised path has")
    } else if has("/./") || has("/../") || ends("/.") || ends("/..") {
        Some("holds a dot segment, which no normalised path has")
    } else if has("%2f") || has("%2F") {
        Some("holds %2f, which no served request has")
    } else if !is_path(value.as_bytes()) {
        Some("holds a character that a path cannot have")
    } else {
        None
    }
}

fn slashes(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// `^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$` (CEL rule of HTTPPathMatch).
fn is_path(value: &[u8]) -> bool {
    value.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => {
            let digits = value.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(byte),
    })
}
