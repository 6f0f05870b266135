//! How long a connection may be used: as long as what was proved at its start is still so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_certs::{Identity, PeerIdentity, Reading};

/// What a connection was built on.
///
/// Ends are kept in monotonic time, so that a wall clock that is set does not cut connections.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    leaf_serial: String,
    bundles_version: u64,
    /// From here on a new stream had better take a new connection.
    pub(crate) fresh_until: Duration,
    /// The first end of the two certificates.
    pub(crate) ends: Duration,
}

impl Term {
    /// For a handshake that has just proved `identity` and `peer` to each other.
    pub(crate) fn new(identity: &Identity, peer: &PeerIdentity, now: Reading) -> Self {
        let leaf = identity.leaf();
        let own_rest = rest(leaf.info().not_after_unix_s, now.wall);
        let peer_rest = rest(peer.not_after_unix_s, now.wall);
        Self {
            leaf_serial: leaf.info().serial.clone(),
            bundles_version: identity.trust().bundles().version(),
            // The peer renews at half of its certificate's life, but shows the new one in new
            // handshakes only; a quarter is left for streams to end by themselves.
            fresh_until: now.monotonic + own_rest.min(peer_rest) / 4 * 3,
            ends: now.monotonic + own_rest.min(peer_rest),
        }
    }

    /// Whether new streams may still use it at `monotonic`, for `identity` as it is now.
    pub(crate) fn is_current(&self, identity: &Identity, monotonic: Duration) -> bool {
        monotonic < self.fresh_until
            && !self.is_superseded(identity)
            && identity.leaf().info().serial == self.leaf_serial
    }

    /// Whether other roots are trusted now than when the peer was verified.
    pub(crate) fn is_superseded(&self, identity: &Identity) -> bool {
        identity.trust().bundles().version() != self.bundles_version
    }
}

/// From `wall` to the end of the second `unix_s`.
fn rest(unix_s: i64, wall: SystemTime) -> Duration {
    let end =
        UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_s).unwrap_or(0).saturating_add(1));
    end.duration_since(wall).unwrap_or_default()
}
