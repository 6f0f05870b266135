//! Connections to backends with good and bad certificates.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::{
    BackendTls, CaRoots, ConnectError, Connector, ConnectorError, RootsError, SubjectAltName,
};
use crate::mint::{Ca, Minted, clock, dns};
use crate::pem::encode_certificates;
use crate::provider::provider;
use crate::tests::{AnyCert, AtNow, cert, now};
use crate::{Alpn, Handshake, TlsStream, Version, self_signed};

mod names;

const HOST: &str = "abc.example.com";

fn roots(ders: &[&CertificateDer<'_>]) -> CaRoots {
    CaRoots::from_pem(&encode_certificates(ders.iter().map(|der| der.as_ref()))).expect("CAs")
}

fn settings(roots: CaRoots) -> BackendTls {
    BackendTls {
        server_name: HOST.to_owned(),
        roots,
        subject_alt_names: Vec::new(),
        client_cert: None,
        alpn: vec![Alpn::Http2, Alpn::Http11],
    }
}

/// A certificate of a backend for `names`.
fn backend(ca: &Ca, names: Vec<SanType>, tune: impl FnOnce(&mut CertificateParams)) -> Minted {
    ca.leaf_with("spiffe://unused/a", |params| {
        params.subject_alt_names = names;
        tune(params);
    })
}

/// A backend that shows `shown` and speaks the given versions.
fn server_of(
    shown: &Minted,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_details(provider().clone(), Arc::new(AtNow))
        .with_protocol_versions(versions)
        .expect("supported versions")
        .with_no_client_auth()
        .with_single_cert(vec![shown.der.clone()], shown.key.clone_key())
        .expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

type Outcome = Result<(TlsStream<DuplexStream>, Handshake), ConnectError>;

async fn meet(settings: &BackendTls, server: ServerConfig) -> Outcome {
    let connector = Connector::new(settings, clock()).expect("good settings");
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let (client, _server) = tokio::join!(connector.connect(client_io), acceptor.accept(server_io));
    client
}

async fn check(name: &str, settings: &BackendTls, shown: &Minted, expected: &str) {
    let outcome = meet(settings, server_of(shown, rustls::ALL_VERSIONS)).await;
    let actual = outcome.as_ref().map_or_else(ConnectError::reason, |_| "ok");
    assert_eq!(actual, expected, "{name}: {:?}", outcome.err());
}

#[tokio::test]
async fn good_backends_are_reached() {
    let ca = Ca::root("ca.example");
    let shown = backend(&ca, vec![dns(HOST)], |_| ());
    let outcome = meet(
        &settings(roots(&[&ca.der])),
        server_of(&shown, rustls::ALL_VERSIONS),
    )
    .await;
    let (_, handshake) = outcome.expect("a good backend");
    assert_eq!(
        handshake.alpn,
        Some(Alpn::Http2),
        "the best protocol of both"
    );
    assert_eq!(
        handshake.sni.as_deref(),
        Some(HOST),
        "the server name of the policy"
    );
    assert_eq!(handshake.version, Version::Tls13, "the best version");
    let old = server_of(&shown, &[&rustls::version::TLS12]);
    let (_, handshake) = meet(&settings(roots(&[&ca.der])), old)
        .await
        .expect("TLS 1.2 is enough");
    assert_eq!(handshake.version, Version::Tls12, "what the backend has");
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    let ca = Ca::root("ca.example");
    let good = settings(roots(&[&ca.der]));
    let names = || vec![dns(HOST)];
    let stranger = Ca::root("stranger.example");
    check(
        "another authority",
        &good,
        &backend(&stranger, names(), |_| ()),
        "backend_tls_unknown_authority",
    )
    .await;
    let impostor = Ca::root("ca.example");
    check(
        "another authority of the same name",
        &good,
        &backend(&impostor, names(), |_| ()),
        "backend_tls_unknown_authority",
    )
    .await;
    let second_ago = |params: &mut CertificateParams| {
        params.not_after = (now() - Duration::from_secs(1)).into();
    };
    let soon = |params: &mut CertificateParams| {
        params.not_before = (now() + Duration::from_secs(1)).into();
    };
    let client_only = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    };
    let expired = backend(&ca, names(), second_ago);
    check("expired", &good, &expired, "backend_tls_expired").await;
    let early = backend(&ca, names(), soon);
    check("not yet valid", &good, &early, "backend_tls_not_yet_valid").await;
    let purpose = backend(&ca, names(), client_only);
    check(
        "for clients only",
        &good,
        &purpose,
        "backend_tls_invalid_certificate",
    )
    .await;
    let issued = backend(&ca.issuer(), names(), |_| ());
    check(
        "missing intermediate",
        &good,
        &issued,
        "backend_tls_unknown_authority",
    )
    .await;
}

/// A self-signed certificate, as `openssl req -x509` makes it: a CA.
fn own_ca(tune: impl FnOnce(&mut CertificateParams)) -> Minted {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, HOST);
    params.subject_alt_names = vec![dns(HOST)];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = (now() - Duration::from_secs(60)).into();
    params.not_after = (now() + Duration::from_secs(60)).into();
    tune(&mut params);
    let key = KeyPair::generate().expect("randomness");
    Minted {
        der: params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .clone(),
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    }
}

#[tokio::test]
async fn a_certificate_that_is_its_own_ca() {
    let own = own_ca(|_| ());
    check(
        "named by the policy",
        &settings(roots(&[&own.der])),
        &own,
        "ok",
    )
    .await;
    let another = own_ca(|_| ());
    check(
        "not named by the policy",
        &settings(roots(&[&another.der])),
        &own,
        "backend_tls_unknown_authority",
    )
    .await;
    let over = own_ca(|params| params.not_after = (now() - Duration::from_secs(1)).into());
    let trusting = settings(roots(&[&over.der]));
    check(
        "named, but expired",
        &trusting,
        &over,
        "backend_tls_expired",
    )
    .await;
    let elsewhere = BackendTls {
        server_name: "elsewhere.example".to_owned(),
        ..settings(roots(&[&own.der]))
    };
    check(
        "named, for another host",
        &elsewhere,
        &own,
        "backend_tls_name_mismatch",
    )
    .await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let ca = Ca::root("ca.example");
    let shown = backend(&ca, vec![dns(HOST)], |_| ());
    let client = cert(&["gateway.example"]);
    let strict = ServerConfig::builder_with_details(provider().clone(), Arc::new(AtNow))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("supported versions")
        .with_client_cert_verifier(Arc::new(AnyCert::default()))
        .with_single_cert(vec![shown.der.clone()], shown.key.clone_key())
        .expect("a pair");
    let connect = async |client_cert| {
        let settings = BackendTls {
            client_cert,
            ..settings(roots(&[&ca.der]))
        };
        let connector = Connector::new(&settings, clock()).expect("good settings");
        let acceptor = TlsAcceptor::from(Arc::new(strict.clone()));
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let (_client, server) =
            tokio::join!(connector.connect(client_io), acceptor.accept(server_io));
        let stream = server.ok()?;
        stream.get_ref().1.peer_certificates()?.first().cloned()
    };
    let der = client.certified().cert[0].clone();
    assert_eq!(
        connect(Some(client)).await,
        Some(der),
        "the Gateway's certificate"
    );
    assert_eq!(connect(None).await, None, "without one the backend refuses");
}

#[tokio::test]
async fn backends_that_speak_something_else() {
    let ca = Ca::root("ca.example");
    let connector = Connector::new(&settings(roots(&[&ca.der])), clock()).expect("good settings");
    for (name, bytes, expected) in [
        (
            "HTTP",
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "backend_tls_not_tls",
        ),
        ("nothing", &b""[..], "backend_tls_closed"),
    ] {
        let (client_io, mut server_io) = tokio::io::duplex(64 * 1024);
        let server = async {
            let mut hello = [0; 64];
            server_io
                .read_exact(&mut hello)
                .await
                .expect("a ClientHello");
            server_io.write_all(bytes).await.expect("room");
            server_io.shutdown().await.expect("open");
        };
        let (outcome, ()) = tokio::join!(connector.connect(client_io), server);
        let reason = outcome.map_or_else(|error| error.reason(), |_| "ok");
        assert_eq!(reason, expected, "{name}");
    }
}

#[test]
fn settings_that_cannot_be_used() {
    let roots = roots(&[&Ca::root("ca.example").der]);
    let bad_host = BackendTls {
        server_name: "not a name".to_owned(),
        ..settings(roots.clone())
    };
    let refused = Connector::new(&bad_host, clock()).err();
    assert_eq!(
        refused,
        Some(ConnectorError::ServerName("not a name".to_owned())),
        "a hostname nobody can prove"
    );
    let bad_san = BackendTls {
        subject_alt_names: vec![SubjectAltName::Hostname("a..b".to_owned())],
        ..settings(roots)
    };
    let refused = Connector::new(&bad_san, clock()).err();
    assert_eq!(
        refused,
        Some(ConnectorError::AltName("a..b".to_owned())),
        "nor this one"
    );
}

#[test]
fn texts_of_config_maps() {
    let made = self_signed(&[HOST], now()).expect("randomness");
    let two = made.cert_pem.repeat(2);
    assert_eq!(
        CaRoots::from_pem(&two).map(|roots| roots.len()),
        Ok(2),
        "two CAs"
    );
    let broken = made.cert_pem.replacen("-----END", "-----BAD", 1);
    let no_cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        CaRoots::from_pem("").err(),
        Some(RootsError::Empty),
        "nothing"
    );
    assert_eq!(
        CaRoots::from_pem("invalid").err(),
        Some(RootsError::Empty),
        "no PEM"
    );
    assert_eq!(
        CaRoots::from_pem(&broken).err(),
        Some(RootsError::Pem),
        "damaged PEM"
    );
    assert!(
        matches!(
            CaRoots::from_pem(no_cert),
            Err(RootsError::Malformed { position: 1, .. })
        ),
        "PEM of something else"
    );
    let one = CaRoots::from_pem(&made.cert_pem).expect("a CA");
    assert_eq!(
        CaRoots::union([&one, &one]).len(),
        2,
        "all of several references"
    );
    assert!(CaRoots::union([]).is_empty(), "no reference, nobody");
}
