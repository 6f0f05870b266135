//! Whom the proxy trusts, as the control plane distributes it while its authority is rotated, and by
//! whom its own certificate is.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};
use weft_certs::{Followed, Identity, RenewSoon, RenewalStatus, SignerRoots};
use weft_spiffe::TrustDomain;
use weft_wire::proto::config::{
    Bundle, ClientMessage, Trusts, WorkerTrusts, client_message::Message,
};

/// Refusals in a row after which the certificate is renewed: its issuer may have been retired while
/// this proxy was away.
const REFUSALS: u32 = 3;
/// And after so many more again, which takes about a minute.
const REFUSALS_MORE: u32 = 30;
/// Time between two words about whom workers trust: a node that starts many says it in a few.
const PACE: Duration = Duration::from_millis(200);

/// Whom to trust, for others to whom it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Version of the bundle.
    pub version: u64,
    /// Its roots, in DER.
    pub roots: Vec<Bytes>,
    /// Fingerprint of the certificate that issues now, as far as it is known.
    pub issuer: String,
    /// Over which time those renew who have a certificate of another one, if that was said.
    pub renew_within: Option<Duration>,
}

/// Follows the bundles of the control plane.
#[derive(Debug)]
pub(super) struct Trusting {
    identity: Identity,
    domain: TrustDomain,
    soon: RenewSoon,
    renewals: watch::Receiver<RenewalStatus>,
    workers: watch::Receiver<Vec<WorkerTrusts>>,
    /// How often in a row the control plane was there and would not have us.
    pub(super) refusals: u32,
    /// Fingerprint of the certificate that issues now; empty before the control plane said so.
    issuer: String,
    /// Over which time everybody renews who has another.
    renew_within: Option<Duration>,
    /// What the control plane was told last.
    told: Trusts,
    pace: Interval,
}

/// Trusts what the control plane announces from the next handshake on, and has the certificate renewed
/// if somebody else issues now. What came of it; nothing where no root is good.
pub(crate) fn follow(
    identity: &Identity,
    announced: &SignerRoots,
    soon: &RenewSoon,
) -> Option<Followed> {
    match identity.follow(announced) {
        Ok(followed) => {
            for (position, error) in &followed.refused {
                tracing::error!("root {position} of the control plane is not trusted: {error}");
            }
            followed.renewal.ask(soon);
            Some(followed)
        }
        Err(error) => {
            tracing::error!("the control plane's bundle is not taken: {error}");
            None
        }
    }
}

/// A time as it travels, where zero is that nothing was said.
pub(crate) fn time_of(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

impl Trusting {
    /// Of a proxy with workers of its own. Runs in a runtime.
    pub(super) fn new(
        (identity, domain): (Identity, TrustDomain),
        (soon, renewals): (RenewSoon, watch::Receiver<RenewalStatus>),
        workers: watch::Receiver<Vec<WorkerTrusts>>,
    ) -> Self {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            identity,
            domain,
            soon,
            renewals,
            workers,
            refusals: 0,
            issuer: String::new(),
            renew_within: None,
            told: Trusts::default(),
            pace,
        }
    }

    /// The certificate of the proxy, and whom it trusts.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the control plane is told.
    pub(super) fn said(&mut self) -> ClientMessage {
        self.told = self.trusts();
        ClientMessage {
            message: Some(Message::Trusts(self.told.clone())),
        }
    }

    fn trusts(&self) -> Trusts {
        Trusts {
            bundle_version: self.identity.trust().bundles().version(),
            issuer: self.identity.leaf().info().issuer.clone(),
            workers: self.workers.borrow().clone(),
        }
    }

    /// Whom the proxy trusts, and who issues as far as it knows.
    pub(super) fn trusted(&self) -> Trusted {
        let bundles = self.identity.trust().bundles();
        let roots = bundles.get(&self.domain);
        let roots = roots.iter().flat_map(|it| it.roots_der());
        Trusted {
            version: bundles.version(),
            roots: roots.map(Bytes::copy_from_slice).collect(),
            issuer: self.issuer.clone(),
            renew_within: self.renew_within,
        }
    }

    /// Takes a bundle over. One without a usable root is no bundle: then what was trusted stays.
    pub(super) fn take(&mut self, bundle: Bundle) {
        let announced = SignerRoots {
            roots: bundle.roots.iter().map(|der| der.to_vec()).collect(),
            version: bundle.version,
            issuer: bundle.issuer,
            renew_within: time_of(bundle.renew_within_ms),
        };
        let Some(followed) = follow(&self.identity, &announced, &self.soon) else {
            return;
        };
        if followed.is_news {
            tracing::info!(version = announced.version, "trusting another bundle");
        }
        self.issuer = announced.issuer;
        self.renew_within = announced.renew_within;
    }

    /// Waits until the control plane is to be told something else than the last time. Can be dropped.
    pub(super) async fn changed(&mut self) {
        while self.trusts() == self.told {
            // Both can be dropped: watched values stay changed. Who says nothing more is done.
            tokio::select! {
                Ok(()) = self.renewals.changed() => {}
                Ok(()) = self.workers.changed() => {}
                else => std::future::pending().await,
            }
        }
        self.pace.tick().await;
    }

    /// The control plane would not have us, or we not it.
    pub(super) fn refused(&mut self) {
        self.refusals += 1;
        if self.refusals % REFUSALS_MORE == REFUSALS {
            self.soon.ask_at_once();
        }
    }
}
