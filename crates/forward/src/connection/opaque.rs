//! Mesh connections that may not be HTTP: detection that never stalls a server-first protocol, and
//! the relay for bytes that are not parsed.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::either::Either;
use weft_balance::{Failure, InFlight, Outcome};
use weft_detect::Detection;
use weft_ir::Scheme;
use weft_telemetry::{
    Reason,
    metrics::{CloseReason, Detected},
};
use weft_tunnel::Ended;

use super::{Accepted, client_io::read_some, detect::join, h1};
use crate::{
    limits,
    live::{View, ViewKind},
    relay::{Relayed, relay},
    upstream::{Cluster, ConnectError, UpstreamIo, UpstreamRef, connect_opaque},
};

/// A connection to an endpoint, which counts there while it is open.
type Opened = (UpstreamIo, InFlight<UpstreamRef>);

/// What the bytes of a client are to a Service that is to get TLS.
#[derive(Clone, Copy)]
enum Said {
    /// Plaintext, which gets the TLS that is asked for.
    Plaintext,
    /// TLS of the client's own: the Service gets what it asks for, and there is no policy of ours in
    /// what is between those two.
    Tls,
}

impl Said {
    /// A record of a handshake comes first (RFC 8446 section 5.1).
    fn by(bytes: &[u8]) -> Self {
        match bytes {
            [0x16] | [0x16, 0x03, ..] => Self::Tls,
            _ => Self::Plaintext,
        }
    }
}

/// What is known of a mesh connection before its first decision.
enum First {
    /// The client spoke.
    Client(Bytes),
    /// The server spoke first on a connection that was opened for that case.
    Server(Opened, Bytes),
    /// The client is gone.
    Gone,
    /// Nobody said anything for too long.
    Silent,
    /// The inlet closed before anybody said anything.
    Closed,
}

impl Accepted {
    /// Finds out what a client of a routed or declared HTTP port speaks (routing section 9).
    pub(super) async fn detect(self, view: &Arc<View>, mut client: TcpStream) -> CloseReason {
        let mut seen = match self.first_bytes(view, &mut client).await {
            First::Client(bytes) => bytes,
            First::Server(opened, bytes) => {
                view.connections.detected(Detected::Opaque);
                let started = self.relay_started(view, &mut client, opened, bytes);
                return Box::pin(started).await;
            }
            First::Gone => return CloseReason::Client,
            First::Silent => return CloseReason::Idle,
            First::Closed => return CloseReason::Drain,
        };
        let mut patience = pin!(sleep(limits::REQUEST_HEAD));
        loop {
            match weft_detect::detect(&seen) {
                Detection::Http1 => {
                    view.connections.detected(Detected::Http1);
                    return self.http1(client, seen, Scheme::Http, None).await;
                }
                Detection::Http2 => {
                    view.connections.detected(Detected::Http2);
                    // Few, for each carries many requests, and large.
                    return Box::pin(self.http2(client, seen, Scheme::Http, None)).await;
                }
                Detection::NeedMore => {}
                other => {
                    let tls = matches!(other, Detection::Tls { .. });
                    view.connections
                        .detected(if tls { Detected::Tls } else { Detected::Opaque });
                    let said = if tls { Said::Tls } else { Said::Plaintext };
                    let relaying = self.relay_from(view, &mut client, (seen, said));
                    return Box::pin(relaying).await;
                }
            }
            let more = tokio::select! {
                biased;
                more = read_some(&mut client, 64) => more,
                () = patience.as_mut() => {
                    view.connections.detect_deadline(Detected::Http1);
                    return h1::refuse(client, 408, Reason::TimeoutHeader).await;
                }
            };
            match more {
                Ok(bytes) if !bytes.is_empty() => seen = join(seen, &bytes),
                Ok(_) | Err(_) => return CloseReason::Client,
            }
        }
    }

    /// Waits for the side that speaks first. After a short silence the Service is connected, so that
    /// a server that greets can do so; silence alone decides nothing.
    async fn first_bytes(&self, view: &View, client: &mut TcpStream) -> First {
        match timeout(limits::SPECULATIVE_CONNECT, read_some(client, 64)).await {
            Ok(Ok(bytes)) if !bytes.is_empty() => return First::Client(bytes),
            Ok(_) => return First::Gone,
            Err(_elapsed) => {}
        }
        // Rare, and large.
        let mut server = Box::pin(self.greeting(view));
        // The server gave the speculative connection up, or there is none.
        let mut is_mute = false;
        loop {
            tokio::select! {
                biased;
                spoke = read_some(client, 64) => return match spoke {
                    Ok(bytes) if !bytes.is_empty() => First::Client(bytes),
                    _ => First::Gone,
                },
                spoke = &mut server, if !is_mute => match spoke {
                    Some((opened, bytes)) => return First::Server(opened, bytes),
                    None => is_mute = true,
                },
                () = self.closed() => return First::Closed,
                () = sleep(limits::CLIENT_IDLE) => return First::Silent,
            }
        }
    }

    /// Connects the Service and waits for what it says first. Without a Service to connect, and on
    /// failure, there is nothing: the client may still speak HTTP, and then its request gets the error.
    async fn greeting(&self, view: &View) -> Option<(Opened, Bytes)> {
        let mut opened = self
            .open(service_cluster(view)?, Said::Plaintext)
            .await
            .ok()?;
        let bytes = read_some(&mut opened.0, 64).await.ok()?;
        (!bytes.is_empty()).then_some((opened, bytes))
    }

    /// Passes bytes between the client and one endpoint of the Service. Towards one that is to get TLS
    /// the first of them are looked at, since TLS of the client's own is not wrapped in another.
    pub(super) async fn relay(&self, view: &View, client: &mut TcpStream) -> CloseReason {
        if service_cluster(view).is_some_and(|cluster| cluster.is_secured) {
            // Rare, and large.
            return Box::pin(self.relay_secured(view, client)).await;
        }
        let nothing = (Bytes::new(), Said::Plaintext);
        self.relay_from(view, client, nothing).await
    }

    /// The same towards a Service that is to get TLS.
    async fn relay_secured(&self, view: &View, client: &mut TcpStream) -> CloseReason {
        match self.first_bytes(view, client).await {
            First::Client(bytes) => {
                let said = Said::by(&bytes);
                self.relay_from(view, client, (bytes, said)).await
            }
            First::Server(opened, bytes) => self.relay_started(view, client, opened, bytes).await,
            First::Gone => CloseReason::Client,
            First::Silent => CloseReason::Idle,
            First::Closed => CloseReason::Drain,
        }
    }

    async fn relay_from(
        &self,
        view: &View,
        client: &mut TcpStream,
        (seen, said): (Bytes, Said),
    ) -> CloseReason {
        let Some(cluster) = service_cluster(view) else {
            return refuse(client, Reason::BackendInvalid);
        };
        let (mut upstream, in_flight) = match self.open(cluster, said).await {
            Ok(opened) => opened,
            Err(reason) => return refuse(client, reason),
        };
        let sent = seen.len() as u64;
        let reason = match upstream.write_all(&seen).await {
            Ok(()) => self.copy(view, client, &mut upstream, (sent, 0)).await,
            Err(_) => refuse(client, Reason::UpstreamReset),
        };
        drop(in_flight);
        reason
    }

    async fn relay_started(
        &self,
        view: &View,
        client: &mut TcpStream,
        (mut upstream, in_flight): Opened,
        greeting: Bytes,
    ) -> CloseReason {
        let _in_flight = in_flight;
        match client.write_all(&greeting).await {
            Ok(()) => {
                let received = greeting.len() as u64;
                self.copy(view, client, &mut upstream, (0, received)).await
            }
            Err(_) => CloseReason::Client,
        }
    }

    /// Opens a connection to an endpoint, another one if the first refuses.
    async fn open(&self, cluster: &Cluster, said: Said) -> Result<Opened, Reason> {
        let mut tried = Vec::new();
        let mut reason = Reason::NoReadyEndpoint;
        let mut resolved = false;
        for _ in 0..=limits::CONNECT_RETRIES {
            let now_ns = self.worker.clock.now_ns();
            let random = self.worker.random();
            let picked = cluster.with_members(|members| {
                let index = weft_balance::pick(members, now_ns, random, &tried)?;
                Some((index, members.get(index)?.clone()))
            });
            let Some((index, upstream)) = picked else {
                return Err(reason);
            };
            let mut in_flight = InFlight::begin(upstream.clone(), now_ns);
            let encrypts = matches!(said, Said::Tls);
            let result = connect_opaque(self.sends(), &upstream, encrypts).await;
            self.report(cluster, &mut in_flight, &result, now_ns);
            match result {
                Ok(stream) => return Ok((stream, in_flight)),
                Err(error) => {
                    tracing::debug!(%error, "no connection to an endpoint");
                    reason = error.reason();
                    // Once more with what is known of it now, which may be another identity.
                    if error.wants_resolving() && !std::mem::replace(&mut resolved, true) {
                        continue;
                    }
                }
            }
            tried.push(index);
        }
        Err(reason)
    }

    fn report(
        &self,
        cluster: &Cluster,
        in_flight: &mut InFlight<UpstreamRef>,
        result: &Result<UpstreamIo, ConnectError>,
        started_ns: u64,
    ) {
        let now_ns = self.worker.clock.now_ns();
        let outcome = match result {
            Ok(_) => Outcome::Success,
            Err(error) if !error.is_of_endpoint() => return,
            Err(_) => Outcome::Failure(Failure::Connect),
        };
        let latency_ns = now_ns.saturating_sub(started_ns);
        let ejection =
            cluster.with_members(|members| in_flight.record(members, outcome, latency_ns, now_ns));
        if let Some(ejection) = ejection {
            cluster.ejected(in_flight.endpoint(), ejection);
        }
    }

    async fn copy(
        &self,
        view: &View,
        client: &mut TcpStream,
        upstream: &mut UpstreamIo,
        (sent, received): (u64, u64),
    ) -> CloseReason {
        let _busy = self.worker.busy();
        let relaying = async {
            match upstream {
                Either::Left(Either::Right(tunnel)) => through(client, tunnel).await,
                upstream => relay(client, upstream).await,
            }
        };
        let relayed = tokio::select! {
            relayed = relaying => relayed,
            () = self.inlet.closed() => return CloseReason::Drain,
        };
        match relayed {
            Relayed::Done(up, down) => {
                view.connections.add_bytes(sent + up, received + down);
                CloseReason::Client
            }
            Relayed::Idle => CloseReason::Idle,
            Relayed::Failed(error) => {
                tracing::debug!(peer = %self.peer, %error, "opaque connection ended");
                abort(client);
                CloseReason::Cut(Reason::UpstreamReset)
            }
        }
    }
}

/// Passes bytes between the client and a member, whose stream can do it with fewer copies than one that
/// could be anything.
async fn through(client: &mut TcpStream, tunnel: &mut weft_tunnel::Stream) -> Relayed {
    let relayed = weft_tunnel::relay(client.split(), tunnel, limits::OPAQUE_IDLE).await;
    match relayed.ended {
        Ended::Done => Relayed::Done(relayed.sent, relayed.received),
        Ended::Idle => Relayed::Idle,
        Ended::Local(error) => Relayed::Failed(error),
        Ended::Tunnel(error) => Relayed::Failed(io::Error::other(error)),
    }
}

fn service_cluster(view: &View) -> Option<&Arc<Cluster>> {
    match &view.kind {
        ViewKind::Mesh { service, .. } => service.cluster.as_ref(),
        ViewKind::Gateway { .. } => None,
    }
}

/// Closes with a reset: the client must not take a refusal for an orderly end.
fn refuse(client: &TcpStream, reason: Reason) -> CloseReason {
    abort(client);
    CloseReason::Cut(reason)
}

fn abort(client: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection cannot be reset; it is closed in order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Relays<F> = fn(&'static Accepted, &'static View, &'static mut TcpStream) -> F;

    fn bytes_of<F: Future>(_relays: Relays<F>) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_is_relayed_is_held_in_little() {
        // What the task of a connection keeps in one piece, as long as it lives.
        let bytes = bytes_of(Accepted::relay) + size_of::<(Accepted, Arc<View>, TcpStream)>();
        assert!(bytes <= 1536, "{bytes} bytes, as long as it lives");
    }
}
