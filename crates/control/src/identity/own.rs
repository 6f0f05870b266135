//! Whom this replica trusts itself, and by whom its own certificate is.

use std::sync::Arc;

use tokio::sync::watch;
use weft_certs::{Identity, RenewSoon, Renewal, RenewalStatus, SignerRoots};
use weft_telemetry::metrics::{Holder, TrustMetrics};
use weft_wire::proto::config::Trusts;

use crate::hub::Hub;

/// Keeps the trust of this process that of the signer.
pub(crate) struct OwnTrust {
    pub(crate) identity: Identity,
    pub(crate) roots: watch::Receiver<SignerRoots>,
    pub(crate) renewals: watch::Receiver<RenewalStatus>,
    pub(crate) soon: RenewSoon,
    pub(crate) hub: Arc<Hub>,
    /// Where the roots are shown.
    pub(crate) shown: Arc<TrustMetrics>,
}

impl OwnTrust {
    /// Keeps for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        loop {
            self.follow();
            // Both can be dropped: watched values stay changed. Who says nothing more is done.
            tokio::select! {
                Ok(()) = self.roots.changed() => {}
                Ok(()) = self.renewals.changed() => {}
                else => return,
            }
        }
    }

    fn follow(&mut self) {
        let newest = self.roots.borrow_and_update().clone();
        self.renewals.mark_unchanged();
        match self.identity.follow(&newest) {
            Ok(followed) => {
                for (position, error) in &followed.refused {
                    tracing::error!("root {position} of the mesh is not trusted: {error}");
                }
                if followed.renewal != Renewal::InTime {
                    // Replicas are few: there is no crowd to spread.
                    self.soon.ask_at_once();
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
        let bundles = self.identity.trust().bundles();
        self.shown.set(bundles.roots(Holder::Controller).collect());
        self.hub.trusts(Trusts {
            bundle_version: bundles.version(),
            issuer: self.identity.leaf().info().issuer.clone(),
            workers: Vec::new(),
        });
    }
}
