//! Protocol upgrades (RFC 9110 section 7.8): WebSocket and whatever else both sides agree on.
//!
//! No byte of the new protocol moves before the endpoint has answered 101; what the client sends
//! early stays in its connection's buffer. A client of HTTP/2 asks for a WebSocket with an extended
//! CONNECT (RFC 8441); its endpoint gets the handshake of HTTP/1.1, and 101 is 200 for the client.

use http::{
    HeaderMap, HeaderValue, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    request::Parts,
    response,
};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use super::headers;
use crate::{
    exchange::Exchange,
    relay::{Relayed, relay},
};

const WEBSOCKET: &str = "websocket";

/// An upgrade that the client asks for.
pub(super) struct ClientUpgrade {
    /// The protocol, to be offered to the endpoint.
    protocol: HeaderValue,
    on_upgrade: OnUpgrade,
    /// Asked for with an extended CONNECT.
    extended: bool,
}

/// Takes the upgrade out of a request. Several protocols at once, and those that would change the
/// framing of HTTP itself, are not offered: the request goes on without an upgrade, as the
/// specification allows.
///
/// `random` makes the key that a handshake of HTTP/1.1 has and an extended CONNECT has not.
pub(super) fn asked_for(parts: &mut Parts, random: impl Fn() -> u64) -> Option<ClientUpgrade> {
    if parts.version == Version::HTTP_2 {
        // Validation lets no other protocol than WebSocket through.
        parts.extensions.remove::<Protocol>()?;
        parts.headers.remove(CONTENT_LENGTH);
        let key = key([random(), random()]);
        if let Ok(key) = HeaderValue::from_bytes(&key) {
            parts.headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        return Some(ClientUpgrade {
            protocol: HeaderValue::from_static(WEBSOCKET),
            on_upgrade: parts.extensions.remove::<OnUpgrade>()?,
            extended: true,
        });
    }
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
        extended: false,
    })
}

/// A key of a handshake: 16 bytes in base64 (RFC 6455 section 4.1). It tells answers to this
/// handshake from stale ones and keeps no secret, so the numbers need not be unpredictable.
fn key([high, low]: [u64; 2]) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u128::from(high) << 64 | u128::from(low);
    let mut key = [b'='; 24];
    // 21 digits of six bits, one that carries the last two, and two to fill up.
    for (at, digit) in key.iter_mut().take(22).enumerate() {
        let six = if at < 21 {
            bits >> (122 - 6 * at)
        } else {
            bits << 4
        };
        *digit = DIGITS[(six & 63) as usize];
    }
    key
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

    /// Whether it came as an extended CONNECT, to which every 2xx says that the tunnel is there.
    pub(super) fn is_extended(&self) -> bool {
        self.extended
    }

    /// Makes a 101 of the endpoint the answer that the client understands; `false` when it agrees
    /// to something that the client did not ask for.
    ///
    /// The proof that a WebSocket server understood its key (`sec-websocket-accept`) goes to the
    /// client that chose the key. To an extended CONNECT the 101 itself is the proof.
    pub(super) fn confirm(&self, answer: &mut response::Parts) -> bool {
        let agreed = answer.headers.get(UPGRADE).cloned();
        headers::to_client(&mut answer.headers);
        if self.extended {
            answer.status = StatusCode::OK;
            answer.headers.remove(SEC_WEBSOCKET_ACCEPT);
            answer.headers.remove(CONTENT_LENGTH);
            return agreed
                .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()));
        }
        let confirmed = [
            (CONNECTION, Some(HeaderValue::from_static("upgrade"))),
            (UPGRADE, agreed),
        ];
        let confirmed = confirmed
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        answer.headers.extend(confirmed);
        true
    }

    /// The endpoint agreed: passes bytes both ways until both sides are done. `exchange` ends with
    /// the tunnel.
    pub(super) fn tunnel(self, upstream: OnUpgrade, mut exchange: Box<Exchange>) {
        tokio::spawn(async move {
            let relayed = tokio::select! {
                relayed = tunnel(self.on_upgrade, upstream) => Some(relayed),
                () = exchange.cut() => None,
            };
            let (received, ended) = match relayed {
                Some(Ok(Relayed::Done(_sent, received))) => (received, "by both sides"),
                Some(Ok(Relayed::Idle)) => (0, "for want of bytes"),
                Some(Ok(Relayed::Failed(_)) | Err(_)) => (0, "by a failure"),
                None => (0, "by the end of a drain"),
            };
            tracing::debug!(ended, "an upgraded connection ended");
            exchange.tunnel_ended(received);
        });
    }
}

async fn tunnel(client: OnUpgrade, upstream: OnUpgrade) -> hyper::Result<Relayed> {
    let (client, upstream) = tokio::try_join!(client, upstream)?;
    Ok(relay(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await)
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn keys_are_sixteen_bytes_in_base64() {
        let half = |text: &[u8; 8]| u64::from_be_bytes(*text);
        let rows = [
            (
                [half(b"the samp"), half(b"le nonce")],
                "dGhlIHNhbXBsZSBub25jZQ==",
            ),
            ([0, 0], "AAAAAAAAAAAAAAAAAAAAAA=="),
            ([u64::MAX, u64::MAX], "/////////////////////w=="),
        ];
        for (bytes, expected) in rows {
            let key = key(bytes);
            assert_eq!(std::str::from_utf8(&key), Ok(expected), "of {bytes:x?}");
        }
    }
}
