//! Protocol upgrades (RFC 9110 section 7.8): WebSocket and whatever else both sides agree on.
//!
//! No byte of the new protocol moves before the endpoint has answered 101; what the client sends
//! early stays in its connection's buffer.

use http::{
    HeaderMap, HeaderValue, Version,
    header::{CONNECTION, UPGRADE},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::{
    exchange::Exchange,
    relay::{Relayed, relay},
};

/// An upgrade that the client asks for.
pub(super) struct ClientUpgrade {
    /// The protocol, to be offered to the endpoint.
    protocol: HeaderValue,
    on_upgrade: OnUpgrade,
}

/// Takes the upgrade out of a request. Several protocols at once, and those that would change the
/// framing of HTTP itself, are not offered: the request goes on without an upgrade, as the
/// specification allows.
pub(super) fn asked_for(parts: &mut Parts) -> Option<ClientUpgrade> {
    if parts.version != Version::HTTP_11 || !lists_upgrade(&parts.headers) {
        return None;
    }
    let mut values = parts.headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (values.next(), values.next()) else {
        return None;
    };
    let token = protocol.as_bytes();
    let refused = [&b"h2c"[..], b"h2", b"http/2.0", b"tls/1.0"];
    if token.contains(&b',') || refused.iter().any(|name| token.eq_ignore_ascii_case(name)) {
        return None;
    }
    let protocol = protocol.clone();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>()?;
    Some(ClientUpgrade {
        protocol,
        on_upgrade,
    })
}

fn lists_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

impl ClientUpgrade {
    /// The protocol, as the endpoint is to see it.
    pub(super) fn protocol(&self) -> HeaderValue {
        self.protocol.clone()
    }

    /// The endpoint agreed: passes bytes both ways until both sides are done. `exchange` ends with
    /// the tunnel.
    pub(super) fn tunnel(self, upstream: OnUpgrade, mut exchange: Box<Exchange>) {
        tokio::spawn(async move {
            let (received, ended) = match tunnel(self.on_upgrade, upstream).await {
                Ok(Relayed::Done(_sent, received)) => (received, "by both sides"),
                Ok(Relayed::Idle) => (0, "for want of bytes"),
                Ok(Relayed::Failed(_)) | Err(_) => (0, "by a failure"),
            };
            tracing::debug!(ended, "an upgraded connection ended");
            exchange.tunnel_ended(received);
        });
    }
}

/// Marks a 101 for the client.
pub(super) fn confirm(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
    }
}

async fn tunnel(client: OnUpgrade, upstream: OnUpgrade) -> hyper::Result<Relayed> {
    let (client, upstream) = tokio::try_join!(client, upstream)?;
    Ok(relay(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await)
}
