//! What lies between a request and the socket of its endpoint: nothing, or TLS as a BackendTLSPolicy
//! asks for it.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::timeout;
use tokio_util::either::Either;
use weft_certs::{Alpn, BackendTls, Clock, Connector, ConnectorError, TlsStream};
use weft_telemetry::metrics::{TlsMetrics, TlsSide};
use weft_tunnel::Target;

use super::{
    ConnectError, Upstream,
    connect::{Dialer, dial},
    wire::{UpstreamIo, Wire},
};
use crate::{
    caller::{Caller, Own},
    handshake, limits,
    live::Inlet,
    members::Way,
    worker::Worker,
};

/// How connections to endpoints are secured.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// Not at all.
    Plain,
    /// In TLS.
    Tls(Arc<Connectors>),
    /// In TLS, but what it takes is not there: no connection is made.
    Unusable,
}

/// One connector for everything that is spoken inside of TLS: what is offered is what will be spoken.
#[derive(Debug)]
pub(crate) struct Connectors {
    http1: Connector,
    http2: Connector,
    opaque: Connector,
    metrics: Arc<TlsMetrics>,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Whatever the client says.
    Opaque,
}

impl Transport {
    /// Whether the bytes of a request are encrypted, so that its scheme is `https`.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Plain)
    }
}

impl Connectors {
    /// Connectors for `settings`, whose own protocols do not count.
    pub(crate) fn new(
        settings: BackendTls,
        metrics: Arc<TlsMetrics>,
    ) -> Result<Self, ConnectorError> {
        let clock = Clock::system();
        let connector = |alpn: &[Alpn]| {
            let settings = BackendTls {
                alpn: alpn.to_vec(),
                ..settings.clone()
            };
            Connector::new(&settings, clock.clone())
        };
        Ok(Self {
            http1: connector(&[Alpn::Http11])?,
            http2: connector(&[Alpn::Http2])?,
            opaque: connector(&[])?,
            metrics,
        })
    }

    async fn connect(
        &self,
        address: SocketAddr,
        stream: Wire,
        speaks: Speaks,
    ) -> Result<TlsStream<Wire>, ConnectError> {
        let connector = match speaks {
            Speaks::Http1 => &self.http1,
            Speaks::Http2 => &self.http2,
            Speaks::Opaque => &self.opaque,
        };
        match timeout(limits::CONNECT, connector.connect(stream)).await {
            Ok(Ok((stream, agreed))) => {
                let completed = handshake::completed(TlsSide::Client, &agreed);
                self.metrics.handshake(completed);
                Ok(stream)
            }
            Ok(Err(source)) => {
                self.metrics.handshake(handshake::refused(&source));
                Err(ConnectError::Tls { address, source })
            }
            Err(_elapsed) => {
                self.metrics.handshake(handshake::late(TlsSide::Client));
                Err(ConnectError::Timeout { address })
            }
        }
    }
}

/// Where traffic comes from, and where it is worked on.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    /// Has the tunnels.
    pub(crate) worker: &'a Worker,
    /// Knows whose traffic it is,
    pub(crate) inlet: &'a Inlet,
    /// unless the client's connection has said so.
    pub(crate) own: Option<&'a Own>,
}

impl Upstream {
    /// Who answers there, if that is a member of the mesh.
    pub(crate) fn target(&self) -> Option<&Target> {
        match &self.way {
            Way::Tunnel { target, .. } => Some(target),
            Way::Direct | Way::Nowhere { .. } => None,
        }
    }
}

impl From<'_> {
    /// Whose connections to the endpoint may be used, and made; `None` stands for everybody's. A client
    /// that brings a caller along uses nobody else's, in plaintext either.
    pub(super) fn caller(self, upstream: &Upstream) -> Result<Option<Arc<Caller>>, ConnectError> {
        let address = upstream.address;
        let own = self.own.map(|own| Arc::clone(own.caller()));
        match &upstream.way {
            Way::Direct => Ok(own),
            Way::Tunnel { .. } => match own.or_else(|| self.inlet.caller()) {
                None => Err(ConnectError::NoIdentity { address }),
                caller => Ok(caller),
            },
            Way::Nowhere { member } => {
                let member = Arc::clone(member);
                Err(ConnectError::Nowhere { address, member })
            }
        }
    }

    /// Opens what leads to the endpoint. A member is reached through the tunnel or not at all.
    async fn wire(self, upstream: &Upstream, as_: Option<&Caller>) -> Result<Wire, ConnectError> {
        let address = upstream.address;
        match (&upstream.way, as_) {
            (Way::Direct, caller) => {
                let dialer = caller.map_or(&Dialer::Host, Caller::dialer);
                dial(dialer, address).await.map(Either::Left)
            }
            (Way::Tunnel { target, .. }, Some(caller)) => {
                let no_identity = ConnectError::NoIdentity { address };
                let source = match (caller.source(), self.own) {
                    (Some(source), _) => source,
                    (None, Some(own)) => own.named().await.ok_or(no_identity)?,
                    (None, None) => caller.named_for_all().await.ok_or(no_identity)?,
                };
                let connect = caller.connect_to(address);
                // Rare, and large.
                let opening = Box::pin(self.worker.tunnels.open(source, target, &connect));
                let opened = opening.await;
                opened
                    .map(|opened| Either::Right(Box::new(opened.stream)))
                    .map_err(|source| ConnectError::Tunnel { address, source })
            }
            (Way::Tunnel { .. }, None) => Err(ConnectError::NoIdentity { address }),
            (Way::Nowhere { member }, _) => {
                let member = Arc::clone(member);
                Err(ConnectError::Nowhere { address, member })
            }
        }
    }
}

/// Opens a connection to an endpoint, secured as the endpoint's Service asks for it: inside of the
/// tunnel, if that is how the endpoint is reached.
pub(crate) async fn connect(
    from: From<'_>,
    upstream: &Upstream,
    caller: Option<&Caller>,
    speaks: Speaks,
) -> Result<UpstreamIo, ConnectError> {
    let address = upstream.address;
    match &upstream.transport {
        Transport::Plain => from.wire(upstream, caller).await.map(Either::Left),
        Transport::Tls(connectors) => {
            let stream = from.wire(upstream, caller).await?;
            let stream = connectors.connect(address, stream, speaks).await?;
            Ok(Either::Right(stream))
        }
        Transport::Unusable => Err(ConnectError::Unusable { address }),
    }
}

/// Opens a connection to an endpoint whose bytes nobody here understands. What a client `encrypts`
/// itself is not wrapped in TLS of ours.
pub(crate) async fn connect_opaque(
    from: From<'_>,
    upstream: &Upstream,
    encrypts: bool,
) -> Result<UpstreamIo, ConnectError> {
    let caller = from.caller(upstream)?;
    if encrypts {
        let wire = from.wire(upstream, caller.as_deref()).await;
        return wire.map(Either::Left);
    }
    connect(from, upstream, caller.as_deref(), Speaks::Opaque).await
}
