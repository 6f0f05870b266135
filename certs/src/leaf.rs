//! The certificate a process shows for itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use weft_spiffe::SpiffeId;

use crate::bundle::{Bundles, TrustBundle};
use crate::clock::{from_unix_s, unix_s};
use crate::peer::PeerError;
use crate::pem::fingerprint;
use crate::request::KeyAndRequest;
use crate::verify;

/// Why a signer's answer is not used. The certificate in use before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeafError {
    /// No certificate in the answer.
    #[error("the signer answered without a certificate")]
    Empty,
    /// A certificate for somebody else's key.
    #[error("the signer answered with a certificate for another key than the one requested")]
    OtherKey,
    /// A certificate for somebody else.
    #[error("the signer answered with a certificate for {actual}, {expected} was requested")]
    OtherIdentity {
        /// Whom it names.
        actual: SpiffeId,
        /// Whom it should name.
        expected: SpiffeId,
    },
    /// Every peer would refuse it.
    #[error("peers would refuse the signer's certificate: {0}")]
    Refused(#[from] PeerError),
    /// The key cannot be used.
    #[error("the key cannot be used for TLS: {0}")]
    Key(String),
}

impl LeafError {
    /// A short stable name for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "leaf_missing",
            Self::OtherKey => "leaf_key_mismatch",
            Self::OtherIdentity { .. } => "leaf_identity_mismatch",
            Self::Refused(error) => error.reason(),
            Self::Key(_) => "leaf_key_unusable",
        }
    }
}

/// The facts of a leaf. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafInfo {
    /// Whom it names.
    pub id: SpiffeId,
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// Fingerprint of the issuer's certificate, see [`crate::Authority::issuer_fingerprint`]: what a node
    /// goes by when it counts leaves of an old issuer.
    pub issuer: String,
    /// When it was received, seconds since 1970. Life is counted from here, not from the back-dated
    /// start of validity.
    pub issued_at_unix_s: i64,
    /// Its last second, seconds since 1970: `weft_identity_cert_expiry_timestamp_seconds`.
    pub not_after_unix_s: i64,
}

/// A certificate chain with its private key, checked. Cheap to clone; the key can be used but not read.
#[derive(Clone)]
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    info: Arc<LeafInfo>,
}

impl KeyAndRequest {
    /// Joins the key with the signer's answer: a chain in DER, the leaf first.
    ///
    /// The chain has to be one that a peer with the roots of `bundles` accepts at `now`, for this key
    /// and this identity. Better to find out here than in every handshake.
    ///
    /// # Errors
    ///
    /// See [`LeafError`]; the key is wiped.
    pub fn into_leaf(
        self,
        chain: &[Vec<u8>],
        bundles: &Bundles,
        now: SystemTime,
    ) -> Result<Leaf, LeafError> {
        let chain = chain
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect::<Vec<_>>();
        let (first, issuers) = chain.split_first().ok_or(LeafError::Empty)?;
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(since);
        let verified = verify::verify(first, issuers, bundles, time)?;
        if verified.id != *self.id() {
            return Err(LeafError::OtherIdentity {
                actual: verified.id,
                expected: self.id().clone(),
            });
        }
        let info = LeafInfo {
            id: verified.id,
            serial: verified.serial,
            issuer: issuers.first().map_or_else(
                || issuing_root(first, bundles, time),
                |issuer| fingerprint(issuer),
            ),
            issued_at_unix_s: unix_s(now),
            not_after_unix_s: verified.not_after_unix_s,
        };
        let key = self
            .key
            .for_tls()
            .map_err(|error| LeafError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| LeafError::OtherKey)?;
        Ok(Leaf {
            certified: Arc::new(certified),
            info: Arc::new(info),
        })
    }
}

/// The fingerprint of the root that has issued a verified leaf directly.
fn issuing_root(leaf: &CertificateDer<'_>, bundles: &Bundles, now: UnixTime) -> String {
    let vouches = |alone: &TrustBundle| {
        verify::verify(leaf, &[], &Bundles::new(alone.clone(), 0), now).is_ok()
    };
    let own = bundles.get(bundles.own_domain());
    let root = own.and_then(|own| own.each_root().find(vouches));
    // Found, because the leaf has been verified.
    root.map_or_else(String::new, |root| {
        root.roots_der().map(fingerprint).collect()
    })
}

impl Leaf {
    /// Its facts.
    #[must_use]
    pub fn info(&self) -> &LeafInfo {
        &self.info
    }

    /// Whether peers still accept it at `now`.
    #[must_use]
    pub fn is_valid(&self, now: SystemTime) -> bool {
        unix_s(now) <= self.info.not_after_unix_s
    }

    /// Its life from issuance on.
    #[must_use]
    pub fn life(&self) -> Duration {
        let start = from_unix_s(self.info.issued_at_unix_s);
        let end = from_unix_s(self.info.not_after_unix_s);
        end.duration_since(start).unwrap_or_default()
    }

    /// The chain in DER, leaf first. Public.
    pub fn chain_der(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("info", &self.info)
            .field("key", &"[redacted]")
            .finish()
    }
}
