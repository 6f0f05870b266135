//! What can be wrong with a certificate and its key, named by the culprit.

use thiserror::Error;

/// Why a `tls.crt`/`tls.key` pair cannot be served.
///
/// The message continues a sentence that names the Secret ("Secret shop/web-tls: …") and says how
/// to cure it. It never contains key material. A listener whose certificate fails this way
/// has `ResolvedRefs=False` with reason `InvalidCertificateRef`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertError {
    /// `tls.crt` holds no certificate at all.
    #[error("tls.crt contains no certificate; expected a \"BEGIN CERTIFICATE\" PEM block")]
    NoCertificate,
    /// `tls.key` holds no private key, or only other PEM blocks.
    #[error(
        "tls.key contains no private key; expected a \"BEGIN PRIVATE KEY\", \"BEGIN RSA PRIVATE \
         KEY\" or \"BEGIN EC PRIVATE KEY\" PEM block"
    )]
    NoKey,
    /// One of the two is not well-formed PEM.
    #[error("{item} is not well-formed PEM: {detail}; encode the file again, complete and once")]
    MalformedPem {
        /// `tls.crt` or `tls.key`.
        item: &'static str,
        /// What the parser found.
        detail: String,
    },
    /// A PEM block of `tls.crt` is not an X.509 v3 certificate.
    #[error(
        "certificate {position} of tls.crt is not a valid X.509 v3 certificate: {detail}; issue \
         it again"
    )]
    MalformedCertificate {
        /// 1 for the first block, which has to be the server's own certificate.
        position: usize,
        /// What the parser found.
        detail: String,
    },
    /// The key is protected by a passphrase nobody can type.
    #[error(
        "tls.key is encrypted with a passphrase; store it decrypted (openssl pkey -in tls.key)"
    )]
    EncryptedKey,
    /// The key block is readable as PEM but is no key.
    #[error(
        "tls.key cannot be read as a private key (PKCS#8, PKCS#1 or SEC1); export it again \
         (openssl pkey -in tls.key)"
    )]
    MalformedKey,
    /// A sound key of a kind that cannot be used for TLS here.
    #[error(
        "keys of type {algorithm} are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or \
         RSA with 2048 to 8192 bits"
    )]
    UnsupportedKey {
        /// Algorithm and size or curve, as far as the certificate tells.
        algorithm: String,
    },
    /// Certificate and key do not belong together.
    #[error(
        "tls.key does not belong to the certificate in tls.crt; both have to come from the same \
         issuance"
    )]
    KeyMismatch,
    /// The key belongs to a later certificate of the chain.
    #[error(
        "tls.key belongs to certificate {position} of tls.crt; put the server's own certificate \
         first, its issuers after it"
    )]
    LeafNotFirst {
        /// Where the server's own certificate was found; 2 or more.
        position: usize,
    },
}
