//! Certificate revocation lists: optional, for trust domains whose certificates live long.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use webpki::VerifiedPath;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_CRL_NUMBER;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::profile::{Parsed, Unreadable};

/// Largest list that is read at all.
pub const MAX_CRL_BYTES: usize = 1024 * 1024;

/// Why a revocation list was refused. The last good one stays in use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Larger than any list of a mesh.
    #[error("the list has {0} bytes, at most {MAX_CRL_BYTES} are allowed")]
    TooLarge(usize),
    /// Not a list of version 2 (RFC 5280 section 5.1.2.1).
    #[error("the list cannot be read: {0}")]
    Malformed(String),
    /// The certificate given as its issuer's cannot be read.
    #[error("the certificate of the list's issuer cannot be read: {0}")]
    Issuer(String),
    /// Somebody else's list.
    #[error("the list was issued by {actual}, not by {given}")]
    OtherIssuer {
        /// Who issued it.
        actual: String,
        /// Whose certificate was given.
        given: String,
    },
    /// `cRLSign` is missing (RFC 5280 section 4.2.1.3).
    #[error("the key of the list's issuer may not sign lists (cRLSign is required)")]
    MayNotSign,
    /// The signature is wrong.
    #[error("the signature of the list is invalid")]
    Signature,
    /// No CRL number (RFC 5280 section 5.2.3).
    #[error("the list has no CRL number")]
    NoNumber,
    /// The CRL number is critical, which RFC 5280 section 5.2.3 forbids.
    #[error("the CRL number is critical")]
    NumberCritical,
    /// A critical extension that is not understood, such as that of a delta list.
    #[error("the list has the unknown critical extension {0}")]
    UnknownCritical(String),
}

/// A revocation list whose signature has been checked. Cheap to clone.
#[derive(Clone)]
pub struct Crl(Arc<Inner>);

struct Inner {
    issuer: Vec<u8>,
    /// Subject public key info of the issuer: two CAs may have one name.
    issuer_key: Vec<u8>,
    /// As they stand in certificates.
    serials: HashSet<Vec<u8>>,
}

impl Crl {
    /// Admits the list in `der` when the CA whose certificate is `issuer_der` has signed it.
    ///
    /// Whether that CA is trusted is not asked: a list takes effect only on certificates whose verified
    /// chain holds the very name and key that signed it.
    ///
    /// # Errors
    ///
    /// The rule that is broken, see [`CrlError`].
    pub fn admit(der: &[u8], issuer_der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLarge(der.len()));
        }
        let issuer_der = CertificateDer::from(issuer_der);
        let issuer =
            Parsed::read(&issuer_der).map_err(|Unreadable(detail)| CrlError::Issuer(detail))?;
        let malformed = |detail: String| CrlError::Malformed(detail);
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes after its end", rest.len())));
        }
        check_list(&list, &issuer)?;
        let serials = list
            .iter_revoked_certificates()
            .map(|revoked| revoked.raw_serial().to_vec());
        Ok(Self(Arc::new(Inner {
            issuer: issuer.cert.subject().as_raw().to_vec(),
            issuer_key: issuer.cert.public_key().raw.to_vec(),
            serials: serials.collect(),
        })))
    }

    /// Number of certificates it revokes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.serials.len()
    }

    /// Whether it revokes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.serials.is_empty()
    }
}

fn check_list(list: &CertificateRevocationList<'_>, issuer: &Parsed<'_>) -> Result<(), CrlError> {
    if list.issuer().as_raw() != issuer.cert.subject().as_raw() {
        return Err(CrlError::OtherIssuer {
            actual: list.issuer().to_string(),
            given: issuer.cert.subject().to_string(),
        });
    }
    if !issuer
        .key_usage()
        .is_some_and(|(usage, _)| usage.crl_sign())
    {
        return Err(CrlError::MayNotSign);
    }
    list.verify_signature(issuer.cert.public_key())
        .map_err(|_| CrlError::Signature)?;
    let mut extensions = list.extensions().iter();
    let number = extensions.find(|extension| extension.oid == OID_X509_EXT_CRL_NUMBER);
    match number {
        Some(number) if number.critical => return Err(CrlError::NumberCritical),
        Some(number) if matches!(number.parsed_extension(), ParsedExtension::CRLNumber(_)) => {}
        _ => return Err(CrlError::NoNumber),
    }
    match list
        .extensions()
        .iter()
        .find(|extension| extension.critical)
    {
        Some(critical) => Err(CrlError::UnknownCritical(critical.oid.to_id_string())),
        None => Ok(()),
    }
}

/// The position, from 1, of the first certificate of the path that is revoked.
pub(crate) fn check(path: &VerifiedPath<'_>, crls: &[Crl]) -> Result<(), usize> {
    if crls.is_empty() {
        return Ok(());
    }
    let anchor = path.anchor();
    let issuers = path
        .intermediate_certificates()
        .map(|cert| cert.subject_public_key_info().to_vec())
        .chain([wrap(&anchor.subject_public_key_info)]);
    let leaf: &webpki::Cert<'_> = path.end_entity();
    let certs = std::iter::once(leaf).chain(path.intermediate_certificates());
    for (index, (cert, issuer_key)) in certs.zip(issuers).enumerate() {
        let issuer = wrap(cert.issuer());
        let revokes = |crl: &&Crl| {
            let Inner {
                issuer: name,
                issuer_key: key,
                serials,
            } = &*crl.0;
            *name == issuer && *key == issuer_key && serials.contains(cert.serial())
        };
        if crls.iter().any(|crl| revokes(&crl)) {
            return Err(index + 1);
        }
    }
    Ok(())
}

/// Puts the header of a SEQUENCE back in front of its content; the path library keeps names and the
/// keys of anchors without it.
fn wrap(content: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    let mut der = vec![SEQUENCE];
    let length = content.len();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    // X.690 section 8.1.3: short form up to 127, otherwise the number of bytes of the length first.
    if length < 0x80 {
        der.extend(significant);
        if length == 0 {
            der.push(0);
        }
    } else {
        der.push(0x80 | u8::try_from(significant.len()).unwrap_or(u8::MAX));
        der.extend(significant);
    }
    der.extend(content);
    der
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl")
            .field("revoked", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
