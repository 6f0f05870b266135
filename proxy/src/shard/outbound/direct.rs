//! Connections to an address that no Service stands for: a pod of the mesh, or anybody else.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::net::TcpStream;
use weft_certs::Expected;
use weft_forward::{Unopened, limits::OPAQUE_IDLE};
use weft_spiffe::SpiffeId;
use weft_telemetry::metrics::CloseReason;
use weft_tunnel::{Ended, Stream, Target, relay, wire};

use super::{Inner, Origin};
use crate::shard::passing::{self, Failure, end_in_order, settle};

/// Bytes from the pod, and bytes to it.
type Passed = (AtomicU64, AtomicU64);

/// Passes bytes to `wanted` and back, unchanged and from the pod itself.
pub(super) async fn plain(
    inner: &Inner,
    origin: &Origin,
    stream: TcpStream,
    wanted: SocketAddr,
) -> Result<(), Failure> {
    let passed = Passed::default();
    let carried = pin!(async {
        let dialled = origin.caller.connect(wanted).await;
        let onward = dialled.map_err(|error| Failure::Unreachable(wanted, error))?;
        settle(&onward)?;
        passing::pass(&stream, &onward, (&passed.0, &passed.1)).await
    });
    counted(inner, carried, &passed).await
}

/// Passes bytes through the tunnel to a pod that is the member it is said to be.
pub(super) async fn tunnel(
    inner: &Inner,
    origin: &Origin,
    mut stream: TcpStream,
    to: (SocketAddr, Arc<str>),
) -> Result<(), Failure> {
    let passed = Passed::default();
    let carried = pin!(async {
        let mut tunnel = open(inner, origin, to).await?;
        let relayed = relay(stream.split(), &mut tunnel, OPAQUE_IDLE).await;
        passed.0.store(relayed.sent, Relaxed);
        passed.1.store(relayed.received, Relaxed);
        match relayed.ended {
            Ended::Done => {
                end_in_order(&stream);
                Ok(())
            }
            Ended::Idle => Ok(()),
            Ended::Local(error) => Err(Failure::Broken(error)),
            Ended::Tunnel(error) => Err(Failure::Broken(std::io::Error::other(error))),
        }
    });
    counted(inner, carried, &passed).await
}

/// Opens a stream to a member. When somebody else answers, or nobody there serves it any more, what is
/// known is out of date: once more, with what is known by then, and in plaintext never.
async fn open(
    inner: &Inner,
    origin: &Origin,
    (wanted, mut member): (SocketAddr, Arc<str>),
) -> Result<Stream, Failure> {
    let mut is_again = false;
    loop {
        let id = SpiffeId::parse(&member);
        let id = id.map_err(|_invalid| Failure::Nobody(wanted, Arc::clone(&member)))?;
        let endpoint = SocketAddr::new(wanted.ip(), wire::PORT);
        let target = Target::new(endpoint, Expected::OneOf(vec![id]));
        let handle = inner.dispatch.least_loaded();
        // Rare, and large.
        let opening = Box::pin(origin.caller.open(handle, &target, wanted));
        let error = match opening.await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let is_stale = matches!(&error, Unopened::Tunnel(error) if error.wants_resolving());
        match inner.member_at(wanted.ip()) {
            Some(now) if is_stale && !is_again => member = now,
            _ => return Err(Failure::Unopened(wanted, error)),
        }
        is_again = true;
    }
}

async fn counted(
    inner: &Inner,
    carried: impl Future<Output = Result<(), Failure>>,
    (sent, received): &Passed,
) -> Result<(), Failure> {
    let mut open = Open {
        inner,
        why: CloseReason::Drain,
    };
    inner.direct.opened(false);
    let carried = carried.await;
    inner
        .direct
        .add_bytes(sent.load(Relaxed), received.load(Relaxed));
    open.why = match &carried {
        Ok(()) => CloseReason::Client,
        Err(failure) => CloseReason::Cut(failure.reason()),
    };
    carried
}

/// A connection that was counted as opened. Dropped without a word it was cut by a drain.
struct Open<'a> {
    inner: &'a Inner,
    why: CloseReason,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.inner.direct.closed(self.why, false);
    }
}
