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
    /// TLS in any form, `tcp`, and every name not listed here.
    Other,
}

impl Declared {
    fn new(app_protocol: Option<&str>) -> Self {
        const NAMES: [(&str, Declared); 5] = [
            ("", Declared::Nothing),
            ("http", Declared::Http),
            ("kubernetes.io/h2c", Declared::Http2),
            ("grpc", Declared::Http2),
            ("kubernetes.io/ws", Declared::WebSocket),
        ];
        let name = app_protocol.unwrap_or_default();
        let known = NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        known.map_or(Self::Other, |(_, declared)| *declared)
    }
}

/// What to speak to a backend of a rule, or `None` when a route of this kind cannot send to it
/// (`ResolvedRefs=False/UnsupportedProtocol`).
///
/// A gateway speaks HTTP/1.1 unless told otherwise; in the mesh both ends are the user's, so the
/// backend gets what the client speaks. A GRPCRoute always sends HTTP/2.
pub(crate) fn backend(
    app_protocol: Option<&str>,
    kind: RouteKind,
    parent: ParentMode,
) -> Option<UpstreamProtocol> {
    match (Declared::new(app_protocol), kind) {
        (Declared::Other, _) | (Declared::WebSocket, RouteKind::Grpc) => None,
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
        (Declared::Other, _) | (Declared::Nothing, None) => FrontendProtocol::Opaque,
        (Declared::Nothing, Some(RouteKind::Grpc)) => FrontendProtocol::Http2,
        (Declared::Nothing, Some(_)) => FrontendProtocol::Http,
    }
}

/// What the endpoints of a mesh frontend speak when its requests are passed through unrouted.
pub(crate) fn pass_through(app_protocol: Option<&str>) -> UpstreamProtocol {
    match Declared::new(app_protocol) {
        Declared::Http2 => UpstreamProtocol::Http2,
        Declared::WebSocket => UpstreamProtocol::Http1,
        Declared::Nothing | Declared::Http | Declared::Other => UpstreamProtocol::AsClient,
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
                super::backend(declared, http, ParentMode::Gateway),
                super::backend(declared, grpc, ParentMode::Gateway),
                super::backend(declared, http, ParentMode::Mesh),
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
