//! `RequestRedirect` and `URLRewrite`, which share their path modifier.

use weft_api::filter::{
    PathModifier, PathModifierType, RedirectScheme, RequestRedirect, UrlRewrite,
};
use weft_ir::{Hostname, Redirect, Rewrite, Scheme};

use super::unknown;
use crate::{
    field::{Field, Quoted},
    notes,
    verdict::{Judge, Refusal},
};

/// Compiles a redirect.
pub(super) fn redirect(
    judge: &mut Judge<'_, '_>,
    redirect: &RequestRedirect,
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Option<Redirect> {
    let scheme = match &redirect.scheme {
        None => Some(None),
        Some(RedirectScheme::Http) => Some(Some(Scheme::Http)),
        Some(RedirectScheme::Https) => Some(Some(Scheme::Https)),
        Some(RedirectScheme::Unknown(text)) => {
            unknown(judge, "redirect scheme", text, &at.key("scheme"));
            None
        }
    };
    let hostname = hostname(judge, redirect.hostname.as_deref(), &at.key("hostname"));
    let port = port(judge, redirect.port, &at.key("port"));
    let path = modifier(judge, redirect.path.as_ref(), prefix, &at.key("path"));
    let status = match redirect.status_code() {
        code @ (301 | 302 | 303 | 307 | 308) => u16::try_from(code).ok(),
        code => {
            unknown(
                judge,
                "redirect status",
                &code.to_string(),
                &at.key("statusCode"),
            );
            None
        }
    };
    Some(Redirect {
        scheme: scheme?,
        hostname: hostname?,
        port: port?,
        path: path?,
        status: status?,
    })
}

/// Compiles a rewrite.
pub(super) fn rewrite(
    judge: &mut Judge<'_, '_>,
    rewrite: &UrlRewrite,
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Option<Rewrite> {
    let hostname = hostname(judge, rewrite.hostname.as_deref(), &at.key("hostname"));
    let path = modifier(judge, rewrite.path.as_ref(), prefix, &at.key("path"));
    Some(Rewrite {
        hostname: hostname?,
        path: path?,
    })
}

/// A PreciseHostname: RFC 1123, no wildcard. An empty one is an absent one.
fn hostname(
    judge: &mut Judge<'_, '_>,
    text: Option<&str>,
    at: &Field<'_>,
) -> Option<Option<Box<str>>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Some(None);
    };
    if let Some(Hostname::Exact(host)) = Hostname::parse(text) {
        return Some(Some(host));
    }
    let message = format!("{} is not a host name without wildcard", Quoted(text));
    judge.drop_rule(
        Refusal::UnsupportedValue,
        &notes::INVALID_FILTER,
        at,
        message,
    );
    None
}

fn port(judge: &mut Judge<'_, '_>, port: Option<i32>, at: &Field<'_>) -> Option<Option<u16>> {
    let Some(port) = port else { return Some(None) };
    match u16::try_from(port) {
        Ok(port @ 1..) => Some(Some(port)),
        _ => {
            let message = format!("{port} is not 1 to 65535");
            judge.drop_rule(Refusal::UnsupportedValue, &notes::OUT_OF_RANGE, at, message);
            None
        }
    }
}

/// ReplacePrefixMatch "is only compatible with a `PathPrefix` HTTPRouteMatch", and the rule may have
/// no other match (CEL rules of HTTPRouteRule).
fn modifier(
    judge: &mut Judge<'_, '_>,
    modifier: Option<&PathModifier>,
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Option<Option<weft_ir::PathModifier>> {
    let Some(modifier) = modifier else {
        return Some(None);
    };
    let (full, replacement) = (&modifier.replace_full_path, &modifier.replace_prefix_match);
    let problem = match (&modifier.type_, full, replacement) {
        (PathModifierType::ReplaceFullPath, Some(path), None) => {
            return Some(Some(weft_ir::PathModifier::Full(path.as_str().into())));
        }
        (PathModifierType::ReplacePrefixMatch, None, Some(replacement)) => match prefix {
            Some(prefix) => {
                let (prefix, replacement) = (prefix.into(), replacement.as_str().into());
                return Some(Some(weft_ir::PathModifier::Prefix {
                    prefix,
                    replacement,
                }));
            }
            None => "ReplacePrefixMatch needs a rule with exactly one match, a PathPrefix",
        },
        (PathModifierType::Unknown(text), ..) => {
            unknown(judge, "path modifier", text, &at.key("type"));
            return None;
        }
        (PathModifierType::ReplaceFullPath, ..) => {
            "ReplaceFullPath goes with replaceFullPath and nothing else"
        }
        (PathModifierType::ReplacePrefixMatch, ..) => {
            "ReplacePrefixMatch goes with replacePrefixMatch and nothing else"
        }
    };
    judge.drop_rule(
        Refusal::UnsupportedValue,
        &notes::INVALID_FILTER,
        at,
        problem,
    );
    None
}
