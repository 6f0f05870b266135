//! Lets the probes of the kubelet through, in the network of the node: they concern no pod's table.
//!
//! One change after the other, so that an older one never comes last; and again from time to time, because
//! rules of a node are seen by everybody there.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::sync::watch;

use super::kernel;

/// Time between two looks at the rules.
const EVERY: Duration = Duration::from_secs(30);

/// Where the kubelet probes members; `None` while nobody knows, or another supervisor sees to it.
pub(super) type Probed = Option<BTreeSet<SocketAddr>>;

/// Keeps the rules in the network namespace `node` as they are to be, until nobody says how.
pub(super) async fn keep(node: PathBuf, mut probed: watch::Receiver<Probed>) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        // Both may be dropped.
        tokio::select! {
            changed = probed.changed() => if changed.is_err() {
                return;
            },
            _ = every.tick() => {}
        }
        let wanted = probed.borrow_and_update().clone();
        if let Some(probes) = wanted {
            let node = node.clone();
            let applied = tokio::task::spawn_blocking(move || kernel::probes(&node, &probes));
            if let Err(error) = applied.await {
                tracing::error!("probes of the kubelet: {error}");
            }
        }
    }
}
