//! Trust bundles: which roots vouch for which trust domain.
//!
//! Roots are looked up by the trust domain of the peer, never as a union: a root of a federated
//! domain that vouches for one of our workloads vouches for nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_telemetry::metrics::{Holder, RootLabels};

use crate::clock::unix_s;
use crate::crl::Crl;
use crate::pem::fingerprint;
use crate::profile::{Parsed, Unreadable};

/// Roots one trust domain may have at a time: two during a rotation, some more in federations that
/// grew, never so many that verification becomes slow.
pub const MAX_ROOTS: usize = 32;

/// Why a certificate was not admitted as a root. A bundle is made of what is left.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RootError {
    /// Not PEM.
    #[error("the bundle is not well-formed PEM after root {0}; store it again, complete")]
    Pem(usize),
    /// Not a certificate.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// No basic constraints with CA:true that are critical (RFC 5280 section 4.2.1.9).
    #[error("it is no CA certificate (critical basic constraints with CA:true are required)")]
    NotCa,
    /// No `keyCertSign` (RFC 5280 section 4.2.1.3).
    #[error("its key usage does not allow to sign certificates (keyCertSign is required)")]
    MayNotSign,
    /// An extended key usage, which would restrict what it vouches for in ways nobody checks.
    #[error("it has an extended key usage; a root must have none")]
    HasPurpose,
    /// A key of a kind that is not admitted.
    #[error("its key is of type {0}; use ECDSA P-256 or P-384, Ed25519, or RSA with 2048 bits")]
    WeakKey(String),
    /// Zero, negative or longer than 20 bytes (RFC 5280 section 4.1.2.2).
    #[error("its serial number is zero, negative or longer than 20 bytes")]
    Serial,
    /// A critical extension that is not understood (RFC 5280 section 4.2).
    #[error("it has the unknown critical extension {0}")]
    UnknownCritical(String),
    /// A SPIFFE ID with a path, as workloads have (X509-SVID section 3).
    #[error("it has the SPIFFE ID of a workload")]
    NamesWorkload,
    /// It says that it belongs to another trust domain.
    #[error("it belongs to trust domain {0}")]
    ForeignDomain(String),
    /// Its validity is over.
    #[error("it expired at {0} (seconds since 1970)")]
    Expired(i64),
    /// Its validity has not begun.
    #[error("it is valid from {0} (seconds since 1970); are the clocks right?")]
    NotYetValid(i64),
    /// The same subject and key as a root that is already there.
    #[error("it repeats the subject and key of another root")]
    Duplicate,
    /// One too many.
    #[error("a trust domain may have at most {MAX_ROOTS} roots")]
    TooMany,
}

/// One root of a trust domain, admitted.
#[derive(Clone)]
struct Root {
    der: CertificateDer<'static>,
    fingerprint: Arc<str>,
    /// With the header of the sequence, as certificates name their issuer.
    subject: Vec<u8>,
    anchor: TrustAnchor<'static>,
    not_before_unix_s: i64,
    not_after_unix_s: i64,
}

/// The roots of one trust domain. Cheap to clone.
#[derive(Clone)]
pub struct TrustBundle(Arc<Inner>);

struct Inner {
    domain: TrustDomain,
    roots: Vec<Root>,
    /// Those of `roots`, in the form and place the path library wants them.
    anchors: Vec<TrustAnchor<'static>>,
    crls: Vec<Crl>,
}

impl TrustBundle {
    /// Makes a bundle of those certificates of `pem` that may be roots of `domain` at `now`, and says
    /// why the others may not, by their position from 1.
    #[must_use]
    pub fn from_pem(
        domain: &TrustDomain,
        pem: &str,
        now: SystemTime,
    ) -> (Self, Vec<(usize, RootError)>) {
        let mut ders = Vec::new();
        let mut broken = None;
        for (index, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            match der {
                Ok(der) => ders.push(der.to_vec()),
                Err(_) => broken = Some((index + 1, RootError::Pem(index))),
            }
            if broken.is_some() {
                break;
            }
        }
        let (bundle, mut refused) = Self::from_der(domain, ders, now);
        refused.extend(broken);
        (bundle, refused)
    }

    /// As [`TrustBundle::from_pem`], of certificates in DER.
    #[must_use]
    pub fn from_der(
        domain: &TrustDomain,
        ders: impl IntoIterator<Item = Vec<u8>>,
        now: SystemTime,
    ) -> (Self, Vec<(usize, RootError)>) {
        let mut roots = Vec::<Root>::new();
        let mut refused = Vec::new();
        for (index, der) in ders.into_iter().enumerate() {
            match admit(domain, der.into(), now) {
                Ok(root) if roots.iter().any(|known| known.anchor == root.anchor) => {
                    refused.push((index + 1, RootError::Duplicate));
                }
                Ok(_) if roots.len() == MAX_ROOTS => refused.push((index + 1, RootError::TooMany)),
                Ok(root) => roots.push(root),
                Err(error) => refused.push((index + 1, error)),
            }
        }
        (Self::of(domain.clone(), roots, Vec::new()), refused)
    }

    fn of(domain: TrustDomain, roots: Vec<Root>, crls: Vec<Crl>) -> Self {
        let anchors = roots.iter().map(|root| root.anchor.clone()).collect();
        Self(Arc::new(Inner {
            domain,
            roots,
            anchors,
            crls,
        }))
    }

    /// The trust domain the roots vouch for.
    #[must_use]
    pub fn domain(&self) -> &TrustDomain {
        &self.0.domain
    }

    /// Whether nobody can be verified with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.roots.is_empty()
    }

    /// The roots in DER, in the order they were given.
    pub fn roots_der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.roots.iter().map(|root| root.der.as_ref())
    }

    /// Each root in a bundle of its own.
    pub(crate) fn each_root(&self) -> impl Iterator<Item = Self> {
        let roots = self.0.roots.iter().cloned();
        roots.map(|root| Self::of(self.domain().clone(), vec![root], Vec::new()))
    }

    /// The roots as one PEM text, for ConfigMaps and files.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crate::pem::encode_certificates(self.roots_der())
    }

    /// When the first of the roots ends, seconds since 1970.
    #[must_use]
    pub fn earliest_expiry_unix_s(&self) -> Option<i64> {
        self.0.roots.iter().map(|root| root.not_after_unix_s).min()
    }

    /// The bundle without the roots that have expired at `now`, and how many those are. Verification
    /// does not use them either way; dropping them is what makes it visible.
    #[must_use]
    pub fn without_expired(&self, now: SystemTime) -> (Self, usize) {
        let now = unix_s(now);
        let (roots, expired) = (self.0.roots.iter().cloned())
            .partition::<Vec<_>, _>(|root| now <= root.not_after_unix_s);
        let rest = Self::of(self.domain().clone(), roots, self.0.crls.clone());
        (rest, expired.len())
    }

    /// The bundle with other revocation lists. They have been admitted one by one
    /// ([`Crl::admit`]); an update that is refused leaves the last good one where it is.
    #[must_use]
    pub fn with_crls(&self, crls: Vec<Crl>) -> Self {
        Self::of(self.domain().clone(), self.0.roots.clone(), crls)
    }

    pub(crate) fn crls(&self) -> &[Crl] {
        &self.0.crls
    }

    /// Hands the anchors valid at `now` to `verify`; `None` when there are none left.
    pub(crate) fn with_anchors<T>(
        &self,
        now_unix_s: i64,
        verify: impl FnOnce(&[TrustAnchor<'static>]) -> T,
    ) -> Option<T> {
        let is_valid =
            |root: &&Root| (root.not_before_unix_s..=root.not_after_unix_s).contains(&now_unix_s);
        let valid = self.0.roots.iter().filter(is_valid);
        match valid.clone().count() {
            0 => None,
            all if all == self.0.roots.len() => Some(verify(&self.0.anchors)),
            _ => {
                let anchors = valid.map(|root| root.anchor.clone()).collect::<Vec<_>>();
                Some(verify(&anchors))
            }
        }
    }

    /// Whether one of the roots has this subject, in DER with its header.
    pub(crate) fn has_subject(&self, subject: &[u8]) -> bool {
        self.0.roots.iter().any(|root| root.subject == subject)
    }
}

/// The rules of admission.
fn admit(
    domain: &TrustDomain,
    der: CertificateDer<'static>,
    now: SystemTime,
) -> Result<Root, RootError> {
    let parsed = Parsed::read(&der).map_err(|Unreadable(detail)| RootError::Malformed(detail))?;
    check_profile(domain, &parsed)?;
    let now = unix_s(now);
    let (not_before_unix_s, not_after_unix_s) =
        (parsed.not_before_unix_s(), parsed.not_after_unix_s());
    if now > not_after_unix_s {
        return Err(RootError::Expired(not_after_unix_s));
    }
    if now < not_before_unix_s {
        return Err(RootError::NotYetValid(not_before_unix_s));
    }
    let subject = parsed.cert.subject().as_raw().to_vec();
    let anchor = webpki::anchor_from_trusted_cert(&der)
        .map_err(|error| RootError::Malformed(error.to_string()))?
        .to_owned();
    Ok(Root {
        subject,
        anchor,
        not_before_unix_s,
        not_after_unix_s,
        fingerprint: fingerprint(&der).into(),
        der,
    })
}

fn check_profile(domain: &TrustDomain, root: &Parsed<'_>) -> Result<(), RootError> {
    if !root.is_critically_ca() {
        return Err(RootError::NotCa);
    }
    if !root.may_sign_certificates() {
        return Err(RootError::MayNotSign);
    }
    if root.purposes().is_some() {
        return Err(RootError::HasPurpose);
    }
    if let Some(kind) = root.refused_key() {
        return Err(RootError::WeakKey(kind));
    }
    if !root.serial_is_positive() || !root.serial_is_short() {
        return Err(RootError::Serial);
    }
    if let Some(oid) = root.unknown_critical() {
        return Err(RootError::UnknownCritical(oid));
    }
    // A root without any SPIFFE ID is legal; operators bring such.
    let ids = root.uris().unwrap_or_default();
    for id in ids.iter().filter_map(|uri| SpiffeId::parse(uri).ok()) {
        if !id.is_domain() {
            return Err(RootError::NamesWorkload);
        }
        if !id.is_member_of(domain) {
            return Err(RootError::ForeignDomain(id.domain().to_owned()));
        }
    }
    Ok(())
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle")
            .field("domain", &self.0.domain)
            .field("roots", &self.0.roots.len())
            .finish_non_exhaustive()
    }
}

/// All trust domains one process trusts, and which of them is its own. Cheap to clone; replaced as a
/// whole.
#[derive(Clone, Debug)]
pub struct Bundles {
    own: TrustDomain,
    version: u64,
    by_domain: Arc<HashMap<TrustDomain, TrustBundle>>,
}

impl Bundles {
    /// Trusts the domain of `own`, whose members have to keep to our profile. `version` is what
    /// acknowledgements name; it grows with every change.
    #[must_use]
    pub fn new(own: TrustBundle, version: u64) -> Self {
        Self {
            own: own.domain().clone(),
            version,
            by_domain: Arc::new(HashMap::from([(own.domain().clone(), own)])),
        }
    }

    /// The same with the bundle of one domain, own or federated, replaced or added.
    #[must_use]
    pub fn with(&self, bundle: TrustBundle, version: u64) -> Self {
        let mut by_domain = HashMap::clone(&self.by_domain);
        by_domain.insert(bundle.domain().clone(), bundle);
        Self {
            own: self.own.clone(),
            version,
            by_domain: Arc::new(by_domain),
        }
    }

    /// The trust domain of this process.
    #[must_use]
    pub fn own_domain(&self) -> &TrustDomain {
        &self.own
    }

    /// The version to acknowledge.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The bundle of a domain; `None` when it is not trusted at all.
    #[must_use]
    pub fn get(&self, domain: &TrustDomain) -> Option<&TrustBundle> {
        self.by_domain.get(domain)
    }

    /// Every root that is trusted, with its last second, for metrics.
    pub fn roots(&self, holder: Holder) -> impl Iterator<Item = (RootLabels, i64)> {
        let roots = move |bundle: &TrustBundle| {
            let trust_domain: Arc<str> = bundle.domain().as_str().into();
            let label = |root: &Root| {
                let root_labels = RootLabels {
                    holder,
                    trust_domain: Arc::clone(&trust_domain),
                    root: Arc::clone(&root.fingerprint),
                };
                (root_labels, root.not_after_unix_s)
            };
            bundle.0.roots.iter().map(label).collect::<Vec<_>>()
        };
        self.by_domain.values().flat_map(roots)
    }

    /// The other domain one of whose roots has the subject, for a better error message.
    pub(crate) fn domain_of_subject(&self, subject: &[u8], but: &TrustDomain) -> Option<&str> {
        let mut others = self.by_domain.values();
        others
            .find(|bundle| bundle.domain() != but && bundle.has_subject(subject))
            .map(|bundle| bundle.domain().as_str())
    }
}

#[cfg(test)]
mod tests;
