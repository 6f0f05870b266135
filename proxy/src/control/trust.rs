//! Whom the proxy trusts, as the control plane distributes it while its authority is rotated, and by
//! whom its own certificate is.

use bytes::Bytes;
use tokio::sync::watch;
use weft_certs::{Clock, Identity, RenewSoon, RenewalStatus, TrustBundle};
use weft_spiffe::TrustDomain;
use weft_wire::proto::config::{Bundle, ClientMessage, Trusts, client_message::Message};

/// Refusals in a row after which the certificate is renewed: its issuer may have been retired while
/// this proxy was away.
const REFUSALS: u32 = 3;
/// And after so many more again, which takes about a minute.
const REFUSALS_MORE: u32 = 30;

/// Whom to trust, for others to whom it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Version of the bundle.
    pub version: u64,
    /// Its roots, in DER.
    pub roots: Vec<Bytes>,
    /// Fingerprint of the certificate that issues now, as far as it is known.
    pub issuer: String,
}

/// Follows the bundles of the control plane.
#[derive(Debug)]
pub(super) struct Trusting {
    pub(super) identity: Identity,
    pub(super) domain: TrustDomain,
    pub(super) clock: Clock,
    pub(super) soon: RenewSoon,
    pub(super) renewals: watch::Receiver<RenewalStatus>,
    /// How often in a row the control plane was there and would not have us.
    pub(super) refusals: u32,
    /// Fingerprint of the certificate that issues now; empty before the control plane said so.
    pub(super) issuer: String,
}

impl Trusting {
    /// What the control plane is told.
    pub(super) fn said(&self) -> ClientMessage {
        let trusts = Trusts {
            bundle_version: self.identity.trust().bundles().version(),
            issuer: self.identity.leaf().info().issuer.clone(),
        };
        ClientMessage {
            message: Some(Message::Trusts(trusts)),
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
        }
    }

    /// Trusts a bundle from the next handshake on, and renews the certificate soon if another issuer
    /// signs now. A bundle without a usable root is no bundle: then what was trusted stays.
    pub(super) fn take(&mut self, bundle: Bundle) {
        let trust = self.identity.trust();
        let known = trust.bundles();
        if bundle.version > known.version() {
            let roots = bundle.roots.iter().map(|der| der.to_vec());
            let (roots, now) = (roots.collect::<Vec<_>>(), self.clock.now());
            let (roots, refused) = TrustBundle::from_der(&self.domain, roots, now);
            for (position, error) in refused {
                tracing::error!("root {position} of the control plane is not trusted: {error}");
            }
            if roots.is_empty() {
                tracing::error!("no root of the control plane's bundle can be trusted");
                return;
            }
            trust.replace(known.with(roots, bundle.version));
            tracing::info!(version = bundle.version, "trusting another bundle");
        }
        if self.identity.leaf().info().issuer != bundle.issuer {
            self.soon.ask();
        }
        self.issuer = bundle.issuer;
    }

    /// Waits until there is another certificate; for ever when there never will be. Can be dropped.
    pub(super) async fn renewed(&mut self) {
        let before = self.identity.leaf().info().serial.clone();
        while self.identity.leaf().info().serial == before {
            if self.renewals.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The control plane would not have us, or we not it.
    pub(super) fn refused(&mut self) {
        self.refusals += 1;
        if self.refusals % REFUSALS_MORE == REFUSALS {
            self.soon.ask_at_once();
        }
    }
}
