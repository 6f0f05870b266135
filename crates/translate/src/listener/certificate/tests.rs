//! The form of PEM data.

use super::{CERTIFICATE_LABELS, KEY_LABELS, has_pem_block};
use crate::fixture::rows;

/// Label and body of a block, and what it is.
const BLOCKS: &str = "
a certificate         | CERTIFICATE           | MIIBAAAA     | certificate
lines and padding     | CERTIFICATE           | MIIB\\nAAA=  | certificate
PKCS #8               | PRIVATE KEY           | MIIB         | key
PKCS #1               | RSA PRIVATE KEY       | MIIB         | key
SEC1                  | EC PRIVATE KEY        | MHcC         | key
encrypted key         | ENCRYPTED PRIVATE KEY | MIIB         |
no body               | CERTIFICATE           |              |
no base64             | CERTIFICATE           | M!!B         |
cut base64            | CERTIFICATE           | MIIBA        |
padding only          | CERTIFICATE           | ====         |
no DER sequence       | CERTIFICATE           | AAAA         |
";

#[test]
fn pem_blocks_are_told_from_other_text() {
    for [name, label, body, expected] in rows(BLOCKS) {
        let body = body.replace("\\n", "\r\n");
        let text = format!("about\n-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let certificate = has_pem_block(text.as_bytes(), CERTIFICATE_LABELS);
        let key = has_pem_block(text.as_bytes(), KEY_LABELS);
        assert_eq!(
            certificate,
            expected == "certificate",
            "{name} as certificate"
        );
        assert_eq!(key, expected == "key", "{name} as key");
    }
    for text in [
        &b"Hello world"[..],
        b"-----BEGIN CERTIFICATE-----\nMIIB",
        &[0xff, 0xfe],
    ] {
        assert!(
            !has_pem_block(text, CERTIFICATE_LABELS),
            "{text:?} is no PEM block"
        );
    }
}
