//! Telling a quiet node from a dead one.

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use crate::wire::Timing;

/// Sends a PING (RFC 9113 section 6.7) every now and then, and completes when one stays without an
/// answer. Only that is taken for death: a slow application or a full window is not.
///
/// Without `pings` it never completes.
pub(crate) async fn silence(pings: Option<PingPong>, timing: Timing) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(timing.ping_every).await;
        match timeout(timing.ping_patience, pings.ping(Ping::opaque())).await {
            Ok(Ok(_pong)) => {}
            // The connection is closing by itself, and its own task says why.
            Ok(Err(_closing)) => return std::future::pending().await,
            Err(_elapsed) => return,
        }
    }
}
