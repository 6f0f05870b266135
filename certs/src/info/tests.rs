//! Facts and dates of a certificate.

use super::*;
use crate::tests::{NOW_UNIX_S, cert, now};
use crate::{check_pair, self_signed};

#[test]
fn names_and_addresses() {
    let cert = cert(&["Shop.Example", "*.wild.example", "192.0.2.7", "2001:db8::7"]);
    let info = cert.info();
    assert_eq!(
        info.dns_names,
        ["shop.example", "*.wild.example"],
        "folded, in order"
    );
    let addresses: Vec<String> = info.ip_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.7", "2001:db8::7"]);
    assert_eq!(info.subject, "CN=Weft self-signed certificate");
    assert_eq!(info.issuer, info.subject, "self-signed");
    assert_eq!(info.chain_length, 1);
    assert!(!info.serial.is_empty() && info.serial.chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn coverage_of_a_name() {
    let cert = cert(&["shop.example", "*.wild.example"]);
    let rows = [
        ("shop.example", 2),
        ("a.wild.example", 1),
        ("*.wild.example", 2),
        ("a.b.wild.example", 0),
        ("wild.example", 0),
        ("other.example", 0),
        ("", 0),
    ];
    for (host, expected) in rows {
        assert_eq!(cert.info().coverage(host), expected, "coverage of {host:?}");
    }
}

#[test]
fn dates_are_reported_and_do_not_refuse() {
    const DAY_S: i64 = 24 * 3600;
    let made = self_signed(&["shop.example"], now()).expect("randomness");
    let info = check_pair(made.cert_pem.as_bytes(), made.key_pem.expose().as_bytes())
        .expect("dates are the clients' business");
    let now = i64::try_from(NOW_UNIX_S).expect("fits");
    let rows = [
        ("issued now, skew", now - 600, Validity::Valid),
        ("before the skew", now - 601, Validity::NotYet),
        ("last second", now + 30 * DAY_S, Validity::Valid),
        ("a second later", now + 30 * DAY_S + 1, Validity::Expired),
    ];
    for (name, at, expected) in rows {
        assert_eq!(info.validity(at), expected, "{name}");
    }
}

#[test]
fn size_of_an_rsa_key() {
    let rows: [(&[u8], usize); 4] = [
        (&[0, 0x80, 0], 16),
        (&[0x80, 0], 16),
        (&[0x01, 0], 9),
        (&[], 0),
    ];
    for (modulus, bits) in rows {
        assert_eq!(modulus_bits(modulus), bits, "modulus {modulus:?}");
    }
}
