//! Parsing and checking of a PEM certificate chain and its private key.

use std::fmt;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error as RustlsError, InconsistentKeys};
use rustls_pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::error::CertError;
use crate::info::{CertInfo, KeyKind};

/// A certificate chain with its private key, checked and ready to serve.
///
/// Cheap to clone. The key can be used but not read; `Debug` shows the certificate's facts only.
#[derive(Clone)]
pub struct ServerCert(Arc<Inner>);

struct Inner {
    certified: Arc<CertifiedKey>,
    info: CertInfo,
}

/// Checks a certificate chain and a key as [`ServerCert::from_pem`] does and keeps only the facts.
///
/// For whoever has to know whether a Secret is good without serving it.
///
/// # Errors
///
/// Whatever is wrong with the pair, the first finding in the order of [`CertError`].
pub fn check_pair(cert_pem: &[u8], key_pem: &[u8]) -> Result<CertInfo, CertError> {
    ServerCert::from_pem(cert_pem, key_pem).map(|cert| cert.info().clone())
}

impl ServerCert {
    /// Reads `tls.crt` (the server's certificate first, then its issuers) and `tls.key` of a
    /// Secret of type `kubernetes.io/tls`.
    ///
    /// Text around PEM blocks and blocks of other kinds are skipped, as OpenSSL does. Dates are
    /// not checked (see [`CertInfo::validity`]), nor whether the chain leads to a root a client
    /// knows: both are the clients' business, and differ between them.
    ///
    /// # Errors
    ///
    /// See [`CertError`]; the pair is refused as a whole.
    pub fn from_pem(cert_pem: &[u8], key_pem: &[u8]) -> Result<Self, CertError> {
        let chain = read_chain(cert_pem)?;
        let info = CertInfo::read(&chain)?;
        let key = load_key(&read_key_der(key_pem)?, &chain)?;
        let certified = CertifiedKey::new(chain, key);
        check_match(&certified)?;
        Ok(Self(Arc::new(Inner {
            certified: Arc::new(certified),
            info,
        })))
    }

    /// The public facts of the certificate.
    #[must_use]
    pub fn info(&self) -> &CertInfo {
        &self.0.info
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.0.certified
    }
}

impl fmt::Debug for ServerCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCert")
            .field("info", self.info())
            .field("key", &"[redacted]")
            .finish()
    }
}

fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed_pem("tls.crt", &error))?;
    if chain.is_empty() {
        return Err(CertError::NoCertificate);
    }
    Ok(chain)
}

/// A private key in DER, wiped when dropped.
pub(crate) struct KeyDer {
    kind: SectionKind,
    der: Zeroizing<Vec<u8>>,
}

impl KeyDer {
    /// The key in the form libraries load it from, not copied.
    pub(crate) fn borrow(&self) -> PrivateKeyDer<'_> {
        let der: &[u8] = &self.der;
        match self.kind {
            SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
            SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
            _ => PrivateKeyDer::Pkcs8(der.into()),
        }
    }
}

/// The first private key in `pem`.
pub(crate) fn read_key_der(pem: &[u8]) -> Result<KeyDer, CertError> {
    find_key(pem)
        .and_then(|key| key.ok_or(CertError::NoKey))
        .map_err(|error| {
            // Either a block of its own kind or, traditionally, a header line that is no base64.
            if is_encrypted(pem) {
                CertError::EncryptedKey
            } else {
                error
            }
        })
}

fn find_key(pem: &[u8]) -> Result<Option<KeyDer>, CertError> {
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| malformed_pem("tls.key", &error))?;
        let der = Zeroizing::new(der);
        let is_key = matches!(
            kind,
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
        );
        if is_key {
            return Ok(Some(KeyDer { kind, der }));
        }
    }
    Ok(None)
}

fn load_key(key: &KeyDer, chain: &[CertificateDer<'_>]) -> Result<Arc<dyn SigningKey>, CertError> {
    rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.borrow()).map_err(|_| {
        // The loader tries every format and tells nothing; the certificate knows which it is.
        match KeyKind::of_certificate(&chain[0]) {
            Some(kind) if kind.supported == Some(false) => CertError::UnsupportedKey {
                algorithm: kind.name,
            },
            _ => CertError::MalformedKey,
        }
    })
}

/// Compares the public half of the key with the certificate.
fn check_match(certified: &CertifiedKey) -> Result<(), CertError> {
    match certified.keys_match() {
        // A key that cannot tell its public half is believed; the provider's keys all can.
        Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(RustlsError::InconsistentKeys(_)) => Err(find_leaf(certified)
            .map_or(CertError::KeyMismatch, |position| CertError::LeafNotFirst {
                position,
            })),
        Err(error) => Err(CertError::MalformedCertificate {
            position: 1,
            detail: error.to_string(),
        }),
    }
}

/// The position, from 1, of the certificate in the chain that the key does belong to.
fn find_leaf(certified: &CertifiedKey) -> Option<usize> {
    let belongs = |der: &CertificateDer<'static>| {
        CertifiedKey::new(vec![der.clone()], certified.key.clone())
            .keys_match()
            .is_ok()
    };
    certified
        .cert
        .iter()
        .position(belongs)
        .map(|index| index + 1)
}

fn is_encrypted(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"ENCRYPTED";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

fn malformed_pem(item: &'static str, error: &PemError) -> CertError {
    let detail = match error {
        PemError::MissingSectionEnd { .. } => "a block has no \"END\" line".to_owned(),
        PemError::IllegalSectionStart { .. } => "a \"BEGIN\" line is damaged".to_owned(),
        // Not the parser's own text: it may quote bytes of the key.
        PemError::Base64Decode(_) => "a block is not valid base64".to_owned(),
        PemError::SectionTooLarge => "a block is larger than any certificate".to_owned(),
        _ => "it cannot be read".to_owned(),
    };
    CertError::MalformedPem { item, detail }
}

#[cfg(test)]
mod tests;
