//! Import of an authority: one we have stored, or one an operator brings.

use std::time::{Duration, SystemTime};

use rcgen::{Issuer, PublicKeyData};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use weft_spiffe::{SpiffeId, TrustDomain, Workload};

use super::{Authority, AuthorityPem, LeafLife};
use crate::bundle::{Bundles, RootError, TrustBundle};
use crate::cert::read_key_der;
use crate::clock::unix_s;
use crate::key::Key;
use crate::pem::read_certificates;
use crate::profile::{Parsed, Unreadable};
use crate::request::{CheckedRequest, KeyAndRequest};
use crate::secret::SecretPem;

/// Least remaining life of an issuing certificate that is taken: time to notice and to replace it.
const MIN_REMAINING: Duration = Duration::from_secs(24 * 3600);

/// Why an authority cannot be used. The one in use before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// An item is not there.
    #[error(
        "{0} is missing; an authority is stored as root.crt, issuer.crt, issuer.key and root.key"
    )]
    Missing(&'static str),
    /// A certificate item is no PEM, or empty.
    #[error("{0} holds no readable PEM certificate; store it again, complete")]
    Pem(&'static str),
    /// The root may not be one.
    #[error("root.crt cannot be trusted: {0}")]
    Root(#[source] RootError),
    /// More than one root.
    #[error("root.crt holds {0} certificates; exactly one is allowed")]
    SeveralRoots(usize),
    /// A certificate of the issuer's chain cannot be read.
    #[error("certificate {position} of issuer.crt cannot be read: {detail}")]
    Malformed {
        /// Counted from 1, the issuer's own.
        position: usize,
        /// What the parser found.
        detail: String,
    },
    /// The issuer is no CA.
    #[error(
        "issuer.crt is no CA's; it needs critical basic constraints with CA:true and \
         keyCertSign"
    )]
    NotCa,
    /// A key cannot be read.
    #[error("{0} cannot be read; it has to be PKCS#8 or SEC1 in PEM, not encrypted")]
    Key(&'static str),
    /// A key of a kind an authority may not have.
    #[error("{0} is neither ECDSA P-256 nor P-384; issue it again with such a key")]
    KeyKind(&'static str),
    /// Certificate and key do not belong together.
    #[error("{0} does not belong to its certificate; store both from the same issuance")]
    KeyMismatch(&'static str),
    /// The issuer has expired, or nearly.
    #[error(
        "issuer.crt ends at {not_after_unix_s} (seconds since 1970), less than a day \
         from now; renew it"
    )]
    EndsTooSoon {
        /// Its last second.
        not_after_unix_s: i64,
    },
    /// The issuer is not valid yet.
    #[error("issuer.crt is valid from {0} (seconds since 1970); are the clocks right?")]
    NotYetValid(i64),
    /// What it would sign would be refused by peers.
    #[error(
        "a certificate signed for a trial is refused ({0}); check that issuer.crt leads to \
         root.crt and that its subject repeats no attribute"
    )]
    Trial(String),
}

impl Authority {
    /// Reads an authority of `domain`, stored by [`Authority::export`] or made elsewhere, and checks
    /// that it works at `now`: each certificate by the rules for its place, the keys against their
    /// certificates, the remaining life (a day at least), and as proof of all of it a leaf that is
    /// signed and verified as a peer would.
    ///
    /// # Errors
    ///
    /// What is wrong and what cures it, see [`ImportError`].
    pub fn import(
        domain: &TrustDomain,
        pem: &AuthorityPem,
        now: SystemTime,
    ) -> Result<Self, ImportError> {
        let bundle = read_root(domain, &pem.root_cert, now)?;
        let root = certificates("root.crt", &pem.root_cert)?.swap_remove(0);
        let root_not_after_unix_s = bundle.earliest_expiry_unix_s().unwrap_or(0);
        let root_key = pem
            .root_key
            .as_ref()
            .map(|key| read_matching_key("root.key", key, &root))
            .transpose()?;
        let mut chain = certificates("issuer.crt", &pem.issuer_chain)?;
        let (not_before_unix_s, not_after_unix_s) = check_chain(&chain, now)?;
        let key = read_matching_key("issuer.key", &pem.issuer_key, &chain[0])?;
        let issuer = Issuer::from_ca_cert_der(&chain[0], key)
            .map_err(|error| ImportError::Trial(error.to_string()))?;
        // Peers have the root; sending it along would only make chains longer.
        chain.retain(|der| *der != root);
        let authority = Self {
            domain: domain.clone(),
            root,
            root_key,
            chain,
            issuer,
            not_before_unix_s,
            not_after_unix_s,
            root_not_after_unix_s,
        };
        authority.prove(Bundles::new(bundle, 0), now)?;
        Ok(authority)
    }

    /// Signs a leaf and verifies it as a peer would.
    fn prove(&self, bundles: Bundles, now: SystemTime) -> Result<(), ImportError> {
        let failed = |error: &dyn std::fmt::Display| ImportError::Trial(error.to_string());
        let trial = Workload {
            namespace: "trial",
            service_account: "trial",
        };
        let id = SpiffeId::for_workload(&self.domain, trial).map_err(|error| failed(&error))?;
        let request = KeyAndRequest::new(&id).map_err(|error| failed(&error))?;
        let checked = CheckedRequest::parse(request.der(), &id).map_err(|error| failed(&error))?;
        let signed = self
            .issue(&checked, LeafLife::default(), now)
            .map_err(|error| failed(&error))?;
        let leaf = request.into_leaf(&signed.chain, &bundles, now);
        leaf.map(drop).map_err(|error| failed(&error))
    }
}

fn certificates(
    item: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, ImportError> {
    read_certificates(pem.as_bytes())
        .filter(|certificates| !certificates.is_empty())
        .ok_or(ImportError::Pem(item))
}

fn read_root(domain: &TrustDomain, pem: &str, now: SystemTime) -> Result<TrustBundle, ImportError> {
    let count = certificates("root.crt", pem)?.len();
    if count > 1 {
        return Err(ImportError::SeveralRoots(count));
    }
    let (bundle, mut refused) = TrustBundle::from_pem(domain, pem, now);
    match refused.pop() {
        Some((_, error)) => Err(ImportError::Root(error)),
        None => Ok(bundle),
    }
}

/// The dates of the issuer, the first of the chain, all of which have to be readable.
fn check_chain(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(i64, i64), ImportError> {
    for (index, der) in chain.iter().enumerate() {
        Parsed::read(der).map_err(|Unreadable(detail)| ImportError::Malformed {
            position: index + 1,
            detail,
        })?;
    }
    let issuer = Parsed::read(&chain[0]).map_err(|Unreadable(detail)| ImportError::Malformed {
        position: 1,
        detail,
    })?;
    if !issuer.is_critically_ca() || !issuer.may_sign_certificates() {
        return Err(ImportError::NotCa);
    }
    let (not_before_unix_s, not_after_unix_s) =
        (issuer.not_before_unix_s(), issuer.not_after_unix_s());
    if not_after_unix_s < unix_s(now + MIN_REMAINING) {
        return Err(ImportError::EndsTooSoon { not_after_unix_s });
    }
    if unix_s(now) < not_before_unix_s {
        return Err(ImportError::NotYetValid(not_before_unix_s));
    }
    Ok((not_before_unix_s, not_after_unix_s))
}

fn read_matching_key(
    item: &'static str,
    pem: &SecretPem,
    cert: &CertificateDer<'_>,
) -> Result<Key, ImportError> {
    // Neither library's words: they may quote bytes of the key.
    let unreadable = || ImportError::Key(item);
    let der = read_key_der(pem.expose().as_bytes()).map_err(|_| unreadable())?;
    let key = Key::read(&der.borrow()).map_err(|_| unreadable())?;
    let algorithm = PublicKeyData::algorithm(&key);
    let is_admitted = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
    ]
    .contains(&algorithm);
    if !is_admitted {
        return Err(ImportError::KeyKind(item));
    }
    let parsed = Parsed::read(cert).map_err(|Unreadable(detail)| ImportError::Malformed {
        position: 1,
        detail,
    })?;
    if key.subject_public_key_info() != parsed.cert.public_key().raw {
        return Err(ImportError::KeyMismatch(item));
    }
    Ok(key)
}
