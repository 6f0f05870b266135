//! Good and broken key pairs, each with its finding.

use super::*;
use crate::tests::now;
use crate::{SelfSigned, self_signed};

macro_rules! fixture {
    ($file:literal) => {
        include_str!(concat!("../../testdata/", $file))
    };
}

/// A fresh self-signed pair.
fn fresh() -> SelfSigned {
    self_signed(&["fresh.example"], now()).expect("randomness")
}

#[test]
fn good_pairs() {
    let rows = [
        ("ECDSA P-256", fixture!("p256.crt"), fixture!("p256.key")),
        (
            "ECDSA P-256",
            fixture!("p256.crt"),
            fixture!("p256-sec1.key"),
        ),
        ("ECDSA P-384", fixture!("p384.crt"), fixture!("p384.key")),
        ("ECDSA P-521", fixture!("p521.crt"), fixture!("p521.key")),
        ("Ed25519", fixture!("ed25519.crt"), fixture!("ed25519.key")),
        ("RSA 2048", fixture!("rsa2048.crt"), fixture!("rsa2048.key")),
        (
            "RSA 2048",
            fixture!("rsa2048.crt"),
            fixture!("rsa2048-pkcs1.key"),
        ),
    ];
    for (algorithm, cert, key) in rows {
        let info = check_pair(cert.as_bytes(), key.as_bytes());
        let info = info.unwrap_or_else(|error| panic!("{algorithm} was refused: {error}"));
        assert_eq!(info.key_algorithm, algorithm);
        assert_eq!(info.dns_names, ["fixture.example"], "{algorithm}: names");
    }
}

#[test]
fn text_and_foreign_blocks_around_are_skipped() {
    let key = format!(
        "a comment\n{}\n{}",
        fixture!("p256.crt"),
        fixture!("p256.key")
    );
    let cert = format!("subject=CN = x\n{}\n\n", fixture!("p256.crt")).replace('\n', "\r\n");
    let info = check_pair(cert.as_bytes(), key.as_bytes()).expect("OpenSSL reads this too");
    assert_eq!(info.chain_length, 1);
}

/// Name, `tls.crt`, `tls.key`, finding.
type Row<'a> = (&'a str, &'a str, &'a str, CertError);

fn check(rows: &[Row<'_>]) {
    for (name, cert, key, expected) in rows {
        let error = check_pair(cert.as_bytes(), key.as_bytes())
            .map(|_| ())
            .expect_err(&format!("{name}: was accepted"));
        assert_eq!(without_detail(error), *expected, "{name}");
    }
}

const CERT: &str = fixture!("p256.crt");
const KEY: &str = fixture!("p256.key");

#[test]
fn broken_certificates() {
    let cut = CERT.replace("-----END CERTIFICATE-----", "");
    let other_der = block("CERTIFICATE", "MAMCAQE=");
    let bad_second = format!("{CERT}{other_der}");
    check(&[
        ("empty", "", KEY, CertError::NoCertificate),
        ("text", "not pem", KEY, CertError::NoCertificate),
        ("a key in its place", KEY, KEY, CertError::NoCertificate),
        (
            "no end line",
            &cut,
            KEY,
            malformed("tls.crt", "a block has no \"END\" line"),
        ),
        ("other DER", &other_der, KEY, bad_certificate(1)),
        (
            "X.509 version 1",
            fixture!("p256-v1.crt"),
            KEY,
            bad_certificate(1),
        ),
        ("second one damaged", &bad_second, KEY, bad_certificate(2)),
    ]);
}

#[test]
fn broken_keys() {
    let letters = KEY.replacen("\nM", "\n*", 1);
    let other_der = block("PRIVATE KEY", "MAMCAQE=");
    let rsa = fixture!("rsa2048.crt");
    let traditional = fixture!("rsa2048-encrypted-traditional.key");
    check(&[
        ("empty", CERT, "", CertError::NoKey),
        ("a certificate in its place", CERT, CERT, CertError::NoKey),
        (
            "no base64",
            CERT,
            &letters,
            malformed("tls.key", "a block is not valid base64"),
        ),
        ("other DER", CERT, &other_der, CertError::MalformedKey),
        (
            "encrypted PKCS#8",
            CERT,
            fixture!("p256-encrypted.key"),
            CertError::EncryptedKey,
        ),
        (
            "encrypted PKCS#1",
            rsa,
            traditional,
            CertError::EncryptedKey,
        ),
    ]);
}

#[test]
fn unsupported_keys() {
    let curve = unsupported("ECDSA on curve 1.3.132.0.10");
    check(&[
        (
            "small RSA",
            fixture!("rsa1024.crt"),
            fixture!("rsa1024.key"),
            unsupported("RSA 1024"),
        ),
        (
            "a coin's curve",
            fixture!("secp256k1.crt"),
            fixture!("secp256k1.key"),
            curve,
        ),
        (
            "Ed448",
            fixture!("ed448.crt"),
            fixture!("ed448.key"),
            unsupported("Ed448"),
        ),
    ]);
}

#[test]
fn pairs_that_are_none() {
    let other = fresh();
    let wrong_order = format!("{}{CERT}", other.cert_pem);
    check(&[
        (
            "another pair's key",
            CERT,
            other.key_pem.expose(),
            CertError::KeyMismatch,
        ),
        (
            "a key of another kind",
            CERT,
            fixture!("rsa2048.key"),
            CertError::KeyMismatch,
        ),
        (
            "issuer first",
            &wrong_order,
            KEY,
            CertError::LeafNotFirst { position: 2 },
        ),
    ]);
}

/// A PEM block with the given label and base64.
fn block(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

fn malformed(item: &'static str, detail: &str) -> CertError {
    CertError::MalformedPem {
        item,
        detail: detail.to_owned(),
    }
}

fn bad_certificate(position: usize) -> CertError {
    CertError::MalformedCertificate {
        position,
        detail: String::new(),
    }
}

fn unsupported(algorithm: &str) -> CertError {
    CertError::UnsupportedKey {
        algorithm: algorithm.to_owned(),
    }
}

/// The X.509 parser's own words are not ours to fix.
fn without_detail(error: CertError) -> CertError {
    match error {
        CertError::MalformedCertificate { position, .. } => bad_certificate(position),
        other => other,
    }
}

#[test]
fn findings_never_quote_the_key() {
    let made = fresh();
    let key = made.key_pem.expose();
    let secret: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let damaged = key.replacen("\nM", "\n*", 1);
    let error = check_pair(made.cert_pem.as_bytes(), damaged.as_bytes()).expect_err("damaged");
    let cert = ServerCert::from_pem(made.cert_pem.as_bytes(), key.as_bytes()).expect("fresh");
    let texts = [
        format!("{error} {error:?}"),
        format!("{cert:?}"),
        format!("{made:?}"),
    ];
    for text in texts {
        let leaked = secret.iter().any(|line| text.contains(&line[1..]));
        assert!(!leaked, "key bytes in {text}");
    }
}
