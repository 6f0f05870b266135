//! What a worker and its parent say about certificates, as parts of what they say to each other at all.
//! What a worker says may be anything: it reads bytes of strangers.

use bytes::Bytes;
use prost::Message;
use weft_certs::SignerRoots;

use crate::control::{self, Trusted};

/// Asks for a certificate. Answered once, by [`Signed`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Csr {
    /// Comes back with the answer.
    #[prost(uint64, tag = "1")]
    pub(crate) ask: u64,
    /// The SPIFFE ID wanted: that of a pod which the worker has been assigned, or of a Gateway.
    #[prost(string, tag = "2")]
    pub(crate) identity: String,
    /// UID of such a pod; empty for a Gateway, which has one account.
    #[prost(string, tag = "3")]
    pub(crate) pod_uid: String,
    /// PKCS#10 request in DER, at most 4 KiB.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) der: Bytes,
}

/// An answer to a [`Csr`]: what the identity service has signed, or why it has not.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Signed {
    /// The number of the question.
    #[prost(uint64, tag = "1")]
    pub(crate) ask: u64,
    /// The certificate, then its intermediates, in DER.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) chain: Vec<Bytes>,
    /// Every root in force, in DER.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) roots: Vec<Bytes>,
    /// Grows with every change of the roots.
    #[prost(uint64, tag = "4")]
    pub(crate) bundle_version: u64,
    /// Why there is no certificate; empty when there is one.
    #[prost(string, tag = "5")]
    pub(crate) error: String,
    /// What the error is: 1 may pass by itself, 2 was denied, 3 is a mistake of somebody's. Anything
    /// else is taken for 1.
    #[prost(uint32, tag = "6")]
    pub(crate) kind: u32,
}

/// Everybody who may vouch for members of the trust domain.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Trust {
    /// Grows with every change of the roots; an older one than is known is ignored.
    #[prost(uint64, tag = "1")]
    pub(crate) version: u64,
    /// Every root in force, in DER.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) roots: Vec<Bytes>,
    /// Fingerprint of the certificate that issues now, in lower-case hexadecimal (SHA-256). Who has a
    /// certificate of another issuer renews it soon. Empty: not known, and nobody does.
    #[prost(string, tag = "3")]
    pub(crate) issuer: String,
    /// Over which time they renew, at most; 0: not said.
    #[prost(uint64, tag = "4")]
    pub(crate) renew_within_ms: u64,
}

impl Trust {
    /// The same, to be followed.
    pub(super) fn announced(&self) -> SignerRoots {
        SignerRoots {
            roots: self.roots.iter().map(|der| der.to_vec()).collect(),
            version: self.version,
            issuer: self.issuer.clone(),
            renew_within: control::time_of(self.renew_within_ms),
        }
    }
}

impl From<&Trusted> for Trust {
    fn from(trusted: &Trusted) -> Self {
        Self {
            version: trusted.version,
            roots: trusted.roots.clone(),
            issuer: trusted.issuer.clone(),
            renew_within_ms: trusted.renew_within.map_or(0, |within| {
                u64::try_from(within.as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }
}
