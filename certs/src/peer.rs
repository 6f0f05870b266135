//! Who a peer turned out to be, and why one was refused.

use thiserror::Error;
use weft_spiffe::{SpiffeId, SpiffeIdError};

/// A peer whose certificate has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its identity. An address is never one.
    pub id: SpiffeId,
    /// Serial number of its certificate in lower-case hexadecimal, for logs.
    pub serial: String,
    /// When its certificate ends, seconds since 1970, inclusive. Connections outlive handshakes: who
    /// keeps one longer than this trusts somebody nobody vouches for any more.
    pub not_after_unix_s: i64,
}

/// Why the certificate of a peer was refused. Every rule has its own reason.
///
/// Positions count from 1, the peer's own certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The peer has shown no certificate.
    #[error("the peer showed no certificate; only members of the mesh are served here")]
    NoCertificate,
    /// More certificates than any chain of ours has.
    #[error("the chain has {0} certificates, at most 4 are allowed")]
    ChainTooLong(usize),
    /// More bytes than any chain of ours has.
    #[error("the chain has {0} bytes, at most 16384 are allowed")]
    ChainTooLarge(usize),
    /// Not a certificate.
    #[error("certificate {position} of the chain cannot be read: {detail}")]
    Malformed {
        /// Which one.
        position: usize,
        /// What is wrong.
        detail: String,
    },
    /// Zero or negative (RFC 5280 section 4.1.2.2).
    #[error("the serial number of certificate {0} is not positive")]
    SerialNotPositive(usize),
    /// Longer than 20 bytes (RFC 5280 section 4.1.2.2).
    #[error("the serial number of certificate {0} is longer than 20 bytes")]
    SerialTooLong(usize),
    /// A key nobody should use any more, or of a kind that is not admitted.
    #[error("certificate {position} has a key of type {kind}; use ECDSA P-256")]
    WeakKey {
        /// Which one.
        position: usize,
        /// Algorithm and size or curve.
        kind: String,
    },
    /// A critical extension that is not understood (RFC 5280 section 4.2).
    #[error("certificate {position} has the unknown critical extension {oid}")]
    UnknownCritical {
        /// Which one.
        position: usize,
        /// Its object identifier.
        oid: String,
    },
    /// No subject alternative name at all.
    #[error("the certificate has no subject alternative name, so it names nobody")]
    NoName,
    /// Names, but no URI among them.
    #[error("the certificate has no URI among its subject alternative names")]
    NoUri,
    /// More than one URI (X509-SVID section 2).
    #[error("the certificate has {0} URIs among its subject alternative names, one is allowed")]
    SeveralUris(usize),
    /// The URI is no SPIFFE ID.
    #[error("the certificate's URI is no SPIFFE ID: {0}")]
    NotSpiffe(#[source] SpiffeIdError),
    /// An empty subject requires the alternative name to be critical (RFC 5280 section 4.2.1.6).
    #[error("the subject is empty but the subject alternative name is not critical")]
    NameNotCritical,
    /// The ID of a trust domain, which only signing authorities carry (X509-SVID section 3).
    #[error("{0} names a trust domain, not a workload")]
    NotWorkload(SpiffeId),
    /// An ID of our own trust domain that no workload of ours has.
    #[error("{id} is no workload of this trust domain: {source}")]
    NotOurs {
        /// The ID.
        id: SpiffeId,
        /// Why not.
        source: SpiffeIdError,
    },
    /// A signing authority passing itself off as a workload.
    #[error("the certificate is a CA's; a CA authenticates nobody")]
    LeafIsCa,
    /// `keyCertSign` or `cRLSign` in a leaf (X509-SVID section 4.3).
    #[error("the certificate's key may sign certificates or CRLs; a workload's must not")]
    LeafSigns,
    /// No key usage in the leaf (X509-SVID section 4.3).
    #[error("the certificate has no key usage")]
    NoKeyUsage,
    /// The key usage is not critical (X509-SVID section 4.3).
    #[error("the certificate's key usage is not critical")]
    KeyUsageNotCritical,
    /// No `digitalSignature` (X509-SVID section 4.3).
    #[error("the certificate's key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// No extended key usage in our own trust domain.
    #[error("the certificate has no extended key usage; serverAuth and clientAuth are required")]
    NoPurpose,
    /// `anyExtendedKeyUsage` instead of the two purposes.
    #[error("anyExtendedKeyUsage does not count; serverAuth and clientAuth are required")]
    AnyPurpose,
    /// One of the two purposes, or others.
    #[error("the extended key usage lacks serverAuth or clientAuth")]
    MissingPurpose,
    /// Name constraints where only a CA may have them (RFC 5280 section 4.2.1.10).
    #[error("the certificate has name constraints; only a CA's may")]
    LeafConstrains,
    /// The validity is over.
    #[error("certificate {position} expired at {not_after_unix_s} (seconds since 1970)")]
    Expired {
        /// Which one; 0 for an issuer the path library met.
        position: usize,
        /// Its last second.
        not_after_unix_s: i64,
    },
    /// The validity is still to come.
    #[error(
        "certificate {position} is valid from {not_before_unix_s} (seconds since 1970); are the \
         clocks right?"
    )]
    NotYetValid {
        /// Which one; 0 for an issuer the path library met.
        position: usize,
        /// Its first second.
        not_before_unix_s: i64,
    },
    /// No roots are known for the trust domain.
    #[error("trust domain {0} is not trusted here; federation may be missing")]
    UnknownDomain(String),
    /// All roots of the trust domain have expired.
    #[error("every root of trust domain {0} has expired")]
    RootsExpired(String),
    /// The leaf vouches for itself.
    #[error("the certificate is self-signed")]
    SelfSigned,
    /// The chain leads to a root, but one of another trust domain.
    #[error("the chain leads to a root of trust domain {actual}, the ID is of {claimed}")]
    ForeignIssuer {
        /// The domain of the ID.
        claimed: String,
        /// The domain that vouches.
        actual: String,
    },
    /// The chain leads nowhere: an intermediate is missing, or the root is not known.
    #[error("no chain to a root of trust domain {0}; an intermediate may be missing")]
    UnknownIssuer(String),
    /// Somebody in the chain is no CA.
    #[error("certificate {0} of the chain is no CA's")]
    IssuerNotCa(usize),
    /// A CA without `keyCertSign` (RFC 5280 section 4.2.1.3).
    #[error("the key of certificate {0} may not sign certificates")]
    IssuerMayNotSign(usize),
    /// A CA whose own SPIFFE ID has a path (X509-SVID section 3).
    #[error("certificate {0} is a CA's and has the ID of a workload")]
    IssuerNamesWorkload(usize),
    /// More intermediates than a path length constraint allows (RFC 5280 section 4.2.1.9).
    #[error("a path length constraint of the chain is violated")]
    PathLength,
    /// A name constraint of a CA excludes the peer (RFC 5280 section 4.2.1.10).
    #[error("a name constraint of the chain excludes the peer")]
    Excluded,
    /// A signature in the chain is wrong.
    #[error("a signature of the chain is invalid")]
    Signature,
    /// Any other fault the path library finds.
    #[error("the chain is invalid: {0}")]
    Path(String),
    /// The certificate, or a CA's, has been revoked.
    #[error("certificate {0} of the chain has been revoked")]
    Revoked(usize),
    /// A good certificate of somebody else.
    #[error("the peer is {actual}, not {expected}")]
    WrongIdentity {
        /// Who it is.
        actual: SpiffeId,
        /// Who was expected, for people.
        expected: String,
    },
}

impl PeerError {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "peer_no_certificate",
            Self::ChainTooLong(_) => "peer_chain_too_long",
            Self::ChainTooLarge(_) => "peer_chain_too_large",
            Self::Malformed { .. } => "peer_certificate_malformed",
            Self::SerialNotPositive(_) => "peer_serial_not_positive",
            Self::SerialTooLong(_) => "peer_serial_too_long",
            Self::WeakKey { .. } => "peer_key_refused",
            Self::UnknownCritical { .. } => "peer_critical_extension_unknown",
            Self::NoName => "peer_name_missing",
            Self::NoUri => "peer_uri_missing",
            Self::SeveralUris(_) => "peer_uri_repeated",
            Self::NotSpiffe(_) => "peer_uri_not_spiffe",
            Self::NameNotCritical => "peer_name_not_critical",
            Self::NotWorkload(_) => "peer_is_trust_domain",
            Self::NotOurs { .. } => "peer_id_not_workload",
            Self::LeafIsCa => "peer_is_ca",
            Self::LeafSigns => "peer_key_may_sign",
            Self::NoKeyUsage => "peer_key_usage_missing",
            Self::KeyUsageNotCritical => "peer_key_usage_not_critical",
            Self::NoDigitalSignature => "peer_digital_signature_missing",
            Self::NoPurpose => "peer_purpose_missing",
            Self::AnyPurpose => "peer_purpose_any",
            Self::MissingPurpose => "peer_purpose_incomplete",
            Self::LeafConstrains => "peer_name_constraints",
            Self::Expired { .. } => "peer_expired",
            Self::NotYetValid { .. } => "peer_not_yet_valid",
            Self::UnknownDomain(_) => "peer_domain_unknown",
            Self::RootsExpired(_) => "peer_roots_expired",
            Self::SelfSigned => "peer_self_signed",
            Self::ForeignIssuer { .. } => "peer_issuer_foreign",
            Self::UnknownIssuer(_) => "peer_issuer_unknown",
            Self::IssuerNotCa(_) => "peer_issuer_not_ca",
            Self::IssuerMayNotSign(_) => "peer_issuer_may_not_sign",
            Self::IssuerNamesWorkload(_) => "peer_issuer_names_workload",
            Self::PathLength => "peer_path_length",
            Self::Excluded => "peer_name_excluded",
            Self::Signature => "peer_signature_invalid",
            Self::Path(_) => "peer_path_invalid",
            Self::Revoked(_) => "peer_revoked",
            Self::WrongIdentity { .. } => "peer_identity_mismatch",
        }
    }
}

/// Whom a client expects at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// One of these; an empty list lets nobody through.
    OneOf(Vec<SpiffeId>),
    /// Anybody whose trust domain is trusted. Only for destinations that are meant to be permissive;
    /// never a default.
    AnyTrusted,
}

impl Expected {
    /// Exactly `id`.
    #[must_use]
    pub fn exactly(id: SpiffeId) -> Self {
        Self::OneOf(vec![id])
    }

    /// Refuses everybody else.
    pub(crate) fn check(&self, actual: &SpiffeId) -> Result<(), PeerError> {
        match self {
            Self::OneOf(ids) if !ids.contains(actual) => Err(PeerError::WrongIdentity {
                actual: actual.clone(),
                expected: match ids.as_slice() {
                    [] => "anybody".to_owned(),
                    [only] => only.to_string(),
                    [first, others @ ..] => format!("{first} or {} others", others.len()),
                },
            }),
            _ => Ok(()),
        }
    }
}
