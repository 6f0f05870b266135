//! Handshakes between members, and with those who are none.

use std::sync::Arc;
use std::time::Duration;

use rcgen::SerialNumber;
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as RawStream;

use super::{
    BootstrapAcceptor, BootstrapConnector, IdentityAcceptor, IdentityConnector, IdentityError,
};
use crate::mint::{
    Ca, DB, Minted, OWN, WEB, authority, bundle, bundles_of, clock, id, leaf_of, member,
};
use crate::provider::provider;
use crate::tests::{AnyCert, AtNow, now};
use crate::{Bundles, Clock, Crl, Expected, Identity, PeerIdentity, Reading, TlsStream, Trust};

type Outcome = Result<(TlsStream<DuplexStream>, PeerIdentity), IdentityError>;

async fn meet(client: &Identity, server: &Identity, expected: &Expected) -> (Outcome, Outcome) {
    let connector = IdentityConnector::new(client).expect("TLS 1.3");
    let acceptor = IdentityAcceptor::new(server).expect("TLS 1.3");
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    tokio::join!(
        connector.connect(client_io, expected),
        acceptor.accept(server_io)
    )
}

fn reason(outcome: &Outcome) -> &'static str {
    outcome
        .as_ref()
        .map_or_else(IdentityError::reason, |_| "ok")
}

/// Connects two members in both directions.
pub(crate) async fn check_both_ways(one: &Identity, other: &Identity) {
    for (client, server) in [(one, other), (other, one)] {
        let expected = Expected::exactly(server.id());
        let (connected, accepted) = meet(client, server, &expected).await;
        let reasons = (reason(&connected), reason(&accepted));
        assert_eq!(reasons, ("ok", "ok"), "{} to {}", client.id(), server.id());
    }
}

#[tokio::test]
async fn members_know_each_other() {
    let authority = authority();
    let (web, db) = (member(&authority, WEB), member(&authority, DB));
    let (client, server) = meet(&web, &db, &Expected::exactly(id(DB))).await;
    let (mut to_db, db_peer) = client.expect("the client is let in");
    let (mut to_web, web_peer) = server.expect("the server accepts");
    assert_eq!(db_peer.id, id(DB), "the client knows the server");
    assert_eq!(web_peer.id, id(WEB), "the server knows the client");
    assert_eq!(
        web_peer.serial,
        web.leaf().info().serial,
        "by its certificate"
    );
    let common = to_db.connection();
    let group = common
        .negotiated_key_exchange_group()
        .and_then(|group| group.name().as_str());
    assert_eq!(
        group,
        Some("X25519MLKEM768"),
        "hybrid post-quantum exchange"
    );
    to_db.write_all(b"hello").await.expect("open");
    to_db.shutdown().await.expect("open");
    let mut text = String::new();
    to_web.read_to_string(&mut text).await.expect("open");
    assert_eq!(text, "hello", "bytes arrive");
}

#[tokio::test]
async fn the_right_ca_and_the_wrong_identity() {
    let authority = authority();
    let (web, db) = (member(&authority, WEB), member(&authority, DB));
    let (client, _) = meet(&web, &db, &Expected::exactly(id(WEB))).await;
    assert_eq!(reason(&client), "peer_identity_mismatch", "somebody else");
    let (client, _) = meet(&web, &db, &Expected::OneOf(Vec::new())).await;
    assert_eq!(
        reason(&client),
        "peer_identity_mismatch",
        "nobody is expected"
    );
    let (client, _) = meet(&web, &db, &Expected::AnyTrusted).await;
    assert_eq!(reason(&client), "ok", "a permissive destination");
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (ours, theirs) = (authority(), authority());
    let (web, db) = (member(&ours, WEB), member(&theirs, DB));
    let (client, _) = meet(&web, &db, &Expected::AnyTrusted).await;
    assert_eq!(reason(&client), "peer_issuer_unknown", "the client refuses");
    let trust_both = bundles_of(&ours)
        .get(web.trust().bundles().own_domain())
        .cloned();
    let both = trust_both.map(|own| {
        let roots = own
            .roots_der()
            .map(<[u8]>::to_vec)
            .chain([theirs.root_der().to_vec()]);
        let (both, _) = crate::TrustBundle::from_der(own.domain(), roots, now());
        Bundles::new(both, 2)
    });
    web.trust().replace(both.expect("our own domain"));
    let (_, server) = meet(&web, &db, &Expected::AnyTrusted).await;
    assert_eq!(reason(&server), "peer_issuer_unknown", "the server refuses");
    db.trust().replace(Bundles::clone(&web.trust().bundles()));
    let (client, server) = meet(&web, &db, &Expected::AnyTrusted).await;
    assert_eq!(
        (reason(&client), reason(&server)),
        ("ok", "ok"),
        "new roots count from the next handshake on"
    );
}

#[tokio::test]
async fn a_new_leaf_is_shown_at_once() {
    let authority = authority();
    let (web, db) = (member(&authority, WEB), member(&authority, DB));
    let acceptor = IdentityAcceptor::new(&db).expect("TLS 1.3");
    let connector = IdentityConnector::new(&web).expect("TLS 1.3");
    let expected = Expected::exactly(id(DB));
    let serials = async || {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let (client, server) = tokio::join!(
            connector.connect(client_io, &expected),
            acceptor.accept(server_io)
        );
        let (to_db, db_peer) = client.expect("a member");
        let (to_web, web_peer) = server.expect("a member");
        ((to_db, to_web), db_peer.serial, web_peer.serial)
    };
    let ((mut to_db, mut to_web), db_first, web_first) = serials().await;
    web.replace(leaf_of(&authority, WEB))
        .expect("the same identity");
    db.replace(leaf_of(&authority, DB))
        .expect("the same identity");
    let (_, db_second, web_second) = serials().await;
    assert_ne!(db_first, db_second, "the server shows its new leaf");
    assert_ne!(web_first, web_second, "the client shows its new leaf");
    to_db.write_all(b"still here").await.expect("open");
    to_db.flush().await.expect("open");
    let mut text = [0; 10];
    to_web.read_exact(&mut text).await.expect("open");
    assert_eq!(
        &text, b"still here",
        "the connection from before is not disturbed"
    );
    let certificates = to_web.connection().peer_certificates().unwrap_or_default();
    let before = crate::verify::identity_of(&certificates[0]).expect("verified");
    assert_eq!(
        before.serial, web_first,
        "and belongs to whom it did: no renegotiation"
    );
    assert!(
        web.replace(leaf_of(&authority, DB)).is_err(),
        "identities do not change"
    );
}

#[tokio::test]
async fn an_expired_identity_fails_closed() {
    let authority = authority();
    let late = Clock::from_fn(|| Reading {
        wall: now() + Duration::from_secs(25 * 3600),
        monotonic: Duration::ZERO,
    });
    let trust = Trust::new(bundles_of(&authority), late);
    let web = Identity::new(leaf_of(&authority, WEB), trust);
    let (client, server) = meet(&web, &web, &Expected::AnyTrusted).await;
    assert_eq!(reason(&client), "identity_expired", "it does not connect");
    assert_eq!(reason(&server), "identity_expired", "it does not accept");
}

/// A client that is no member, or does not behave like one.
struct Stranger(ClientConfig);

impl Stranger {
    fn new(versions: &[&'static rustls::SupportedProtocolVersion], shown: Option<&Minted>) -> Self {
        Self::with_chain(versions, shown, Vec::new())
    }

    fn with_chain(
        versions: &[&'static rustls::SupportedProtocolVersion],
        shown: Option<&Minted>,
        issuers: Vec<CertificateDer<'static>>,
    ) -> Self {
        let builder = ClientConfig::builder_with_details(provider().clone(), Arc::new(AtNow))
            .with_protocol_versions(versions)
            .expect("supported versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCert::default()));
        let mut config = match shown {
            Some(Minted { der, key }) => {
                let chain = [vec![der.clone()], issuers].concat();
                builder
                    .with_client_auth_cert(chain, key.clone_key())
                    .expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self(config)
    }

    async fn meet(&self, server: &IdentityAcceptor) -> (Option<RawStream<DuplexStream>>, Outcome) {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(Arc::new(self.0.clone()));
        let name = ServerName::try_from("db.shop").expect("a name");
        let (client, server) =
            tokio::join!(connector.connect(name, client_io), server.accept(server_io));
        (client.ok(), server)
    }
}

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A server whose domain has the root `root`.
fn server_under(root: &Ca) -> IdentityAcceptor {
    let own = authority();
    let own_roots = [own.root_der(), root.der.as_ref()];
    let trust = Trust::new(Bundles::new(bundle(OWN, &own_roots), 1), clock());
    IdentityAcceptor::new(&Identity::new(leaf_of(&own, DB), trust)).expect("TLS 1.3")
}

#[tokio::test]
async fn clients_that_are_refused() {
    let root = Ca::root(OWN);
    let server = server_under(&root);
    let web = root.leaf(WEB);
    let key = rcgen::KeyPair::generate().expect("randomness");
    let own = crate::mint::leaf_params(WEB)
        .self_signed(&key)
        .expect("a leaf");
    let self_signed = Minted {
        der: own.der().clone(),
        key: rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    };
    let no_alpn = {
        let mut stranger = Stranger::new(TLS13, Some(&web));
        stranger.0.alpn_protocols.clear();
        stranger
    };
    let http1 = {
        let mut stranger = Stranger::new(TLS13, Some(&web));
        stranger.0.alpn_protocols = vec![b"http/1.1".to_vec()];
        stranger
    };
    let tls12 = Stranger::new(&[&rustls::version::TLS12], Some(&web));
    let table = [
        ("a member", Stranger::new(TLS13, Some(&web)), "ok"),
        ("TLS 1.2", tls12, "tls_version"),
        (
            "no certificate",
            Stranger::new(TLS13, None),
            "peer_no_certificate",
        ),
        (
            "self-signed",
            Stranger::new(TLS13, Some(&self_signed)),
            "peer_self_signed",
        ),
        ("ALPN without h2", http1, "tls_no_h2"),
        ("no ALPN", no_alpn, "tls_no_h2"),
    ];
    for (name, stranger, expected) in table {
        let (_, outcome) = stranger.meet(&server).await;
        assert_eq!(reason(&outcome), expected, "{name}");
    }
}

#[tokio::test]
async fn a_revoked_client_is_refused() {
    let root = Ca::root(OWN);
    let server_identity = {
        let own = authority();
        let both = bundle(OWN, &[own.root_der(), root.der.as_ref()]);
        let list = rcgen::CertificateRevocationListParams {
            this_update: now().into(),
            next_update: (now() + Duration::from_secs(60)).into(),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: SerialNumber::from_slice(&[0x42]),
                revocation_time: now().into(),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&root.rcgen_issuer()).expect("a list");
        let crl = Crl::admit(list.der(), &root.der).expect("a good list");
        let trust = Trust::new(Bundles::new(both.with_crls(vec![crl]), 1), clock());
        Identity::new(leaf_of(&own, DB), trust)
    };
    let server = IdentityAcceptor::new(&server_identity).expect("TLS 1.3");
    let revoked = root.leaf_with(WEB, |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x42]));
    });
    let (_, outcome) = Stranger::new(TLS13, Some(&revoked)).meet(&server).await;
    assert_eq!(reason(&outcome), "peer_revoked", "on the list");
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    let root = Ca::root(OWN);
    let server = server_under(&root);
    let web = root.leaf(WEB);
    let mut stranger = Stranger::new(TLS13, Some(&web));
    stranger.0.resumption = Resumption::in_memory_sessions(8);
    stranger.0.enable_early_data = true;
    for round in ["first", "second"] {
        let (client, server) = stranger.meet(&server).await;
        let (mut to_client, _) = server.expect("a member");
        to_client.write_all(b"x").await.expect("open");
        to_client.flush().await.expect("open");
        let mut client = client.expect("a member");
        // Tickets would arrive with the first bytes.
        client.read_exact(&mut [0]).await.expect("open");
        let (_, session) = client.get_mut();
        let kind = session.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full), "{round}: full handshake");
        assert!(session.early_data().is_none(), "{round}: no early data");
        assert_eq!(session.tls13_tickets_received(), 0, "{round}: no ticket");
    }
}

#[tokio::test]
async fn bytes_that_are_no_tls() {
    let server = server_under(&Ca::root(OWN));
    for (name, bytes, expected) in [
        ("plain HTTP", &b"GET / HTTP/1.1\r\n\r\n"[..], "tls_not_tls"),
        ("nothing", &b""[..], "tls_peer_closed"),
    ] {
        let (mut client, server_io) = tokio::io::duplex(1024);
        client.write_all(bytes).await.expect("room");
        client.shutdown().await.expect("open");
        let outcome = server.accept(server_io).await;
        assert_eq!(reason(&outcome), expected, "{name}");
    }
}

#[tokio::test]
async fn bootstrap_proves_the_server_only() {
    let authority = authority();
    let control = member(&authority, DB);
    let acceptor = BootstrapAcceptor::new(&control).expect("TLS 1.3");
    let trust = Trust::new(bundles_of(&authority), clock());
    let connector = BootstrapConnector::new(&trust).expect("TLS 1.3");
    for (expected, reason) in [(DB, "ok"), (WEB, "peer_identity_mismatch")] {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let expected = Expected::exactly(id(expected));
        let (client, _server) = tokio::join!(
            connector.connect(client_io, &expected),
            acceptor.accept(server_io)
        );
        assert_eq!(self::reason(&client), reason, "who the server has to be");
    }
    let other = Trust::new(bundles_of(&crate::mint::authority()), clock());
    let wary = BootstrapConnector::new(&other).expect("TLS 1.3");
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let expected = Expected::exactly(id(DB));
    let (client, _server) = tokio::join!(
        wary.connect(client_io, &expected),
        acceptor.accept(server_io)
    );
    assert_eq!(
        reason(&client),
        "peer_issuer_unknown",
        "roots of another mesh"
    );
}
