//! The closed list of short, stable reasons why an exchange did not go as asked.
//!
//! One reason has one spelling everywhere: the metric label `error`, the access log field
//! `reason`, the close reason of a connection, and the anchor of the reference page. Renaming one
//! breaks dashboards and alerts, so names are only ever added.

/// Who has to change something for the exchange to succeed next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client sent something that cannot be served, or went away.
    Client,
    /// The configuration names something missing, refused or unusable.
    Configuration,
    /// The backend, or the network on the way to it.
    Upstream,
    /// Weft itself: a limit, a drain, a defect.
    Proxy,
}

macro_rules! reasons {
    ($( $variant:ident $name:literal $fault:ident $meaning:literal; )+) => {
        /// Why Weft refused, answered for the backend, retried, or cut an exchange.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $( #[doc = $meaning] $variant, )+
        }

        impl Reason {
            /// Every reason, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The stable spelling: lower-case letters and `_`, usable as label value and anchor.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One sentence for the reference page, with the answer a client sees.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$variant => $meaning, )+ }
            }

            /// Whose fault it is; decides the class a request is counted in.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $( Self::$variant => Fault::$fault, )+ }
            }
        }
    };
}

reasons! {
    InvalidRequest "invalid_request" Client
        "The request is malformed or ambiguous and was refused before matching (400).";
    HeadTooLarge "head_too_large" Client
        "The request head is over the limits of lines, headers or bytes (414 or 431).";
    BodyTooLarge "body_too_large" Client
        "The request body is over the configured limit (413).";
    TimeoutHeader "timeout_header" Client
        "The request head did not arrive in time (408, then close).";
    TimeoutBodyIdle "timeout_body_idle" Client
        "A body made no progress for the idle time; the exchange was cut.";
    Misdirected "misdirected" Client
        "The authority does not belong to the certificate of this connection (421).";
    NoRoute "no_route" Client
        "No rule of the listener or Service matches (404, gRPC 12).";
    NotGrpc "not_grpc" Client
        "A request that is not gRPC reached a port won by a GRPCRoute (404).";
    ClientAbort "client_abort" Client
        "The client closed or reset before the answer was complete.";
    TlsHandshake "tls_handshake" Client
        "The TLS handshake with the client failed; nothing was served.";
    Unsupported "unsupported" Client
        "The request needs something Weft does not do here, such as CONNECT (501 or 405).";
    PolicyDenied "policy_denied" Client
        "A policy forbids this exchange (403, gRPC 7).";
    NoBackend "no_backend" Configuration
        "The rule has no backend that may receive traffic (500, gRPC 14).";
    BackendInvalid "backend_invalid" Configuration
        "The chosen backend is missing, not permitted or unusable (500, gRPC 14).";
    FilterFailed "filter_failed" Configuration
        "The rule holds a filter that cannot be applied, so it is never served without it (500).";
    NoReadyEndpoint "no_ready_endpoint" Upstream
        "The chosen backend has no ready endpoint (503, gRPC 14).";
    UpstreamConnectRefused "upstream_connect_refused" Upstream
        "The endpoint refused the connection (503, gRPC 14).";
    UpstreamConnectTimeout "upstream_connect_timeout" Upstream
        "The endpoint did not accept a connection in time (503, gRPC 14).";
    UpstreamUnreachable "upstream_unreachable" Upstream
        "The network has no way to the endpoint (503, gRPC 14).";
    UpstreamTls "upstream_tls" Upstream
        "The TLS handshake with the endpoint failed (502, gRPC 14).";
    PeerIdentityMismatch "peer_identity_mismatch" Upstream
        "Somebody else than the endpoint's identity answered; nothing was sent (503, gRPC 14).";
    UpstreamReset "upstream_reset" Upstream
        "The endpoint closed or reset before its answer was complete (503, or the stream is cut).";
    UpstreamMalformed "upstream_malformed" Upstream
        "The endpoint's answer is not valid HTTP (502, gRPC 14).";
    UpstreamStatus "upstream_status" Upstream
        "The endpoint answered with a status the rule asks to retry.";
    MissingGrpcStatus "missing_grpc_status" Upstream
        "A gRPC answer ended without `grpc-status`.";
    TimeoutRequest "timeout_request" Upstream
        "The rule's request timeout passed, retries included (504, gRPC 4).";
    TimeoutBackend "timeout_backend" Upstream
        "The rule's backend request timeout passed for the last attempt (504, gRPC 4).";
    NoIdentity "no_identity" Proxy
        "A member of the mesh cannot be reached without an identity of our own (503, gRPC 14).";
    OverLimit "over_limit" Proxy
        "A limit on connections, requests or buffered bytes is reached (503 with retry-after).";
    Draining "draining" Proxy
        "The process or listener is shutting down and takes no new work (503 with retry-after).";
    Panic "panic" Proxy
        "A defect in Weft ended this exchange; others are not affected (500, gRPC 13).";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    #[test]
    fn names_are_distinct_labels() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len(), "two reasons share a name");
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name} is not usable as an anchor"
            );
        }
    }

    #[test]
    fn each_is_documented_in_one_sentence() {
        for reason in Reason::ALL {
            let meaning = reason.meaning();
            assert!(
                meaning.ends_with('.') && !meaning.contains('\n'),
                "{reason}: {meaning}"
            );
        }
    }
}
