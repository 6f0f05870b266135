//! Filters: what a rule or a backend does to requests and responses.
//!
//! Filters are data; what needs IO (a mirror) comes back as an [`Effect`] that the data path
//! performs. Rule filters run in list order, then the filters of the chosen backend. On the way
//! back the order is reversed between the two lists (backend first, then rule) and kept inside
//! each. Response filters act on every answer that leaves through the rule: the backend's, and
//! those made here (redirect, preflight, 5xx), because the specification speaks of the response
//! "before it is sent to the client".

mod cors;
mod fail;
mod headers;
mod list;
mod mirror;
mod redirect;
mod rewrite;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{
    cors::{AllowList, AllowListError, Captured, Cors, OriginError, OriginHost, OriginPattern},
    fail::Fail,
    headers::HeaderModifier,
    list::Filters,
    mirror::{Fraction, Mirror},
    redirect::Redirect,
    rewrite::{PathModifier, Rewrite},
};
use crate::{Scheme, Target};

/// One filter. A newer sender's unknown filter decodes as `Unsupported` and fails its rule closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Filter {
    /// `RequestHeaderModifier`
    RequestHeaders(HeaderModifier),
    /// `ResponseHeaderModifier`
    ResponseHeaders(HeaderModifier),
    /// `RequestRedirect`
    Redirect(Redirect),
    /// `URLRewrite`
    Rewrite(Rewrite),
    /// `RequestMirror`
    Mirror(Mirror),
    /// `CORS`
    Cors(Cors),
    /// A filter that cannot be honoured: the rule answers with its status instead.
    Fail(Fail),
    /// A filter of a newer version: answers 500.
    #[serde(other)]
    Unsupported,
}

/// Where a request came in; the part of it that filters need beside the head.
#[derive(Clone, Copy, Debug)]
pub struct FilterContext {
    /// Scheme the client used.
    pub scheme: Scheme,
    /// Port of the listener (gateway) or of the original destination (mesh).
    pub port: u16,
}

/// What a filter asks of the data path.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Go on with the next filter.
    Continue,
    /// Answer now, without a body; no backend sees the request.
    Respond(Box<http::response::Parts>),
    /// Send a copy of the request to the mirror's target, then go on.
    Mirror(&'a Mirror),
}

impl Filter {
    /// Applies the request half of the filter to a request in canonical form: origin-form `uri`,
    /// exactly one `host` header.
    pub fn apply_request(
        &self,
        parts: &mut http::request::Parts,
        context: &FilterContext,
    ) -> Effect<'_> {
        match self {
            Self::RequestHeaders(modifier) => {
                modifier.apply(&mut parts.headers);
                Effect::Continue
            }
            Self::ResponseHeaders(_) => Effect::Continue,
            Self::Redirect(redirect) => Effect::Respond(redirect.respond(parts, context)),
            Self::Rewrite(rewrite) => match rewrite.apply(parts) {
                Ok(()) => Effect::Continue,
                Err(refused) => Effect::Respond(answer(refused.status())),
            },
            // A mirror that cannot be used is dropped; it never disturbs the request.
            Self::Mirror(Mirror {
                target: Target::Fault { .. },
                ..
            }) => Effect::Continue,
            Self::Mirror(mirror) => Effect::Mirror(mirror),
            Self::Cors(cors) => cors
                .preflight(parts)
                .map_or(Effect::Continue, Effect::Respond),
            Self::Fail(fail) => Effect::Respond(answer(fail.status)),
            Self::Unsupported => Effect::Respond(answer(500)),
        }
    }

    /// Applies the response half of the filter.
    fn apply_response(&self, captured: &Captured, headers: &mut http::HeaderMap) {
        match self {
            Self::ResponseHeaders(modifier) => modifier.apply(headers),
            Self::Cors(cors) => cors.apply_response(captured, headers),
            Self::RequestHeaders(_)
            | Self::Redirect(_)
            | Self::Rewrite(_)
            | Self::Mirror(_)
            | Self::Fail(_)
            | Self::Unsupported => {}
        }
    }

    /// Whether the filter answers every request itself, so that a rule with it needs no backend.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Redirect(_) | Self::Fail(_) | Self::Unsupported)
    }
}

/// One line, in the words of the specification.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestHeaders(modifier) => write!(f, "RequestHeaderModifier {modifier}"),
            Self::ResponseHeaders(modifier) => write!(f, "ResponseHeaderModifier {modifier}"),
            Self::Redirect(redirect) => write!(f, "RequestRedirect {redirect}"),
            Self::Rewrite(rewrite) => write!(f, "URLRewrite {rewrite}"),
            Self::Mirror(mirror) => write!(f, "RequestMirror {mirror}"),
            Self::Cors(cors) => write!(f, "CORS {cors}"),
            Self::Fail(fail) => write!(f, "Fail {fail}"),
            Self::Unsupported => f.write_str("Unsupported"),
        }
    }
}

/// The head of an answer without body. A status that HTTP does not know, which only a damaged
/// table can hold, becomes 500.
fn answer(status: u16) -> Box<http::response::Parts> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    Box::new(parts)
}

#[cfg(test)]
mod tests;
