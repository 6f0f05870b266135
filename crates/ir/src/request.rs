//! What matching sees of a request.

use http::{HeaderMap, Method, header::CONTENT_TYPE, request::Parts};
use serde::{Deserialize, Serialize};

/// The scheme a client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URI of this scheme may omit (RFC 9110 section 4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A borrowed view of a request head in the canonical form: origin-form target with a normalised
/// path, exactly one `host` field that carries the authority as the client sent it.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Request method.
    pub method: &'a Method,
    /// Host part of the authority, in lower case and without the port.
    pub host: &'a str,
    /// Path as [`normalise`](crate::normalise) leaves it; `*` for a server-wide OPTIONS.
    pub path: &'a str,
    /// Query as sent, without the `?`.
    pub query: Option<&'a str>,
    /// Header fields, `host` among them.
    pub headers: &'a HeaderMap,
}

impl<'a> RequestView<'a> {
    /// The view of a head that is already in the canonical form. `host` is in lower case and has no
    /// port (see [`host_of`](crate::host_of)).
    pub fn new(head: &'a Parts, host: &'a str) -> Self {
        Self {
            method: &head.method,
            host,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
        }
    }

    /// Whether this is a gRPC call; see [`is_grpc`].
    pub fn is_grpc(&self) -> bool {
        is_grpc(self.headers)
    }
}

/// Whether the content type says gRPC: `application/grpc`, alone or with a `+proto` style suffix or
/// parameters, in any case (gRPC over HTTP/2, "Requests"). `application/grpc-web` is not gRPC: it is
/// an ordinary HTTP exchange.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    match value.as_bytes().split_at_checked(GRPC.len()) {
        Some((media, rest)) => {
            media.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{Scheme, is_grpc};

    #[test]
    fn content_types_that_are_grpc() {
        let rows = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc ; a=b", true),
            ("Application/GRPC+Proto", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/grp", false),
            ("application/json", false),
            ("text/plain; application/grpc", false),
            ("", false),
        ];
        for (content_type, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            assert_eq!(is_grpc(&headers), expected, "content-type {content_type:?}");
        }
        assert!(!is_grpc(&HeaderMap::new()), "no content type");
    }

    #[test]
    fn schemes_know_their_uri_form() {
        assert_eq!(
            (Scheme::Http.as_str(), Scheme::Http.default_port()),
            ("http", 80)
        );
        assert_eq!(
            (Scheme::Https.as_str(), Scheme::Https.default_port()),
            ("https", 443)
        );
    }
}
