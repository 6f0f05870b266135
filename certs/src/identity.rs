//! The identity of a process: its own certificate and the roots it trusts, replaceable at any time.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use weft_spiffe::SpiffeId;

use crate::bundle::Bundles;
use crate::clock::Clock;
use crate::leaf::Leaf;

/// The trust of a process: bundles that handshakes read, replaceable at any time. Cheap to clone; all
/// clones see a replacement at once.
#[derive(Clone)]
pub struct Trust {
    bundles: Arc<ArcSwap<Bundles>>,
    pub(crate) clock: Clock,
}

impl Trust {
    /// Trusts `bundles`, and tells the time by `clock`.
    #[must_use]
    pub fn new(bundles: Bundles, clock: Clock) -> Self {
        Self {
            bundles: Arc::new(ArcSwap::from_pointee(bundles)),
            clock,
        }
    }

    /// Trusts other bundles from the next handshake on.
    pub fn replace(&self, bundles: Bundles) {
        self.bundles.store(Arc::new(bundles));
    }

    /// What is trusted now.
    #[must_use]
    pub fn bundles(&self) -> Arc<Bundles> {
        self.bundles.load_full()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.bundles.load()).finish()
    }
}

/// A leaf of somebody else was to become this identity's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a certificate of {given} cannot become that of {own}; identities do not change")]
pub struct OtherIdentity {
    own: SpiffeId,
    given: SpiffeId,
}

/// Who this process is: its leaf and its [`Trust`]. Cheap to clone; all clones, and the acceptors and
/// connectors made from it, use a replacement from the next handshake on. Connections that exist are not
/// disturbed.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    leaf: ArcSwap<Leaf>,
    trust: Trust,
}

impl Identity {
    /// An identity with `leaf` as its certificate.
    #[must_use]
    pub fn new(leaf: Leaf, trust: Trust) -> Self {
        Self(Arc::new(Inner {
            leaf: ArcSwap::from_pointee(leaf),
            trust,
        }))
    }

    /// The SPIFFE ID, which never changes.
    #[must_use]
    pub fn id(&self) -> SpiffeId {
        self.0.leaf.load().info().id.clone()
    }

    /// The certificate in use.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        Leaf::clone(&self.0.leaf.load())
    }

    /// Shows `leaf` from the next handshake on.
    ///
    /// # Errors
    ///
    /// Fails when the leaf names somebody else.
    pub fn replace(&self, leaf: Leaf) -> Result<(), OtherIdentity> {
        let own = self.id();
        if leaf.info().id != own {
            let given = leaf.info().id.clone();
            return Err(OtherIdentity { own, given });
        }
        self.0.leaf.store(Arc::new(leaf));
        Ok(())
    }

    /// What it trusts; a handle, so replacements through it take effect here.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// The last second of the certificate, when that is over at `now`. Nothing is shown then: peers would
    /// refuse it, with a message that blames them.
    pub(crate) fn expired_at(&self, now: SystemTime) -> Option<i64> {
        let leaf = self.0.leaf.load();
        (!leaf.is_valid(now)).then_some(leaf.info().not_after_unix_s)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("leaf", &self.0.leaf.load())
            .field("trust", &self.0.trust)
            .finish()
    }
}

/// Shows the leaf in use at the moment of a handshake, on either side of it.
#[derive(Debug)]
pub(crate) struct ShowLeaf(pub(crate) Identity);

impl ShowLeaf {
    fn certified(&self) -> Arc<CertifiedKey> {
        self.0.0.leaf.load().certified().clone()
    }
}

impl ResolvesServerCert for ShowLeaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }
}

impl ResolvesClientCert for ShowLeaf {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
