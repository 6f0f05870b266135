//! Peers that are no members, or do not behave like members: clients and servers that show whatever they
//! are given.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use weft_tests::wait::soon;

use super::forge::Shown;

/// What members speak.
static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
/// What nobody speaks here.
pub(super) static ONLY_TLS12: [&SupportedProtocolVersion; 1] = [&TLS12];

/// One end of TLS, as somebody wants it.
#[derive(Clone)]
pub(super) struct Stranger {
    pub(super) shown: Option<Shown>,
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
    pub(super) alpn: &'static [&'static [u8]],
}

impl Stranger {
    /// One that does all as members do, with this certificate.
    pub(super) fn showing(shown: Shown) -> Self {
        Self {
            shown: Some(shown),
            versions: &ONLY_TLS13,
            alpn: &[b"h2"],
        }
    }

    /// One that has no certificate.
    pub(super) fn nobody() -> Self {
        Self {
            shown: None,
            versions: &ONLY_TLS13,
            alpn: &[b"h2"],
        }
    }

    /// What such a client sees when it calls.
    pub(super) async fn calls(&self, stream: TcpStream) -> String {
        match self.connect(stream).await {
            Ok(mut tls) => ending(tls.read(&mut [0; 1]).await),
            Err(error) => ending(Err(error)),
        }
    }

    /// The client side of a handshake.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .expect("versions of TLS");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_cert_resolver(Arc::new(Shows(self.shown.clone())));
        config.alpn_protocols = self.alpn.iter().map(|it| it.to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("cart.shop").expect("a name");
        soon("a handshake", connector.connect(name, stream)).await
    }

    /// Answers one client, until it has gone.
    pub(super) async fn answers(&self, stream: TcpStream) {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .expect("versions of TLS");
        let resolver = Arc::new(Shows(self.shown.clone()));
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = self.alpn.iter().map(|it| it.to_vec()).collect();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        if let Ok(mut tls) = accepted {
            // However it ends, the client has said what it thinks.
            let _ended = tokio::io::copy(&mut tls, &mut tokio::io::sink()).await;
        }
    }
}

/// What a client sees that sends bytes which are no TLS, and nothing more.
pub(super) async fn says(dialled: io::Result<TcpStream>, bytes: &[u8]) -> String {
    let mut heard = Vec::new();
    let exchange = async {
        let mut stream = dialled?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut heard).await
    };
    let ended = soon("an answer, or the end", exchange).await;
    // A record of kind alert: its level and what it says are the last two bytes (RFC 8446 section 6).
    if let ([21, _, _, 0, 2, _level, description], Ok(_)) = (&*heard, &ended) {
        let description = rustls::AlertDescription::from(*description);
        return format!("alert {}", snake(&format!("{description:?}")));
    }
    ending(ended.map(|_| heard.len()))
}

/// What somebody sees who reads once.
pub(super) fn ending(read: io::Result<usize>) -> String {
    let error = match read {
        Ok(0) => return "closed".to_owned(),
        Ok(_) => return "served".to_owned(),
        Err(error) => error,
    };
    let tls = error.get_ref().and_then(|it| it.downcast_ref());
    match (tls, error.kind()) {
        (Some(rustls::Error::AlertReceived(alert)), _) => {
            format!("alert {}", snake(&format!("{alert:?}")))
        }
        (_, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => "reset".to_owned(),
        (_, io::ErrorKind::UnexpectedEof) => "closed".to_owned(),
        _ => error.to_string(),
    }
}

/// The name of an alert as RFC 8446 writes it.
fn snake(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Shows one certificate, or none, to everybody.
#[derive(Debug)]
struct Shows(Option<Shown>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// Takes everybody for whom it wants.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
