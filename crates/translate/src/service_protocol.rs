//! What a Service port speaks: `appProtocol`, then the routes attached to the port.
//!
//! Names compare without case: the API suggests IANA service names, which are case-insensitive
//! (RFC 6335 section 5.1), and manifests write `HTTPS` as well as `https`.

use weft_ir::{FrontendProtocol, RouteKind, UpstreamProtocol};

use crate::context::ParentMode;

/// `appProtocol` of a Service port, as far as it decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    /// Nothing.
    Nothing,
    /// `http`
    Http,
    /// `kubernetes.io/h2c` (KEP-3726) and `grpc`.
    Http2,
    /// `kubernetes.io/ws` (KEP-3726): HTTP/1.1 that upgrades.
    WebSocket,
    /// `https`: HTTP that the endpoints expect inside TLS.
    Https,
    /// `kubernetes.io/wss` (KEP-3726): WebSocket inside TLS.
    SecureWebSocket,
    /// Other forms of TLS, `tcp`, and every name not listed here.
    Other,
}

impl Declared {
    fn new(app_protocol: Option<&str>) -> Self {
        const NAMES: [(&str, Declared); 7] = [
            ("", Declared::Nothing),
            ("http", Declared::Http),
            ("kubernetes.io/h2c", Declared::Http2),
            ("grpc", Declared::Http2),
            ("kubernetes.io/ws", Declared::WebSocket),
            ("https", Declared::Https),
            ("kubernetes.io/wss", Declared::SecureWebSocket),
        ];
        let name = app_protocol.unwrap_or_default();
        let known = NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        known.map_or(Self::Other, |(_, declared)| *declared)
    }

    /// What is left to declare once something else sees to TLS.
    fn inside_tls(self) -> Self {
        match self {
            Self::Https => Self::Http,
            Self::SecureWebSocket => Self::WebSocket,
            other => other,
        }
    }
}

/// What to speak to a backend of a rule, or `None` when a route of this kind cannot send to it
/// (`ResolvedRefs=False/UnsupportedProtocol`).
///
/// A gateway speaks HTTP/1.1 unless told otherwise; in the mesh both ends are the user's, so the
/// backend gets what the client speaks. A GRPCRoute always sends HTTP/2. What declares TLS can be sent
/// to where a BackendTLSPolicy says how (`tls`).
pub(crate) fn backend(
    app_protocol: Option<&str>,
    tls: bool,
    kind: RouteKind,
    parent: ParentMode,
) -> Option<UpstreamProtocol> {
    let declared = Declared::new(app_protocol);
    let declared = if tls { declared.inside_tls() } else { declared };
    match (declared, kind) {
        (Declared::Https | Declared::SecureWebSocket | Declared::Other, _)
        | (Declared::WebSocket, RouteKind::Grpc) => None,
        (Declared::Http2, _) | (_, RouteKind::Grpc) => Some(UpstreamProtocol::Http2),
        (Declared::WebSocket, _) => Some(UpstreamProtocol::Http1),
        (Declared::Nothing | Declared::Http, _) => Some(match parent {
            ParentMode::Gateway => UpstreamProtocol::Http1,
            ParentMode::Mesh => UpstreamProtocol::AsClient,
        }),
    }
}

/// How connections to a mesh frontend are read. `routed` is the kind of the accepted routes on the
/// port, if there are any. First hit wins: what is declared, what is routed, else never parse.
pub(crate) fn frontend(app_protocol: Option<&str>, routed: Option<RouteKind>) -> FrontendProtocol {
    match (Declared::new(app_protocol), routed) {
        (Declared::Http | Declared::WebSocket, _) => FrontendProtocol::Http,
        (Declared::Http2, _) => FrontendProtocol::Http2,
        (Declared::Https | Declared::SecureWebSocket | Declared::Other, _)
        | (Declared::Nothing, None) => FrontendProtocol::Opaque,
        (Declared::Nothing, Some(RouteKind::Grpc)) => FrontendProtocol::Http2,
        (Declared::Nothing, Some(_)) => FrontendProtocol::Http,
    }
}

/// What the endpoints of a mesh frontend speak when its requests are passed through unrouted.
pub(crate) fn pass_through(app_protocol: Option<&str>) -> UpstreamProtocol {
    match Declared::new(app_protocol) {
        Declared::Http2 => UpstreamProtocol::Http2,
        Declared::WebSocket => UpstreamProtocol::Http1,
        // What declares TLS is never parsed (see `frontend`).
        Declared::Nothing
        | Declared::Http
        | Declared::Https
        | Declared::SecureWebSocket
        | Declared::Other => UpstreamProtocol::AsClient,
    }
}

#[cfg(test)]
mod tests {
    use super::{FrontendProtocol as Front, ParentMode, RouteKind, UpstreamProtocol as Up};

    /// One row per clause of the protocol table: what HTTPRoute and GRPCRoute backends are spoken
    /// to at a gateway, what an HTTPRoute backend is in the mesh, and how a frontend is read
    /// without a route, with an HTTPRoute and with a GRPCRoute.
    #[test]
    fn a_port_speaks_what_it_declares_then_what_is_routed() {
        type Row = (&'static str, [Option<Up>; 3], [Front; 3]);
        const ROWS: [Row; 13] = [
            (
                "",
                [Some(Up::Http1), Some(Up::Http2), Some(Up::AsClient)],
                [Front::Opaque, Front::Http, Front::Http2],
            ),
            (
                "http",
                [Some(Up::Http1), Some(Up::Http2), Some(Up::AsClient)],
                [Front::Http; 3],
            ),
            (
                "HTTP",
                [Some(Up::Http1), Some(Up::Http2), Some(Up::AsClient)],
                [Front::Http; 3],
            ),
            ("grpc", [Some(Up::Http2); 3], [Front::Http2; 3]),
            ("kubernetes.io/h2c", [Some(Up::Http2); 3], [Front::Http2; 3]),
            (
                "kubernetes.io/ws",
                [Some(Up::Http1), None, Some(Up::Http1)],
                [Front::Http; 3],
            ),
            ("kubernetes.io/wss", [None; 3], [Front::Opaque; 3]),
            ("https", [None; 3], [Front::Opaque; 3]),
            ("HTTPS", [None; 3], [Front::Opaque; 3]),
            ("tls", [None; 3], [Front::Opaque; 3]),
            ("tcp", [None; 3], [Front::Opaque; 3]),
            ("mysql", [None; 3], [Front::Opaque; 3]),
            ("example.com/custom", [None; 3], [Front::Opaque; 3]),
        ];
        for (name, backends, frontends) in ROWS {
            let declared = Some(name).filter(|name| !name.is_empty());
            let (http, grpc) = (RouteKind::Http, RouteKind::Grpc);
            let seen = [
                super::backend(declared, false, http, ParentMode::Gateway),
                super::backend(declared, false, grpc, ParentMode::Gateway),
                super::backend(declared, false, http, ParentMode::Mesh),
            ];
            assert_eq!(
                seen, backends,
                "what is spoken to a backend with appProtocol {name:?}"
            );
            let seen =
                [None, Some(http), Some(grpc)].map(|routed| super::frontend(declared, routed));
            assert_eq!(
                seen, frontends,
                "how a frontend with appProtocol {name:?} is read"
            );
        }
    }

    /// Under a BackendTLSPolicy TLS is seen to, and what is inside is declared or HTTP.
    #[test]
    fn a_port_that_declares_tls_is_spoken_to_under_a_policy() {
        for (name, http, grpc) in [
            ("https", Some(Up::Http1), Some(Up::Http2)),
            ("HTTPS", Some(Up::Http1), Some(Up::Http2)),
            ("kubernetes.io/wss", Some(Up::Http1), None),
            ("kubernetes.io/h2c", Some(Up::Http2), Some(Up::Http2)),
            ("http", Some(Up::Http1), Some(Up::Http2)),
            ("tls", None, None),
            ("mysql", None, None),
        ] {
            let seen = [RouteKind::Http, RouteKind::Grpc]
                .map(|kind| super::backend(Some(name), true, kind, ParentMode::Gateway));
            assert_eq!(seen, [http, grpc], "appProtocol {name}");
        }
    }

    #[test]
    fn unrouted_requests_get_the_declared_protocol() {
        for (name, expected) in [
            (None, Up::AsClient),
            (Some("http"), Up::AsClient),
            (Some("kubernetes.io/h2c"), Up::Http2),
            (Some("grpc"), Up::Http2),
            (Some("kubernetes.io/ws"), Up::Http1),
        ] {
            assert_eq!(
                super::pass_through(name),
                expected,
                "pass-through of {name:?}"
            );
        }
    }
}
