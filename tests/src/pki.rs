//! Certification authorities and certificates of tests.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::wait::Expected;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority.
pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate.
    pub pem: String,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub cert_pem: String,
    /// The key.
    pub key_pem: String,
}

/// What a certificate is to say.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    /// DNS names.
    pub names: &'a [&'a str],
    /// URIs.
    pub uris: &'a [&'a str],
    /// Its time is over.
    pub is_expired: bool,
}

impl Leaf<'_> {
    /// A certificate without any name.
    pub const NOBODY: Self = Self {
        names: &[],
        uris: &[],
        is_expired: false,
    };
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates are checked against the real clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Ca {
    /// A new authority.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.not_before = (now() - 10 * DAY).into();
        params.not_after = (now() + 10 * DAY).into();
        let key = KeyPair::generate().expected("randomness");
        let pem = params.self_signed(&key).expected("an authority").pem();
        Self { params, key, pem }
    }

    /// A certificate for servers and clients.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue(&self, leaf: Leaf<'_>) -> Issued {
        let names = leaf.names.iter().map(|name| (*name).to_owned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).expected("names");
        for uri in leaf.uris {
            let uri = SanType::URI((*uri).try_into().expected("a URI"));
            params.subject_alt_names.push(uri);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let end = if leaf.is_expired {
            now() - DAY
        } else {
            now() + DAY
        };
        params.not_before = (now() - 2 * DAY).into();
        params.not_after = end.into();
        let key = KeyPair::generate().expected("randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params.signed_by(&key, &issuer).expected("a certificate");
        Issued {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A certificate for one DNS name.
    #[must_use]
    pub fn for_name(&self, name: &str) -> Issued {
        self.issue(Leaf {
            names: &[name],
            ..Leaf::NOBODY
        })
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl Issued {
    /// A TLS server with this certificate that speaks these protocols. With `clients` it takes only
    /// clients that show a certificate of that authority.
    ///
    /// # Panics
    /// When the pair is no pair.
    #[must_use]
    pub fn server(&self, alpn: &[&str], clients: Option<&Ca>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expected("TLS versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(ca.pem.as_bytes()).expected("PEM");
                roots.add(root).expected("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expected("a verifier"))
            }
        };
        let cert = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).expected("PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expected("PEM");
        let mut config = builder.with_single_cert(vec![cert], key).expected("a pair");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
