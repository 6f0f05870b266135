//! Replicas of the control plane among themselves.
//!
//! Every replica serves proxies, from objects it has read itself. Statuses are written by the one that
//! leads, which therefore has to know what all proxies have taken: the others tell it, each over one
//! stream that it opens to the leader, whose address stands in the Lease. A replica that cannot tell
//! the leader sends its proxies away after a while, to replicas that can; while nobody leads, nothing
//! is written, and everybody serves.

mod dial;
mod link;
mod service;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(crate) use self::{link::Link, service::ReplicasService};

/// So long a replica serves that cannot tell the leader what its proxies have taken. Longer than the
/// Lease of a dead leader lasts, so that a take-over ends no stream; shorter than the leader counts
/// the proxies of a replica it has lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a replica is called in the Lease: its name, and where the others find it.
///
/// Without an address (it listens on every one and was not told which is its own) they cannot.
pub(crate) fn identity(replica: &str, config: SocketAddr, own: Option<IpAddr>) -> String {
    let listening = Some(config.ip()).filter(|address| !address.is_unspecified());
    match own.or(listening) {
        Some(address) => format!("{replica}@{}", SocketAddr::new(address, config.port())),
        None => replica.to_owned(),
    }
}

/// Where a replica is found, by what it is called in the Lease.
fn address(identity: &str) -> Option<SocketAddr> {
    let (_, address) = identity.rsplit_once('@')?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_says_where_a_replica_is() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let own = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let rows = [
            ("on one address", "127.0.0.1:7", None, "a@127.0.0.1:7"),
            ("on all, told", "[::]:7", own("10.0.0.9"), "a@10.0.0.9:7"),
            ("IPv6", "[::]:7", own("fd00::9"), "a@[fd00::9]:7"),
            ("on all, not told", "[::]:7", None, "a"),
        ];
        for (name, listening, own, expected) in rows {
            let identity = identity("a", at(listening), own);
            assert_eq!(identity, expected, "{name}");
            let found = address(&identity).map(|address| format!("a@{address}"));
            assert_eq!(found.unwrap_or_else(|| "a".to_owned()), expected, "{name}");
        }
    }
}
