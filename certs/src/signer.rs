//! Who signs: the interface all signers have, and the built-in one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::watch;

use crate::authority::{Authority, LeafLife, SignedChain};
use crate::request::CheckedRequest;

/// Why nothing was signed. What to do next follows from the variant, not from the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// Nobody is at fault for long: ask again, with back-off.
    #[error("the signer cannot answer now: {0}")]
    Retry(String),
    /// This identity is not signed for; asking again changes nothing.
    #[error("the signer refuses: {0}")]
    Denied(String),
    /// An operator has to act; asking again helps only afterwards.
    #[error("the signer is misconfigured: {0}")]
    Misconfigured(String),
}

impl SignError {
    /// Every [`SignError::reason`].
    pub const REASONS: [&str; 3] = [
        "signer_unavailable",
        "signer_denied",
        "signer_misconfigured",
    ];

    /// A short stable name for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Retry(_) => Self::REASONS[0],
            Self::Denied(_) => Self::REASONS[1],
            Self::Misconfigured(_) => Self::REASONS[2],
        }
    }
}

/// The roots a signer's certificates lead to, with the version that acknowledgements name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SignerRoots {
    /// Certificates in DER.
    pub roots: Vec<Vec<u8>>,
    /// Grows with every change.
    pub version: u64,
    /// Fingerprint of the certificate that issues leaves now: whoever has a leaf of another one renews
    /// it soon.
    pub issuer: String,
    /// How soon, at most; [`crate::RENEW_WITHIN`] where that is not said.
    pub renew_within: Option<Duration>,
}

/// What a status says about a signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerInfo {
    /// Which kind of signer.
    pub kind: &'static str,
    /// Trust domain it signs for.
    pub trust_domain: String,
    /// Fingerprint (SHA-256) of the certificate that issues leaves.
    pub issuer: String,
    /// First and last second of that certificate, seconds since 1970.
    pub issuer_validity_unix_s: (i64, i64),
    /// Last second of its root, seconds since 1970.
    pub root_not_after_unix_s: i64,
}

/// The answer of a signer, still to come.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<SignedChain, SignError>> + Send + 'a>>;

/// Signs requests that have been checked and authorised.
///
/// Whether the asking node may have the identity has been decided before; no signer is trusted to
/// decide it.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Issues a certificate for the key and identity of `request`, nothing else of it.
    fn sign<'a>(
        &'a self,
        request: &'a CheckedRequest,
        life: LeafLife,
        now: SystemTime,
    ) -> Signing<'a>;

    /// The roots nodes have to trust, now and whenever they change.
    fn roots(&self) -> watch::Receiver<SignerRoots>;

    /// What a status says about it.
    fn describe(&self) -> SignerInfo;
}

/// What the built-in signer works with in one phase of a rotation.
#[derive(Clone, Debug)]
pub struct Issuers {
    /// Signs.
    pub signing: Arc<Authority>,
    /// Further roots to trust, in DER: the next root while it is distributed, the last one until its
    /// leaves are gone.
    pub also_trusted: Vec<Vec<u8>>,
    /// Version of the set of roots, see [`crate::Rotation`].
    pub bundle_version: u64,
}

/// The built-in signer: an [`Authority`] in this process, replaceable while it works.
#[derive(Debug)]
pub struct BuiltIn {
    current: ArcSwap<Issuers>,
    /// Held only for the exchange of both; no await is inside.
    roots: Mutex<watch::Sender<SignerRoots>>,
}

impl BuiltIn {
    /// Signs with `issuers`.
    #[must_use]
    pub fn new(issuers: Issuers) -> Self {
        let (roots, _) = watch::channel(roots_of(&issuers));
        Self {
            current: ArcSwap::from_pointee(issuers),
            roots: Mutex::new(roots),
        }
    }

    /// Signs with `issuers` from the next request on, and tells the watchers of the roots.
    pub fn replace(&self, issuers: Issuers) {
        // A panic elsewhere cannot have left the sender half changed.
        let roots = self.roots.lock().unwrap_or_else(|lock| lock.into_inner());
        roots.send_replace(roots_of(&issuers));
        self.current.store(Arc::new(issuers));
    }
}

fn roots_of(issuers: &Issuers) -> SignerRoots {
    let own = issuers.signing.root_der().to_vec();
    let mut roots = vec![own];
    for root in &issuers.also_trusted {
        if !roots.contains(root) {
            roots.push(root.clone());
        }
    }
    SignerRoots {
        roots,
        version: issuers.bundle_version,
        issuer: issuers.signing.issuer_fingerprint(),
        renew_within: None,
    }
}

impl Signer for BuiltIn {
    fn sign<'a>(
        &'a self,
        request: &'a CheckedRequest,
        life: LeafLife,
        now: SystemTime,
    ) -> Signing<'a> {
        let signing = self.current.load().signing.clone();
        Box::pin(async move { signing.issue(request, life, now) })
    }

    fn roots(&self) -> watch::Receiver<SignerRoots> {
        let roots = self.roots.lock().unwrap_or_else(|lock| lock.into_inner());
        roots.subscribe()
    }

    fn describe(&self) -> SignerInfo {
        let signing = &self.current.load().signing;
        SignerInfo {
            kind: "built-in",
            trust_domain: signing.domain().to_string(),
            issuer: signing.issuer_fingerprint(),
            issuer_validity_unix_s: signing.issuer_validity_unix_s(),
            root_not_after_unix_s: signing.root_not_after_unix_s(),
        }
    }
}

#[cfg(test)]
mod tests;
