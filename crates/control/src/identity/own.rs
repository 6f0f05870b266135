//! Whom this replica trusts itself, and by whom its own certificate is.

use std::sync::Arc;

use tokio::sync::watch;
use weft_certs::{Clock, Identity, RenewSoon, RenewalStatus, SignerRoots, TrustBundle};
use weft_spiffe::TrustDomain;
use weft_wire::proto::config::Trusts;

use crate::hub::Hub;

/// Keeps the trust of this process that of the signer.
pub(crate) struct OwnTrust {
    pub(crate) identity: Identity,
    pub(crate) domain: TrustDomain,
    pub(crate) clock: Clock,
    pub(crate) roots: watch::Receiver<SignerRoots>,
    pub(crate) renewals: watch::Receiver<RenewalStatus>,
    pub(crate) soon: RenewSoon,
    pub(crate) hub: Arc<Hub>,
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
        let trust = self.identity.trust();
        let known = trust.bundles();
        if newest.version > known.version() {
            let now = self.clock.now();
            let (bundle, refused) = TrustBundle::from_der(&self.domain, newest.roots, now);
            for (position, error) in refused {
                tracing::error!("root {position} of the mesh is not trusted: {error}");
            }
            if !bundle.is_empty() {
                trust.replace(known.with(bundle, newest.version));
            }
        }
        let issuer = self.identity.leaf().info().issuer.clone();
        if issuer != newest.issuer {
            // Replicas are few: there is no crowd to spread.
            self.soon.ask_at_once();
        }
        self.hub.trusts(Trusts {
            bundle_version: trust.bundles().version(),
            issuer,
        });
    }
}
