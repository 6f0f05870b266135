//! Certificate signing requests: made by whoever will hold the certificate, checked by whoever signs.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SanType, SubjectPublicKeyInfo};
use thiserror::Error;
use weft_spiffe::{SpiffeId, SpiffeIdError};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::key::Key;
use crate::profile::is_p256;

/// Largest request that is read.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024;

/// ecdsa-with-SHA256 and -SHA384 as algorithm identifiers in DER (RFC 5758 section 3.2).
const ECDSA_SHA2: [[u8; 12]; 2] = [
    [48, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
    [48, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
];

/// No key or request could be made.
#[derive(Debug, Error)]
#[error("cannot make a key and request for {id}: {source}")]
pub struct RequestError {
    id: SpiffeId,
    source: rcgen::Error,
}

/// A new private key and the request to certify it.
///
/// The key never leaves the process. It becomes usable as a [`crate::Leaf`] when the signer's answer
/// has been checked ([`KeyAndRequest::into_leaf`]), and is wiped otherwise.
pub struct KeyAndRequest {
    id: SpiffeId,
    pub(crate) key: Key,
    der: Vec<u8>,
}

impl KeyAndRequest {
    /// Makes an ECDSA P-256 key and a request for `id`: empty subject, the ID as the one, critical
    /// alternative name.
    ///
    /// # Errors
    ///
    /// Fails only when the system has no randomness.
    pub fn new(id: &SpiffeId) -> Result<Self, RequestError> {
        Self::make(id).map_err(|source| RequestError {
            id: id.clone(),
            source,
        })
    }

    fn make(id: &SpiffeId) -> Result<Self, rcgen::Error> {
        let key = Key::generate()?;
        let mut params = CertificateParams::default();
        // rcgen marks the alternative name critical exactly when the subject is empty.
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
        let der = params.serialize_request(&key)?.der().to_vec();
        Ok(Self {
            id: id.clone(),
            key,
            der,
        })
    }

    /// Whom the certificate is asked for.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The request, PKCS#10 in DER, for the signer.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for KeyAndRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAndRequest")
            .field("id", &self.id)
            .field("key", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// Why a request is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Larger than any request of ours.
    #[error("the request has {0} bytes, at most {MAX_REQUEST_BYTES} are allowed")]
    TooLarge(usize),
    /// Not PKCS#10 in DER.
    #[error("the request is not well-formed PKCS#10: {0}")]
    Malformed(String),
    /// The sender does not hold the key.
    #[error("the request is not signed by the key it is for")]
    Signature,
    /// Another kind of key than leaves have.
    #[error("the request is for a key that is not ECDSA P-256")]
    KeyType,
    /// No alternative name.
    #[error("the request names nobody; it needs the SPIFFE ID as subject alternative name")]
    NoName,
    /// More than one alternative name.
    #[error("the request has {0} subject alternative names, exactly one is allowed")]
    SeveralNames(usize),
    /// A name of another type: DNS, address, e-mail.
    #[error("the request's subject alternative name is no URI")]
    NotUri,
    /// A URI that is no SPIFFE ID.
    #[error("the request's subject alternative name is no SPIFFE ID: {0}")]
    NotSpiffe(#[source] SpiffeIdError),
    /// The ID is not the one that was asked for, and authorised.
    #[error("the request names {named}, but {expected} was asked for")]
    OtherIdentity {
        /// The ID in the request.
        named: SpiffeId,
        /// The ID the sender may have.
        expected: SpiffeId,
    },
    /// It asks to become a CA. Other extensions are ignored; this one is an attempt.
    #[error("the request asks for a CA certificate")]
    AsksForCa,
}

impl CsrError {
    /// A short stable name for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "csr_too_large",
            Self::Malformed(_) => "csr_malformed",
            Self::Signature => "csr_signature_invalid",
            Self::KeyType => "csr_key_type",
            Self::NoName => "csr_name_missing",
            Self::SeveralNames(_) => "csr_name_repeated",
            Self::NotUri => "csr_name_not_uri",
            Self::NotSpiffe(_) => "csr_name_not_spiffe",
            Self::OtherIdentity { .. } => "csr_identity_mismatch",
            Self::AsksForCa => "csr_asks_for_ca",
        }
    }
}

/// A request that may be signed: the sender holds the key, and asks for nothing but its identity.
///
/// Only the key and the identity survive the check. What else the request contained is gone, so that no
/// signer can copy it.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    id: SpiffeId,
    key: SubjectPublicKeyInfo,
    der: Vec<u8>,
}

impl CheckedRequest {
    /// Checks the request in `der` by a sender who may have `expected` and nothing else.
    ///
    /// # Errors
    ///
    /// The rule that is broken, see [`CsrError`].
    pub fn parse(der: &[u8], expected: &SpiffeId) -> Result<Self, CsrError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(CsrError::TooLarge(der.len()));
        }
        let malformed = |detail: &dyn fmt::Display| CsrError::Malformed(detail.to_string());
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|error| malformed(&error))?;
        if !rest.is_empty() {
            return Err(malformed(&format_args!(
                "{} bytes after its end",
                rest.len()
            )));
        }
        let info = &request.certification_request_info;
        // Before the signature: of other kinds of keys the signature is not worth checking.
        if !is_p256(&info.subject_pki) {
            return Err(CsrError::KeyType);
        }
        if !is_canonical(der, &request) {
            return Err(malformed(
                &"it is not DER, or signed by something else than ECDSA",
            ));
        }
        request
            .verify_signature()
            .map_err(|_| CsrError::Signature)?;
        let id = requested_id(&request)?;
        if id != *expected {
            return Err(CsrError::OtherIdentity {
                named: id,
                expected: expected.clone(),
            });
        }
        let key =
            SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| CsrError::KeyType)?;
        Ok(Self {
            id,
            key,
            der: der.to_vec(),
        })
    }

    /// Who asks.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The request as it came, for signers that forward it to another system. Such a signer has to check
    /// the certificate it gets back.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn key(&self) -> &impl PublicKeyData {
        &self.key
    }
}

/// Whether what surrounds the signed part is written the one way there is: the parser takes tags of any
/// class there, and no signature covers it.
fn is_canonical(der: &[u8], request: &X509CertificationRequest<'_>) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 3;
    let info = request.certification_request_info.raw;
    let signature = &*request.signature_value.data;
    // Short form: a signature by P-256 has at most 72 bytes.
    let Ok(length) = u8::try_from(signature.len() + 1) else {
        return false;
    };
    let body =
        |algorithm: &[u8; 12]| [info, algorithm, &[BIT_STRING, length, 0], signature].concat();
    der.first() == Some(&SEQUENCE)
        && length < 0x80
        && ECDSA_SHA2
            .iter()
            .any(|algorithm| der.ends_with(&body(algorithm)))
}

/// The one name asked for. Extensions beyond the profile are ignored, except CA:true.
fn requested_id(request: &X509CertificationRequest<'_>) -> Result<SpiffeId, CsrError> {
    let attributes = request.certification_request_info.iter_attributes();
    let extensions = attributes
        .filter_map(|attribute| match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(requested) => Some(&requested.extensions),
            _ => None,
        })
        .flatten();
    let mut names = Vec::new();
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => names.extend(&san.general_names),
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                return Err(CsrError::AsksForCa);
            }
            ParsedExtension::ParseError { .. } => {
                let detail = format!("extension {} is malformed", extension.oid);
                return Err(CsrError::Malformed(detail));
            }
            _ => {}
        }
    }
    match names.as_slice() {
        [] => Err(CsrError::NoName),
        [GeneralName::URI(uri)] => SpiffeId::parse(uri).map_err(CsrError::NotSpiffe),
        [_] => Err(CsrError::NotUri),
        several => Err(CsrError::SeveralNames(several.len())),
    }
}

#[cfg(test)]
mod tests;
