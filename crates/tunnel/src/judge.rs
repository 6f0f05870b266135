//! Whether a `CONNECT` may go where it wants, decided without IO.

use std::net::{IpAddr, SocketAddr};

use http::{Method, Request, StatusCode, header::CONTENT_LENGTH, uri::Authority};
use thiserror::Error;
use weft_certs::PeerIdentity;

use crate::wire::OWN_PORTS;

/// What the listener of a connection stands for.
pub trait Place {
    /// Whether `address` is one of the pod that this listener belongs to. Never one of another pod on
    /// this node: it has a listener, and a policy, of its own.
    fn is_local(&self, address: IpAddr) -> bool;

    /// Where the pod serves port `port` of the Service called `host`, if it backs that Service; other
    /// implementations name destinations so. The answer is held to the same rules as an address.
    fn backs(&self, host: &str, port: u16) -> Option<SocketAddr>;

    /// Whether policy lets `peer` reach `destination`.
    fn permits(&self, peer: &PeerIdentity, destination: SocketAddr) -> bool;
}

/// Why a `CONNECT` was answered with something else than 200.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Something else than `CONNECT` was asked for.
    #[error("a tunnel was asked for {0}; only CONNECT is served")]
    NotConnect(Method),
    /// A `CONNECT` has no content whose length could be known (RFC 9110 section 9.3.6).
    #[error("the CONNECT announces the length of its content; a tunnel has none")]
    ContentLength,
    /// No `:authority`.
    #[error("the CONNECT names no authority")]
    AuthorityMissing,
    /// Not `address:port` and not `host:port`.
    #[error("the CONNECT names `{0}`, which is not an address or host with a port")]
    AuthorityMalformed(Authority),
    /// An address of somebody else.
    #[error("{0} is not served by this listener; the endpoint the client knows may be out of date")]
    NotLocal(SocketAddr),
    /// A port of the mesh itself.
    #[error("{0} is a port of the mesh itself, and no application's")]
    OwnPort(SocketAddr),
    /// A Service that this pod does not back.
    #[error("the pod of this listener does not back `{0}`")]
    NotBacked(Authority),
    /// Policy forbids it.
    #[error("policy does not let {peer} reach {destination}")]
    Denied {
        /// Who asked.
        peer: weft_spiffe::SpiffeId,
        /// For what.
        destination: SocketAddr,
    },
    /// The application refused the connection.
    #[error("{0} refused the connection")]
    AppRefused(SocketAddr),
    /// The application did not answer in time.
    #[error("{0} did not accept a connection in time")]
    AppTimeout(SocketAddr),
    /// No way to the application, or no socket.
    #[error("{0} cannot be reached")]
    AppUnreachable(SocketAddr),
    /// A limit on connections, streams or bytes is reached.
    #[error("a limit of the pod of {0} is reached")]
    OverLimit(SocketAddr),
    /// The listener is closing.
    #[error("the listener of {0} is closing")]
    Draining(SocketAddr),
}

impl Refusal {
    /// What the client is answered.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotConnect(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentLength
            | Self::AuthorityMissing
            | Self::AuthorityMalformed(_)
            | Self::NotLocal(_)
            | Self::OwnPort(_)
            | Self::NotBacked(_) => StatusCode::BAD_REQUEST,
            Self::Denied { .. } => StatusCode::UNAUTHORIZED,
            Self::AppRefused(_)
            | Self::AppTimeout(_)
            | Self::AppUnreachable(_)
            | Self::OverLimit(_)
            | Self::Draining(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotConnect(_) => "tunnel_not_connect",
            Self::ContentLength => "tunnel_content_length",
            Self::AuthorityMissing => "tunnel_authority_missing",
            Self::AuthorityMalformed(_) => "tunnel_authority_malformed",
            Self::NotLocal(_) => "tunnel_address_not_local",
            Self::OwnPort(_) => "tunnel_own_port",
            Self::NotBacked(_) => "tunnel_service_not_backed",
            Self::Denied { .. } => "policy_denied",
            Self::AppRefused(_) => "upstream_connect_refused",
            Self::AppTimeout(_) => "upstream_connect_timeout",
            Self::AppUnreachable(_) => "upstream_unreachable",
            Self::OverLimit(_) => "over_limit",
            Self::Draining(_) => "draining",
        }
    }
}

/// Where `request` of `peer` goes, in this order: is it a `CONNECT`, does it name a destination, is that
/// here, does policy permit it.
///
/// # Errors
///
/// The first of these that fails. What the library below has already refused as malformed (`:path` or
/// `:scheme`, a broken header) never comes here.
pub fn judge(
    place: &impl Place,
    peer: &PeerIdentity,
    request: &Request<()>,
) -> Result<SocketAddr, Refusal> {
    if request.method() != Method::CONNECT {
        return Err(Refusal::NotConnect(request.method().clone()));
    }
    if request.headers().contains_key(CONTENT_LENGTH) {
        return Err(Refusal::ContentLength);
    }
    let authority = request.uri().authority().ok_or(Refusal::AuthorityMissing)?;
    let destination = destination(place, authority)?;
    if OWN_PORTS.contains(&destination.port()) {
        return Err(Refusal::OwnPort(destination));
    }
    if !place.is_local(destination.ip()) {
        return Err(Refusal::NotLocal(destination));
    }
    if !place.permits(peer, destination) {
        let peer = peer.id.clone();
        return Err(Refusal::Denied { peer, destination });
    }
    Ok(destination)
}

fn destination(place: &impl Place, authority: &Authority) -> Result<SocketAddr, Refusal> {
    let malformed = || Refusal::AuthorityMalformed(authority.clone());
    let port = match authority.port_u16() {
        None | Some(0) => return Err(malformed()),
        Some(port) => port,
    };
    if authority.as_str().contains('@') {
        return Err(malformed());
    }
    if let Ok(address) = authority.as_str().parse() {
        return Ok(address);
    }
    // Brackets and digits alone are a broken address, and never the name of a Service.
    let host = authority.host();
    let is_name = host.bytes().any(|byte| byte.is_ascii_alphabetic()) && !host.starts_with('[');
    if !is_name {
        return Err(malformed());
    }
    let backed = place.backs(host, port);
    backed.ok_or_else(|| Refusal::NotBacked(authority.clone()))
}

#[cfg(test)]
mod tests;
