//! What is said beside the bytes: the head of a `CONNECT`, as it is sent and as it is read.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header::FORWARDED};

use crate::error::OpenError;

/// W3C Baggage section 3.3.2: what propagates is at most this long.
const BAGGAGE_BYTES: usize = 8192;

/// W3C Trace Context section 3.2.2 writes 55 bytes; later versions may be longer.
const TRACEPARENT_BYTES: usize = 256;

/// Route, rule and backend, by their names.
const ROUTE_BYTES: usize = 1024;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const ROUTE: HeaderName = HeaderName::from_static("x-weft-route");

/// What a client asks for, and says for the other side's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Address and port of the application: `:authority`.
    pub destination: SocketAddr,
    /// Address and port of the connection that is carried: `forwarded`.
    pub source: SocketAddr,
    /// Labels of the workload that calls.
    pub baggage: Option<HeaderValue>,
    /// The span the connection belongs to.
    pub traceparent: Option<HeaderValue>,
    /// Route, rule and backend that led here. Callers leave it out for another trust domain.
    pub route: Option<HeaderValue>,
}

/// What a client has said of itself. For logs and metrics: nobody vouches for any of it, so that no
/// policy reads it, and none of it reaches the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The connection that is carried.
    pub source: Option<SocketAddr>,
    /// Labels of the workload that calls.
    pub baggage: Option<HeaderValue>,
    /// The span the connection belongs to.
    pub traceparent: Option<HeaderValue>,
    /// Route, rule and backend that led here; only from our own trust domain.
    pub route: Option<HeaderValue>,
}

impl Connect {
    /// To `destination` for a connection from `source`, and nothing else said.
    #[must_use]
    pub fn new(destination: SocketAddr, source: SocketAddr) -> Self {
        Self {
            destination,
            source,
            baggage: None,
            traceparent: None,
            route: None,
        }
    }

    /// The head as HTTP/2 has it (RFC 9113 section 8.5): `:method` and `:authority`, no `:scheme`, no
    /// `:path`. `forwarded` is quoted, since a token has no colon (RFC 7239 section 4).
    ///
    /// # Errors
    ///
    /// [`OpenError::Destination`] for an IPv6 address with a scope.
    pub(crate) fn request(&self) -> Result<Request<()>, OpenError> {
        let refused = || OpenError::Destination(self.destination);
        if matches!(self.destination, SocketAddr::V6(address) if address.scope_id() != 0) {
            return Err(refused());
        }
        let forwarded = format!(r#"for="{}";host="{}""#, self.source, self.destination);
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(self.destination.to_string())
            .header(FORWARDED, forwarded)
            .body(())
            .map_err(|_| refused())?;
        let said = [
            (BAGGAGE, &self.baggage),
            (TRACEPARENT, &self.traceparent),
            (ROUTE, &self.route),
        ];
        for (name, value) in said {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

impl Metadata {
    /// Reads what is worth keeping; what is repeated, too long or not understood is left out.
    pub(crate) fn read(headers: &HeaderMap, is_own_domain: bool) -> Self {
        Self {
            source: only(headers, &FORWARDED, BAGGAGE_BYTES)
                .and_then(|value| forwarded_for(&value)),
            baggage: only(headers, &BAGGAGE, BAGGAGE_BYTES),
            traceparent: only(headers, &TRACEPARENT, TRACEPARENT_BYTES),
            route: only(headers, &ROUTE, ROUTE_BYTES).filter(|_| is_own_domain),
        }
    }
}

/// The response to a `CONNECT` may say whose labels answer.
pub(crate) fn with_baggage(headers: &mut HeaderMap, baggage: Option<HeaderValue>) {
    if let Some(baggage) = baggage {
        headers.insert(BAGGAGE, baggage);
    }
}

/// The labels a server has answered with.
pub(crate) fn answered_baggage(headers: &HeaderMap) -> Option<HeaderValue> {
    only(headers, &BAGGAGE, BAGGAGE_BYTES)
}

fn only(headers: &HeaderMap, name: &HeaderName, most_bytes: usize) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    (values.next().is_none() && value.len() <= most_bytes).then(|| value.clone())
}

/// The `for` of the first element (RFC 7239 section 4), quoted or, as older peers have it, bare.
fn forwarded_for(value: &HeaderValue) -> Option<SocketAddr> {
    let first = value.to_str().ok()?.split(',').next()?;
    first.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| value.trim().trim_matches('"').parse().ok())?
    })
}

#[cfg(test)]
mod tests;
