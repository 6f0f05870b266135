//! Private keys of the identity room: made or read here, used here, wiped here.

use std::fmt;
use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::sign::SigningKey as TlsKey;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroize;

/// A key pair that signs certificates or requests and is wiped when dropped: the encoding by us,
/// the parsed key by aws-lc-rs.
pub(crate) struct Key(KeyPair);

impl Key {
    /// A new ECDSA P-256 key.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate().map(Self)
    }

    /// Reads a key in any of the usual encodings.
    pub(crate) fn read(der: &PrivateKeyDer<'_>) -> Result<Self, rcgen::Error> {
        KeyPair::try_from(der).map(Self)
    }

    /// A second handle on the key.
    pub(crate) fn copy(&self) -> Result<Self, rcgen::Error> {
        Self::read(&PrivateKeyDer::Pkcs8(self.0.serialized_der().into()))
    }

    /// The same key for TLS handshakes.
    pub(crate) fn for_tls(&self) -> Result<Arc<dyn TlsKey>, rustls::Error> {
        let der = PrivateKeyDer::Pkcs8(self.0.serialized_der().into());
        rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&der)
    }

    /// PKCS#8 in PEM. The caller wraps it at once.
    pub(crate) fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}
