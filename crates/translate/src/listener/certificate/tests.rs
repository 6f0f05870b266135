//! The form of PEM data.

use super::{CERTIFICATE_LABELS, KEY_LABELS, has_pem_block};

#[test]
fn pem_blocks_are_told_from_other_text() {
    let block = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let rows = [
        (
            "a certificate",
            block("CERTIFICATE", "MIIBAAAA"),
            true,
            false,
        ),
        (
            "text around a block",
            format!("subject=x\n{}", block("CERTIFICATE", "MIIB")),
            true,
            false,
        ),
        (
            "lines and padding",
            block("CERTIFICATE", "MIIB\r\nAAA="),
            true,
            false,
        ),
        ("PKCS #8", block("PRIVATE KEY", "MIIB"), false, true),
        ("PKCS #1", block("RSA PRIVATE KEY", "MIIB"), false, true),
        ("SEC1", block("EC PRIVATE KEY", "MHcC"), false, true),
        (
            "encrypted key",
            block("ENCRYPTED PRIVATE KEY", "MIIB"),
            false,
            false,
        ),
        (
            "no end",
            "-----BEGIN CERTIFICATE-----\nMIIB".to_owned(),
            false,
            false,
        ),
        ("no body", block("CERTIFICATE", ""), false, false),
        ("no base64", block("CERTIFICATE", "M!!B"), false, false),
        ("cut base64", block("CERTIFICATE", "MIIBA"), false, false),
        ("padding only", block("CERTIFICATE", "===="), false, false),
        (
            "no DER sequence",
            block("CERTIFICATE", "AAAA"),
            false,
            false,
        ),
        ("plain text", "Hello world".to_owned(), false, false),
    ];
    for (name, text, certificate, key) in rows {
        assert_eq!(
            has_pem_block(text.as_bytes(), CERTIFICATE_LABELS),
            certificate,
            "{name} as certificate"
        );
        assert_eq!(
            has_pem_block(text.as_bytes(), KEY_LABELS),
            key,
            "{name} as key"
        );
    }
    assert!(
        !has_pem_block(&[0xff, 0xfe], CERTIFICATE_LABELS),
        "bytes that are no text"
    );
}
