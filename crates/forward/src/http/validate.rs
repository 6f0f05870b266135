//! One strict look at every request before it is matched, and its canonical form.
//!
//! hyper and h2 leave these checks to their users. What passes here has exactly one host, a target
//! in origin form with a normalised path, and no framing that two parsers could read differently.
//! The byte-level half, which hyper hides, is in [`guard`](super::guard).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::ext::Protocol;
use weft_ir::{PathError, normalise};
use weft_telemetry::Reason;

use crate::limits;

/// What the canonical form does not show any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canonical {
    /// The path holds `%2f`, `%5c` or `%00`, which a backend may or may not take for a separator.
    pub(super) encoded_separator: bool,
}

/// Why a request is refused before matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// No `Host`, or an empty authority (RFC 9112 section 3.2).
    #[error("the request names no host")]
    NoHost,
    /// More than one `Host` (RFC 9112 section 3.2).
    #[error("the request names more than one host")]
    ManyHosts,
    /// `:authority` or the authority of an absolute target differs from `Host`
    /// (RFC 9113 section 8.3.1).
    #[error("the authority and the host header differ")]
    HostMismatch,
    /// The authority has userinfo or characters that no host has (RFC 9110 section 4.2.4).
    #[error("the host is malformed")]
    BadHost,
    /// `Content-Length` and `Transfer-Encoding` together, or an encoding other than one `chunked`
    /// (RFC 9112 section 6.1).
    #[error("the framing of the body is ambiguous")]
    Framing,
    /// A field value with white space at its edge (RFC 9113 section 8.2.1).
    #[error("a field value begins or ends with white space")]
    EdgeSpace,
    /// The target is not a path (CONNECT, authority form).
    #[error("the request target is not a path")]
    Target,
    /// CONNECT asks for a tunnel, which is not offered here.
    #[error("CONNECT is not offered")]
    Connect,
    /// An extended CONNECT for something else than a WebSocket (RFC 8441 section 4).
    #[error("the protocol of the CONNECT is not offered")]
    Protocol,
    /// More header fields than allowed, or one that is too long.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// A target that is too long.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The path cannot be normalised.
    #[error("the path is malformed: {0}")]
    Path(PathError),
}

impl Invalid {
    /// The status the client gets.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Connect => 405,
            // As RFC 9220 section 3 wants it.
            Self::Protocol => 501,
            Self::HeadTooLarge => 431,
            Self::TargetTooLong => 414,
            _ => 400,
        }
    }

    /// The reason for metrics and the access log.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Connect | Self::Protocol => Reason::Unsupported,
            Self::HeadTooLarge | Self::TargetTooLong => Reason::HeadTooLarge,
            _ => Reason::InvalidRequest,
        }
    }
}

/// Checks a request head and brings it into canonical form: origin-form target with a normalised
/// path and the query as sent, exactly one `host` field with the authority as sent, and cookies in
/// one field. A WebSocket that HTTP/2 asks for is the GET of a handshake, like that of HTTP/1.1.
pub(super) fn canonicalise(parts: &mut Parts) -> Result<Canonical, Invalid> {
    if parts.method == Method::CONNECT {
        connect(parts)?;
    }
    framing(&parts.headers)?;
    if parts.version == Version::HTTP_2 {
        cookies(&mut parts.headers);
        size(parts)?;
        edge_space(&parts.headers)?;
    }
    host(parts)?;
    target(parts)
}

/// Of all CONNECTs the extended one for a WebSocket passes, as a GET (RFC 8441 section 5); its
/// [`Protocol`] stays with the request and is what tells it from others. h2 has refused `:protocol`
/// on other methods, and an extended CONNECT without scheme or path.
fn connect(parts: &mut Parts) -> Result<(), Invalid> {
    match parts.extensions.get::<Protocol>() {
        None => Err(Invalid::Connect),
        Some(protocol) if protocol.as_ref() == b"websocket" => {
            parts.method = Method::GET;
            Ok(())
        }
        Some(_) => Err(Invalid::Protocol),
    }
}

/// HTTP/2 clients take cookies apart, because that compresses better. They are one field again
/// before anything matches them or HTTP/1.1 carries them (RFC 9113 section 8.2.3).
fn cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    // Legal values joined by a separator are a legal value.
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(COOKIE, joined);
    }
}

fn framing(headers: &HeaderMap) -> Result<(), Invalid> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(());
    };
    let single = encodings.next().is_none();
    let chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if single && chunked && !headers.contains_key(CONTENT_LENGTH) {
        Ok(())
    } else {
        Err(Invalid::Framing)
    }
}

/// The bounds that the guard keeps on HTTP/1 heads; h2 bounds the sum alone.
fn size(parts: &Parts) -> Result<(), Invalid> {
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if target.len() > limits::HEAD_LINE {
        return Err(Invalid::TargetTooLong);
    }
    let too_long = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() > limits::HEAD_LINE
    };
    if parts.headers.len() > limits::HEAD_FIELDS || parts.headers.iter().any(too_long) {
        return Err(Invalid::HeadTooLarge);
    }
    Ok(())
}

fn edge_space(headers: &HeaderMap) -> Result<(), Invalid> {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let spaced = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        edge(bytes.first()) || edge(bytes.last())
    };
    if headers.values().any(spaced) {
        Err(Invalid::EdgeSpace)
    } else {
        Ok(())
    }
}

/// Settles the one host of the request in its `host` field.
fn host(parts: &mut Parts) -> Result<(), Invalid> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() {
        return Err(Invalid::ManyHosts);
    }
    match (parts.uri.authority(), header) {
        (None, None) => Err(Invalid::NoHost),
        (None, Some(host)) => valid_authority(host.as_bytes()),
        (Some(authority), Some(host)) => {
            if !authority
                .as_str()
                .as_bytes()
                .eq_ignore_ascii_case(host.as_bytes())
            {
                return Err(Invalid::HostMismatch);
            }
            valid_authority(host.as_bytes())
        }
        (Some(authority), None) => {
            if parts.version != Version::HTTP_2 {
                return Err(Invalid::NoHost);
            }
            valid_authority(authority.as_str().as_bytes())?;
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Invalid::BadHost)?;
            parts.headers.insert(HOST, host);
            Ok(())
        }
    }
}

/// `uri-host [ ":" port ]` with the characters of RFC 3986 section 3.2.2 that host names and
/// address literals use; no userinfo, no percent-encoding.
fn valid_authority(authority: &[u8]) -> Result<(), Invalid> {
    if authority.is_empty() {
        return Err(Invalid::NoHost);
    }
    let literal = authority.first() == Some(&b'[');
    let host_end = if literal {
        authority
            .iter()
            .position(|byte| *byte == b']')
            .ok_or(Invalid::BadHost)?
            + 1
    } else {
        authority
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(host_end);
    let host_byte = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_')
            || (literal && matches!(byte, b'[' | b']' | b':'))
    };
    let port_valid = match port.split_first() {
        None => true,
        Some((b':', digits)) => {
            !digits.is_empty() && digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit)
        }
        Some(_) => false,
    };
    if host.is_empty() || !host.iter().all(host_byte) || !port_valid {
        return Err(Invalid::BadHost);
    }
    Ok(())
}

fn target(parts: &mut Parts) -> Result<Canonical, Invalid> {
    let Some(sent) = parts.uri.path_and_query() else {
        return Err(Invalid::Target);
    };
    let path = sent.path();
    if path == "*" {
        // The asterisk form is for OPTIONS alone (RFC 9112 section 3.2.4).
        let whole_server = Canonical {
            encoded_separator: false,
        };
        return match parts.method {
            Method::OPTIONS => Ok(whole_server),
            _ => Err(Invalid::Target),
        };
    }
    let normalised = normalise(path).map_err(Invalid::Path)?;
    let canonical = Canonical {
        encoded_separator: normalised.encoded_separator,
    };
    let changed = match normalised.path {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(path) => Some(path),
    };
    let target = match changed {
        None if parts.uri.authority().is_none() => return Ok(canonical),
        None => sent.clone(),
        Some(mut path) => {
            if let Some(query) = sent.query() {
                path.push('?');
                path.push_str(query);
            }
            PathAndQuery::try_from(path).map_err(|_| Invalid::Target)?
        }
    };
    parts.uri = Uri::from(target);
    Ok(canonical)
}

#[cfg(test)]
mod tests;
