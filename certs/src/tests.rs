//! Test support: certificates, a client that takes any certificate, and handshakes in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;

use crate::provider::provider;
use crate::{
    Acceptor, Entry, Handshake, HandshakeError, HostPattern, ServerCert, TlsStream, self_signed,
};

/// The moment the tests happen at: 2026-01-01T00:00:00Z.
pub(crate) const NOW_UNIX_S: u64 = 1_767_225_600;

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_UNIX_S)
}

/// A fresh certificate for `names`.
pub(crate) fn cert(names: &[&str]) -> ServerCert {
    let made = self_signed(names, now()).expect("randomness");
    ServerCert::from_pem(made.cert_pem.as_bytes(), made.key_pem.expose().as_bytes())
        .expect("a fresh pair is good")
}

pub(crate) fn entry(host: &str, cert: &ServerCert) -> Entry {
    entry_of(host, &[cert])
}

pub(crate) fn entry_of(host: &str, certs: &[&ServerCert]) -> Entry {
    Entry {
        host: HostPattern::new(host),
        certs: certs.iter().copied().cloned().collect(),
    }
}

/// What a test client does differently from an ordinary one.
pub(crate) struct Client {
    config: ClientConfig,
}

impl Client {
    /// Offers TLS 1.2 and 1.3, `h2` and `http/1.1`, and takes any certificate whose key signs.
    pub(crate) fn new() -> Self {
        Self::with(rustls::ALL_VERSIONS, Arc::new(AnyCert::default()))
    }

    pub(crate) fn of_versions(versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::with(versions, Arc::new(AnyCert::default()))
    }

    /// Distrusts every certificate.
    pub(crate) fn distrustful() -> Self {
        Self::with(
            rustls::ALL_VERSIONS,
            Arc::new(AnyCert {
                refused: true,
                ..AnyCert::default()
            }),
        )
    }

    /// Cannot verify signatures of any other kind of key.
    pub(crate) fn of_rsa() -> Self {
        let verifier = AnyCert {
            only_rsa: true,
            ..AnyCert::default()
        };
        Self::with(rustls::ALL_VERSIONS, Arc::new(verifier))
    }

    /// Verifies like a browser, with the certificate in `pem` as its only root.
    pub(crate) fn trusting(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        roots.add(root).expect("a certificate");
        let mut client = Self::new();
        client.config = ClientConfig::builder_with_details(provider().clone(), Arc::new(AtNow))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("supported versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client
    }

    fn with(
        versions: &[&'static SupportedProtocolVersion],
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Self {
        let mut config = ClientConfig::builder_with_details(provider().clone(), Arc::new(AtNow))
            .with_protocol_versions(versions)
            .expect("supported versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { config }
    }

    pub(crate) fn alpn(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        self
    }

    /// Changes the configuration in ways only one test needs.
    pub(crate) fn tuned(mut self, tune: impl FnOnce(&mut ClientConfig)) -> Self {
        tune(&mut self.config);
        self
    }

    /// Connects to `acceptor` in memory, asking for `sni` (none when `None`).
    pub(crate) async fn connect(&self, acceptor: &Acceptor, sni: Option<&str>) -> Meeting {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let name = sni.unwrap_or("192.0.2.1").to_owned();
        let name = ServerName::try_from(name).expect("a DNS name or IP address");
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let (client, server) = tokio::join!(
            connector.connect(name, client_io),
            acceptor.accept(server_io)
        );
        Meeting { client, server }
    }
}

/// Both ends after a handshake, or why each gave up.
pub(crate) struct Meeting {
    pub(crate) client: std::io::Result<ClientStream<DuplexStream>>,
    pub(crate) server: Result<(TlsStream<DuplexStream>, Handshake), HandshakeError>,
}

impl Meeting {
    pub(crate) fn handshake(&self) -> &Handshake {
        &self.server.as_ref().expect("handshake succeeded").1
    }

    /// Whether the client was shown `cert`.
    pub(crate) fn shows(&self, cert: &ServerCert) -> bool {
        let client = self.client.as_ref().expect("handshake succeeded");
        let chain = client
            .get_ref()
            .1
            .peer_certificates()
            .expect("server certificate");
        chain == cert.certified().cert.as_slice()
    }
}

/// A clock that stands at [`NOW_UNIX_S`].
#[derive(Debug)]
pub(crate) struct AtNow;

impl rustls::time_provider::TimeProvider for AtNow {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW_UNIX_S)))
    }
}

#[derive(Debug, Default)]
pub(crate) struct AnyCert {
    refused: bool,
    only_rsa: bool,
}

impl ServerCertVerifier for AnyCert {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.refused {
            Err(CertificateError::UnknownIssuer.into())
        } else {
            Ok(ServerCertVerified::assertion())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if self.only_rsa {
            return vec![
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PKCS1_SHA256,
            ];
        }
        let algorithms = &provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Asks clients for a certificate and takes any.
impl ClientCertVerifier for AnyCert {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
