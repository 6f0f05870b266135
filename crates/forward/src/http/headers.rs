//! Header fields that belong to one hop, and those that tell an endpoint about the client.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE},
};

use super::upgrade::ClientUpgrade;
use crate::connection::Client;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// Prefix of fields that Weft itself sets; never taken from a client.
const OWN_PREFIX: &str = "x-weft-";

/// Prepares a request's fields for an endpoint: hop-by-hop fields go (RFC 9110 section 7.6.1), and
/// a gateway, being a trust boundary, replaces what the client claims about where it came from.
pub(super) fn to_upstream(headers: &mut HeaderMap, client: &Client, gateway: bool) {
    let trailers = takes_trailers(headers);
    strip_hop_by_hop(headers);
    headers.remove(TE);
    if trailers {
        // The one value of TE that HTTP/2 knows (RFC 9113 section 8.2.2); gRPC servers insist on it.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    strip_own(headers);
    if gateway {
        headers.remove(header::FORWARDED);
        headers.remove(FORWARDED_HOST);
        headers.remove(FORWARDED_PORT);
        headers.insert(FORWARDED_FOR, client.forwarded_for.clone());
        headers.insert(
            FORWARDED_PROTO,
            HeaderValue::from_static(client.scheme.as_str()),
        );
    }
}

/// Whether the sender of a request takes trailers in the answer (RFC 9110 section 10.1.4).
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(|te| te.as_bytes().split(|byte| *byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Completes a request's fields for an HTTP/1.1 connection: what means something on this hop alone
/// is named in `connection`, which `te` has to be (RFC 9110 section 10.1.4) and an upgrade too. Who
/// leaves HTTP gets no trailers, and servers know `connection: upgrade` best alone.
pub(super) fn to_http1(headers: &mut HeaderMap, upgrade: Option<&ClientUpgrade>) {
    if let Some(upgrade) = upgrade {
        headers.remove(TE);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade.protocol());
    } else if headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Prepares an answer's fields for the client. The length that an endpoint states beside a transfer
/// encoding is not passed on: the encoding was what counted (RFC 9112 section 6.3).
pub(super) fn to_client(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_hop_by_hop(headers);
}

/// Fields that mean something only in a head: framing, routing and connection control
/// (RFC 9110 section 6.5.1). In trailers they go, in either direction.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    const HEAD_ONLY: [HeaderName; 9] = [
        CONNECTION,
        CONTENT_LENGTH,
        header::HOST,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        header::TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in HEAD_ONLY {
        trailers.remove(name);
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Usually one field or none; more are as valid.
    let more: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .skip(1)
        .cloned()
        .collect();
    if let Some(first) = headers.remove(CONNECTION) {
        for listed in more.iter().chain([&first]) {
            strip_listed(headers, listed);
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Removes the fields that a `connection` field lists, except those that carry framing or the host:
/// naming them there must not take them from the endpoint (`Connection: content-length`).
fn strip_listed(headers: &mut HeaderMap, listed: &HeaderValue) {
    for token in listed.as_bytes().split(|byte| *byte == b',') {
        let Ok(name) = HeaderName::from_bytes(token.trim_ascii()) else {
            continue;
        };
        if name != CONTENT_LENGTH && name != header::HOST {
            headers.remove(name);
        }
    }
}

fn strip_own(headers: &mut HeaderMap) {
    if headers
        .keys()
        .any(|name| name.as_str().starts_with(OWN_PREFIX))
    {
        let own: Vec<_> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(OWN_PREFIX))
            .cloned()
            .collect();
        for name in own {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
