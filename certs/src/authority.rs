//! The built-in certificate authority: a root, an intermediate, and the leaves it issues.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use weft_spiffe::{SpiffeId, TrustDomain};

use crate::clock::{from_unix_s, unix_s};
use crate::key::Key;
use crate::pem::{encode_certificates, fingerprint};
use crate::profile::{BACKDATED, ISSUER_LIFE, Parsed, ROOT_LIFE, SERIAL_BYTES, Unreadable};
use crate::provider::fill_random;
use crate::request::CheckedRequest;
use crate::secret::SecretPem;
use crate::signer::SignError;

mod import;
mod stored;

pub use self::import::ImportError;
pub use self::stored::AuthorityPem;

/// Least life of a leaf: below, back-dating and clock skew would be most of it.
const MIN_LEAF_LIFE: Duration = Duration::from_secs(10 * 60);

/// Greatest life of a leaf; nothing but its end revokes most of them.
const MAX_LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long a leaf is valid from its issuance: 10 minutes to 90 days, 24 hours by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafLife(Duration);

/// A life outside the bounds of [`LeafLife`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("certificates may live from 10 minutes to 90 days, not {0:?}")]
pub struct LeafLifeError(Duration);

impl LeafLife {
    /// A life within the bounds.
    ///
    /// # Errors
    ///
    /// Fails outside 10 minutes to 90 days.
    pub fn new(life: Duration) -> Result<Self, LeafLifeError> {
        if (MIN_LEAF_LIFE..=MAX_LEAF_LIFE).contains(&life) {
            Ok(Self(life))
        } else {
            Err(LeafLifeError(life))
        }
    }

    /// The duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for LeafLife {
    fn default() -> Self {
        Self(Duration::from_secs(24 * 3600))
    }
}

/// No authority or intermediate could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The system's random number generator or the encoder failed.
    #[error("cannot make a certificate authority: {0}")]
    Make(String),
    /// Only an authority that holds its root's key can make intermediates.
    #[error("the root's key is not here; issue a new intermediate where it is kept, and import it")]
    NoRootKey,
}

/// A certificate authority of one trust domain.
///
/// The keys can be used and exported as [`SecretPem`], for storing; `Debug` shows certificates only.
pub struct Authority {
    domain: TrustDomain,
    root: CertificateDer<'static>,
    root_key: Option<Key>,
    /// Sent along with every leaf; empty when the root itself issues.
    chain: Vec<CertificateDer<'static>>,
    issuer: Issuer<'static, Key>,
    not_before_unix_s: i64,
    not_after_unix_s: i64,
    root_not_after_unix_s: i64,
}

/// A signed leaf with what the holder has to send along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedChain {
    /// Certificates in DER, the leaf first, the root left out.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's serial number in lower-case hexadecimal, for the audit log.
    pub serial: String,
    /// The leaf's last second, seconds since 1970.
    pub not_after_unix_s: i64,
}

impl Authority {
    /// Makes a root that lives ten years and an intermediate that lives one, both from ten minutes
    /// before `now`.
    ///
    /// # Errors
    ///
    /// Fails only when the system has no randomness.
    pub fn generate(domain: &TrustDomain, now: SystemTime) -> Result<Self, AuthorityError> {
        let key = Key::generate().map_err(made)?;
        let params = ca_params(domain, "root", (now, ROOT_LIFE))?;
        let root = params.self_signed(&key).map_err(made)?.der().clone();
        intermediate(domain, root, key, now)
    }

    /// The same root with a new intermediate.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::NoRootKey`] when the root's key is kept elsewhere.
    pub fn with_new_issuer(&self, now: SystemTime) -> Result<Self, AuthorityError> {
        let key = self.root_key.as_ref().ok_or(AuthorityError::NoRootKey)?;
        intermediate(
            &self.domain,
            self.root.clone(),
            key.copy().map_err(made)?,
            now,
        )
    }

    /// Everything that has to be stored, keys included.
    #[must_use]
    pub fn export(&self) -> AuthorityPem {
        let root = [self.root.as_ref()];
        let chain = self.chain.iter().map(AsRef::as_ref);
        AuthorityPem {
            root_cert: encode_certificates(root),
            root_key: self
                .root_key
                .as_ref()
                .map(|key| SecretPem::new(key.to_pem())),
            issuer_chain: if self.chain.is_empty() {
                encode_certificates(root)
            } else {
                encode_certificates(chain)
            },
            issuer_key: SecretPem::new(self.issuer.key().to_pem()),
        }
    }

    /// The trust domain it signs for.
    #[must_use]
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The root in DER.
    #[must_use]
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// Fingerprint of the root.
    #[must_use]
    pub fn root_fingerprint(&self) -> String {
        fingerprint(&self.root)
    }

    /// Fingerprint of the certificate that issues leaves.
    #[must_use]
    pub fn issuer_fingerprint(&self) -> String {
        fingerprint(self.chain.first().unwrap_or(&self.root))
    }

    /// First and last second of the issuing certificate, seconds since 1970.
    #[must_use]
    pub fn issuer_validity_unix_s(&self) -> (i64, i64) {
        (self.not_before_unix_s, self.not_after_unix_s)
    }

    /// Last second of the root, seconds since 1970.
    #[must_use]
    pub fn root_not_after_unix_s(&self) -> i64 {
        self.root_not_after_unix_s
    }

    /// Issues a leaf for the key and identity of `request`, valid from ten minutes before `now` until
    /// `life` after it, but never longer than the issuer.
    ///
    /// # Errors
    ///
    /// [`SignError::Denied`] for identities outside the trust domain, [`SignError::Misconfigured`] when
    /// the issuer is about to expire or has, [`SignError::Retry`] without randomness.
    pub fn issue(
        &self,
        request: &CheckedRequest,
        life: LeafLife,
        now: SystemTime,
    ) -> Result<SignedChain, SignError> {
        let id = request.id();
        id.workload(&self.domain)
            .map_err(|error| SignError::Denied(format!("{id} is no workload of ours: {error}")))?;
        let end = unix_s(now + life.get()).min(self.not_after_unix_s);
        if end < unix_s(now + MIN_LEAF_LIFE) {
            return Err(SignError::Misconfigured(format!(
                "the issuing certificate of {} ends at {} (seconds since 1970); rotate it",
                self.domain, self.not_after_unix_s
            )));
        }
        let serial = serial().map_err(|error| SignError::Retry(error.to_string()))?;
        let params = leaf_params(id, &serial, (now - BACKDATED, from_unix_s(end)))
            .map_err(|error| SignError::Denied(error.to_string()))?;
        let leaf = params
            .signed_by(request.key(), &self.issuer)
            .map_err(|error| SignError::Retry(error.to_string()))?;
        let issuers = self.chain.iter().map(|der| der.to_vec());
        Ok(SignedChain {
            chain: std::iter::once(leaf.der().to_vec())
                .chain(issuers)
                .collect(),
            serial: data_encoding::HEXLOWER.encode(&serial),
            not_after_unix_s: end,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("domain", &self.domain)
            .field("root", &self.root_fingerprint())
            .field("issuer", &self.issuer_fingerprint())
            .field("not_after_unix_s", &self.not_after_unix_s)
            .finish_non_exhaustive()
    }
}

/// Makes an intermediate under `root`.
fn intermediate(
    domain: &TrustDomain,
    root: CertificateDer<'static>,
    root_key: Key,
    now: SystemTime,
) -> Result<Authority, AuthorityError> {
    let signer = Issuer::from_ca_cert_der(&root, &root_key).map_err(made)?;
    let key = Key::generate().map_err(made)?;
    let root_not_after_unix_s = dates(&root)?.1;
    let life = from_unix_s(root_not_after_unix_s)
        .duration_since(now)
        .unwrap_or_default()
        .min(ISSUER_LIFE);
    let mut params = ca_params(domain, "intermediate", (now, life))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.use_authority_key_identifier_extension = true;
    let cert = params.signed_by(&key, &signer).map_err(made)?.der().clone();
    let (not_before_unix_s, not_after_unix_s) = dates(&cert)?;
    let issuer = Issuer::from_ca_cert_der(&cert, key).map_err(made)?;
    Ok(Authority {
        domain: domain.clone(),
        root,
        root_key: Some(root_key),
        chain: vec![cert],
        issuer,
        not_before_unix_s,
        not_after_unix_s,
        root_not_after_unix_s,
    })
}

/// First and last second of a certificate of ours.
fn dates(der: &CertificateDer<'_>) -> Result<(i64, i64), AuthorityError> {
    let parsed = Parsed::read(der).map_err(|Unreadable(detail)| AuthorityError::Make(detail))?;
    Ok((parsed.not_before_unix_s(), parsed.not_after_unix_s()))
}

fn ca_params(
    domain: &TrustDomain,
    role: &str,
    (now, life): (SystemTime, Duration),
) -> Result<CertificateParams, AuthorityError> {
    let serial = serial().map_err(|error| AuthorityError::Make(error.to_string()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        common_name(domain, role, &serial).as_str(),
    );
    params.subject_alt_names = vec![SanType::URI(
        SpiffeId::of_domain(domain)
            .as_str()
            .try_into()
            .map_err(made)?,
    )];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
    Ok(params)
}

/// A name for people, at most 64 characters (RFC 5280 appendix A.1, ub-common-name). Part of the
/// serial number keeps the generations of a rotation apart.
fn common_name(domain: &TrustDomain, role: &str, serial: &[u8]) -> String {
    const MAX_DOMAIN: usize = 32;
    let name = domain.as_str();
    // ASCII throughout, by the rules of trust domains.
    let short = &name[..name.len().min(MAX_DOMAIN)];
    let generation = data_encoding::HEXLOWER.encode(&serial[..4]);
    format!("Weft {role} {short} {generation}")
}

fn leaf_params(
    id: &SpiffeId,
    serial: &[u8],
    (not_before, not_after): (SystemTime, SystemTime),
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    // Empty, which makes rcgen mark the alternative name critical.
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    Ok(params)
}

/// A random serial number: positive, and of constant length because its first bit after the sign is
/// set.
fn serial() -> Result<[u8; SERIAL_BYTES], rustls::Error> {
    let mut serial = [0; SERIAL_BYTES];
    fill_random(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

fn made(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Make(error.to_string())
}

#[cfg(test)]
mod tests;
