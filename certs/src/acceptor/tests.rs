//! Handshakes in memory: choice of certificate, versions, ALPN, resumption, replacement, refusals.

use std::io::IoSlice;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::Version;
use crate::self_signed;
use crate::tests::{Client, cert, entry, entry_of, now};

#[tokio::test]
async fn certificate_by_server_name() {
    let [any, com, wild, deep, exact] =
        ["any", "com", "wild", "deep", "exact"].map(|name| cert(&[name]));
    let acceptor = Acceptor::https([
        entry("", &any),
        entry("*.com", &com),
        entry("*.example.com", &wild),
        entry("*.deep.example.com", &deep),
        entry("shop.example.com", &exact),
    ])
    .expect("randomness");
    let rows = [
        ("exact beats wildcard", Some("shop.example.com"), &exact),
        (
            "upper case is the same name",
            Some("SHOP.example.COM"),
            &exact,
        ),
        ("wildcard beats default", Some("a.example.com"), &wild),
        ("the longer wildcard", Some("a.deep.example.com"), &deep),
        (
            "a wildcard covers several labels",
            Some("a.b.example.com"),
            &wild,
        ),
        (
            "a wildcard does not cover its parent",
            Some("example.com"),
            &com,
        ),
        ("default for other names", Some("example.org"), &any),
        ("default without a name", None, &any),
    ];
    for (name, sni, expected) in rows {
        for client in [
            Client::of_versions(&[&TLS13]),
            Client::of_versions(&[&TLS12]),
        ] {
            let meeting = client.connect(&acceptor, sni).await;
            assert!(
                meeting.shows(expected),
                "{name}: another certificate was shown"
            );
            let reported = meeting.handshake().sni.as_deref();
            let wanted = sni.map(str::to_ascii_lowercase);
            assert_eq!(reported, wanted.as_deref(), "{name}: server name reported");
        }
    }
}

#[tokio::test]
async fn several_certificates_of_one_listener() {
    let rsa = ServerCert::from_pem(
        include_bytes!("../../testdata/rsa2048.crt"),
        include_bytes!("../../testdata/rsa2048.key"),
    )
    .expect("fixture");
    let [first, shop, wild] = [&["first.example"][..], &["shop.example"], &["*.example"]].map(cert);
    let ecdsa = cert(&["fixture.example"]);
    let all = entry_of("*.example", &[&first, &wild, &shop, &ecdsa, &rsa]);
    let acceptor = Acceptor::https([all]).expect("randomness");
    let (any, old) = (Client::new(), Client::of_rsa());
    let rows = [
        ("named exactly", &any, "shop.example", &shop),
        ("named by a wildcard", &any, "other.example", &wild),
        ("named by nobody: the first", &any, "a.b.example", &first),
        ("named twice: the first", &any, "fixture.example", &ecdsa),
        (
            "named twice, only RSA will do",
            &old,
            "fixture.example",
            &rsa,
        ),
    ];
    for (name, client, sni, expected) in rows {
        let meeting = client.connect(&acceptor, Some(sni)).await;
        assert!(
            meeting.shows(expected),
            "{name}: another certificate was shown"
        );
    }
}

/// Names of a listener whose certificates are all unusable, most specific listener first.
#[tokio::test]
async fn a_listener_without_certificate_keeps_its_names() {
    let [any, wild] = ["any", "wild"].map(|name| cert(&[name]));
    let acceptor = Acceptor::https([
        entry("", &any),
        entry("*.example.com", &wild),
        entry_of("shop.example.com", &[]),
        entry_of("*.deep.example.com", &[]),
    ])
    .expect("randomness");
    let rows = [
        ("an exact name", Some("shop.example.com"), None),
        ("a name under a wildcard", Some("a.deep.example.com"), None),
        (
            "a name of the listener beside",
            Some("cart.example.com"),
            Some(&wild),
        ),
        (
            "the parent of the wildcard",
            Some("deep.example.com"),
            Some(&wild),
        ),
        ("a name of nobody else", Some("example.org"), Some(&any)),
    ];
    for (name, sni, expected) in rows {
        let meeting = Client::new().connect(&acceptor, sni).await;
        match expected {
            Some(cert) => assert!(meeting.shows(cert), "{name}: another certificate was shown"),
            None => {
                let reason = meeting.server.err().map(|error| error.reason());
                assert_eq!(
                    reason,
                    Some("tls_unknown_name"),
                    "{name}: served by another listener"
                );
                let told = format!("{:?}", meeting.client.err());
                assert!(
                    told.contains("UnrecognisedName"),
                    "{name}: the client heard {told}"
                );
            }
        }
    }
    acceptor.replace([entry_of("", &[])]);
    let meeting = Client::new().connect(&acceptor, None).await;
    let reason = meeting.server.err().map(|error| error.reason());
    assert_eq!(reason, Some("tls_unknown_name"), "no name at all");
}

#[tokio::test]
async fn protocols_and_versions() {
    let acceptor = Acceptor::https([entry("", &cert(&["a.example"]))]).expect("randomness");
    let rows: &[(&str, &[&str], Option<Alpn>)] = &[
        ("both", &["h2", "http/1.1"], Some(Alpn::Http2)),
        (
            "both, the client prefers the older",
            &["http/1.1", "h2"],
            Some(Alpn::Http2),
        ),
        ("only HTTP/2", &["h2"], Some(Alpn::Http2)),
        ("only HTTP/1.1", &["http/1.1"], Some(Alpn::Http11)),
        (
            "one known among others",
            &["spdy/3", "http/1.1"],
            Some(Alpn::Http11),
        ),
        ("none offered", &[], None),
    ];
    for (name, offered, expected) in rows {
        for (version, expected_version) in [(&TLS12, Version::Tls12), (&TLS13, Version::Tls13)] {
            let client = Client::of_versions(&[version]).alpn(offered);
            let meeting = client.connect(&acceptor, Some("a.example")).await;
            let handshake = meeting.handshake();
            assert_eq!(handshake.alpn, *expected, "{name}, TLS {expected_version}");
            assert_eq!(handshake.version, expected_version, "{name}");
            let agreed = meeting.client.as_ref().expect("client agrees").get_ref().1;
            let wanted = expected.map(|alpn| alpn.as_str().as_bytes());
            assert_eq!(
                agreed.alpn_protocol(),
                wanted,
                "{name}: what the client heard"
            );
        }
    }
}

#[tokio::test]
async fn defaults_are_modern() {
    let acceptor = Acceptor::https([entry("", &cert(&["a.example"]))]).expect("randomness");
    let meeting = Client::new().connect(&acceptor, Some("a.example")).await;
    let handshake = meeting.handshake();
    assert_eq!(handshake.version, Version::Tls13);
    assert_eq!(
        handshake.group,
        Some("X25519MLKEM768"),
        "hybrid post-quantum exchange"
    );
    assert!(
        handshake.cipher.starts_with("TLS13_"),
        "cipher {}",
        handshake.cipher
    );
    assert!(!handshake.resumed);
}

#[tokio::test]
async fn an_ordinary_client_trusts_a_self_signed_certificate_it_was_given() {
    let made = self_signed(&["a.example", "*.b.example"], now()).expect("randomness");
    let key = made.key_pem.expose().as_bytes();
    let cert = ServerCert::from_pem(made.cert_pem.as_bytes(), key).expect("fresh");
    let acceptor = Acceptor::https([entry("", &cert)]).expect("randomness");
    let client = Client::trusting(&made.cert_pem);
    for name in ["a.example", "x.b.example"] {
        let meeting = client.connect(&acceptor, Some(name)).await;
        assert!(meeting.client.is_ok(), "{name}: {:?}", meeting.client.err());
    }
    let meeting = client.connect(&acceptor, Some("other.example")).await;
    assert!(
        meeting.client.is_err(),
        "a name the certificate does not carry was trusted"
    );
    let reason = meeting.server.err().map(|error| error.reason());
    assert_eq!(reason, Some("tls_client_refused"));
}

#[tokio::test]
async fn replacing_certificates_leaves_connections_alone() {
    let [old, new] = ["old.example", "new.example"].map(|name| cert(&[name]));
    let acceptor = Acceptor::https([entry("", &old)]).expect("randomness");
    let client = Client::new();
    let before = client.connect(&acceptor, Some("a.example")).await;
    acceptor.replace([entry("*.example", &new)]);
    let after = client.connect(&acceptor, Some("a.example")).await;
    assert!(
        before.shows(&old) && after.shows(&new),
        "each handshake has its own set"
    );
    let refused = client.connect(&acceptor, Some("a.test")).await;
    let reason = refused.server.err().map(|error| error.reason());
    assert_eq!(reason, Some("tls_unknown_name"), "the old default is gone");
    echo(before).await;
    echo(after).await;
}

/// Sends bytes both ways over an established connection and closes it properly.
async fn echo(meeting: crate::tests::Meeting) {
    let mut client = meeting.client.expect("connected");
    let (mut server, _) = meeting.server.expect("connected");
    let (sent, received) = (b"request over an open connection", &mut [0; 31]);
    client.write_all(sent).await.expect("client writes");
    client.flush().await.expect("client flushes");
    server.read_exact(received).await.expect("server reads");
    assert_eq!(received, sent, "the request arrived");
    assert!(
        server.is_write_vectored(),
        "vectored writes reach the records"
    );
    let parts = [IoSlice::new(b"head "), IoSlice::new(b"body")];
    let written = server.write_vectored(&parts).await.expect("server writes");
    assert_eq!(written, 9, "all parts in one call");
    server.shutdown().await.expect("server closes");
    let mut answer = Vec::new();
    client
        .read_to_end(&mut answer)
        .await
        .expect("a clean end, not a truncation");
    assert_eq!(answer, b"head body", "the answer arrived");
}

#[tokio::test]
async fn sessions_resume_but_never_with_early_data() {
    let cert = cert(&["a.example"]);
    let acceptor = Acceptor::https([entry("", &cert)]).expect("randomness");
    for version in [&TLS12, &TLS13] {
        let client = Client::of_versions(&[version]).tuned(|config| {
            config.resumption = Resumption::in_memory_sessions(8);
            config.enable_early_data = true;
        });
        let first = client.connect(&acceptor, Some("a.example")).await;
        assert!(!first.handshake().resumed, "nothing to resume yet");
        // A TLS 1.3 client learns its ticket when it reads.
        echo(first).await;
        acceptor.replace([entry("", &cert)]);
        let second = client.connect(&acceptor, Some("a.example")).await;
        assert!(
            second.handshake().resumed,
            "{version:?}: a replaced set forgot the tickets"
        );
        let connection = second.client.as_ref().expect("connected").get_ref().1;
        assert!(!connection.is_early_data_accepted(), "0-RTT was accepted");
    }
}

#[tokio::test]
async fn a_ticket_does_not_outlive_its_certificate() {
    let acceptor = Acceptor::https([entry("", &cert(&["a.example"]))]).expect("randomness");
    let client = Client::new();
    echo(client.connect(&acceptor, Some("a.example")).await).await;
    acceptor.replace([entry("other.example", &cert(&["other.example"]))]);
    let meeting = client.connect(&acceptor, Some("a.example")).await;
    assert!(
        meeting.server.is_err(),
        "resumed a name that has no certificate any more"
    );
}

/// A record with the hello of an old client: TLS 1.1, one CBC suite, the extensions given.
fn tls11_hello(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x14, 0x00, 0xff, 1, 0]);
    body.extend(extensions);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

/// Sends raw bytes and returns the server's verdict and what it answered.
async fn send_raw(acceptor: &Acceptor, bytes: &[u8]) -> (HandshakeError, Vec<u8>) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    client.write_all(bytes).await.expect("room for it");
    client.shutdown().await.expect("half-close");
    let verdict = acceptor.accept(server).await.expect_err("no handshake");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("closed");
    (verdict, answer)
}

#[tokio::test]
async fn raw_bytes_that_are_no_acceptable_hello() {
    let acceptor = Acceptor::https([entry("", &cert(&["a.example"]))]).expect("randomness");
    let hello = tls11_hello(&[]);
    // signature_algorithms (13) with ecdsa_secp256r1_sha256, as the last TLS 1.1 clients had it.
    let late_hello = tls11_hello(&[0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    // Fatal alerts (RFC 8446 section 6): handshake_failure 40, decode_error 50,
    // protocol_version 70.
    let rows: &[(&str, &[u8], &str, Option<u8>)] = &[
        ("nothing", b"", "tls_client_closed", None),
        ("half a hello", &hello[..20], "tls_client_closed", None),
        (
            "plain HTTP",
            b"GET / HTTP/1.1\r\n\r\n",
            "tls_not_tls",
            Some(50),
        ),
        ("TLS 1.1", &hello, "tls_incompatible", Some(40)),
        ("late TLS 1.1", &late_hello, "tls_incompatible", Some(70)),
    ];
    for (name, bytes, reason, alert) in rows {
        let (verdict, answer) = send_raw(&acceptor, bytes).await;
        assert_eq!(verdict.reason(), *reason, "{name}: {verdict}");
        let told = (answer.len() == 7 && answer[0] == 21 && answer[5] == 2).then(|| answer[6]);
        assert_eq!(told, *alert, "{name}: alert in {answer:?}");
    }
}

#[tokio::test]
async fn refusals_name_their_reason_on_both_sides() {
    let named = Acceptor::https([entry("a.example", &cert(&["a.example"]))]).expect("randomness");
    let rows = [
        (
            "unknown name",
            Client::new(),
            Some("b.example"),
            "tls_unknown_name",
            "UnrecognisedName",
        ),
        (
            "no name",
            Client::new(),
            None,
            "tls_unknown_name",
            "UnrecognisedName",
        ),
        (
            "no common protocol",
            Client::new().alpn(&["spdy/3"]),
            Some("a.example"),
            "tls_incompatible",
            "NoApplicationProtocol",
        ),
        (
            "distrust",
            Client::distrustful(),
            Some("a.example"),
            "tls_client_refused",
            "UnknownIssuer",
        ),
    ];
    for (name, client, sni, reason, alert) in rows {
        let meeting = client.connect(&named, sni).await;
        let server = meeting
            .server
            .err()
            .unwrap_or_else(|| panic!("{name}: was accepted"));
        assert_eq!(server.reason(), reason, "{name}: {server}");
        let client = meeting
            .client
            .err()
            .unwrap_or_else(|| panic!("{name}: client is content"));
        let told = format!("{client:?}");
        assert!(told.contains(alert), "{name}: the client heard {told}");
    }
}

#[tokio::test]
async fn futures_and_streams_stay_small() {
    let acceptor = Acceptor::https([entry("", &cert(&["a.example"]))]).expect("randomness");
    let (_, server) = tokio::io::duplex(64);
    let future = acceptor.accept(server);
    fn assert_spawnable<T: Send>(_: &T) {}
    assert_spawnable(&future);
    let size = size_of_val(&future);
    assert!(
        size <= 64 + size_of::<tokio::io::DuplexStream>(),
        "accept's future has {size} bytes"
    );
    assert_eq!(
        size_of::<TlsStream<tokio::net::TcpStream>>(),
        size_of::<usize>()
    );
}
