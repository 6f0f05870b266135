//! Revocation lists that count, and those that do not.

use rcgen::SigningKey;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::UnixTime;

use super::{Crl, CrlError, MAX_CRL_BYTES, wrap};
use crate::Bundles;
use crate::mint::{Ca, OWN, WEB, bundle};
use crate::tests::{NOW_UNIX_S, now};
use crate::verify::verify;

const SERIAL: [u8; 4] = [0x7a, 1, 2, 3];

fn list(ca: &Ca, serials: &[&[u8]]) -> Vec<u8> {
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: now().into(),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: now().into(),
        next_update: (now() + std::time::Duration::from_secs(3600)).into(),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = params.signed_by(&ca.rcgen_issuer()).expect("a list");
    signed.der().to_vec()
}

#[track_caller]
fn check(name: &str, der: &[u8], issuer: &Ca, expected: impl FnOnce(&CrlError) -> bool) {
    match Crl::admit(der, &issuer.der) {
        Ok(_) => panic!("{name}: admitted"),
        Err(error) => assert!(expected(&error), "{name}: {error:?}"),
    }
}

#[test]
fn a_revoked_peer_is_refused() {
    let root = Ca::root(OWN);
    let issuer = root.issuer();
    let number = |params: &mut rcgen::CertificateParams| {
        params.serial_number = Some(SerialNumber::from_slice(&SERIAL));
    };
    let leaf = issuer.leaf_with(WEB, number);
    let other = root.issuer_with("other", |_| ());
    let same_serial = other.leaf_with(WEB, number);
    let crl = Crl::admit(&list(&issuer, &[&SERIAL]), &issuer.der).expect("a good list");
    assert_eq!(crl.len(), 1, "one entry");
    let trusted = bundle(OWN, &[&root.der]).with_crls(vec![crl]);
    let bundles = Bundles::new(trusted, 1);
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW_UNIX_S));
    let outcome = |leaf, issuer: &Ca| {
        let peer = verify(leaf, std::slice::from_ref(&issuer.der), &bundles, at);
        peer.map(|peer| peer.serial).map_err(|error| error.reason())
    };
    assert_eq!(
        outcome(&leaf.der, &issuer),
        Err("peer_revoked"),
        "on the list"
    );
    let fresh = issuer.leaf(WEB);
    assert!(
        outcome(&fresh.der, &issuer).is_ok(),
        "another serial number"
    );
    assert!(
        outcome(&same_serial.der, &other).is_ok(),
        "the same serial number of another issuer"
    );
}

#[test]
fn a_revoked_issuer_takes_its_leaves_along() {
    let root = Ca::root(OWN);
    let issuer = root.issuer_with("issuer", |params| {
        params.serial_number = Some(SerialNumber::from_slice(&SERIAL));
    });
    let crl = Crl::admit(&list(&root, &[&SERIAL]), &root.der).expect("a good list");
    let bundles = Bundles::new(bundle(OWN, &[&root.der]).with_crls(vec![crl]), 1);
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW_UNIX_S));
    let leaf = issuer.leaf(WEB);
    let refused = verify(&leaf.der, &[issuer.der], &bundles, at).expect_err("revoked");
    assert_eq!(
        refused,
        crate::PeerError::Revoked(2),
        "the second of the chain"
    );
}

#[test]
fn lists_that_are_refused() {
    let root = Ca::root(OWN);
    let issuer = root.issuer();
    let good = list(&issuer, &[&SERIAL]);
    assert!(Crl::admit(&good, &issuer.der).is_ok(), "a good list");
    let huge = vec![0; MAX_CRL_BYTES + 1];
    check("too large", &huge, &issuer, |error| {
        matches!(error, CrlError::TooLarge(_))
    });
    let rest = [good.clone(), vec![0]].concat();
    check("bytes after its end", &rest, &issuer, |error| {
        matches!(error, CrlError::Malformed(_))
    });
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    check("forged", &forged, &issuer, |error| {
        *error == CrlError::Signature
    });
    check("somebody else's", &good, &root, |error| {
        matches!(error, CrlError::OtherIssuer { .. })
    });
    let impostor = root.issuer();
    check("by another key of the name", &good, &impostor, |error| {
        *error == CrlError::Signature
    });
}

#[test]
fn issuers_and_numbers_of_lists() {
    let root = Ca::root(OWN);
    // rcgen refuses to sign with such an issuer, so the list is signed with its key under another
    // certificate of the same name.
    let signer = root.issuer();
    let without = {
        let mut params = crate::mint::ca_params("issuer", OWN);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        root.sign(&params, signer.key())
    };
    let refused = Crl::admit(&list(&signer, &[]), &without).expect_err("no cRLSign");
    assert_eq!(refused, CrlError::MayNotSign, "cRLSign is missing");
}

/// A list with the given extensions, which rcgen would not write.
fn handmade(ca: &Ca, extensions: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a short list");
        let header = if length < 0x80 {
            vec![tag, length]
        } else {
            vec![tag, 0x81, length]
        };
        [header, content.to_vec()].concat()
    };
    // ecdsa-with-SHA256 (RFC 5758 section 3.2).
    let algorithm = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let issuer = crate::profile::Parsed::read(&ca.der).ok().expect("X.509");
    let tbs = [
        &[2, 1, 1][..],
        &algorithm,
        issuer.cert.subject().as_raw(),
        &tlv(0x17, b"260101000000Z"),
        &tlv(0xa0, &tlv(0x30, extensions)),
    ];
    let tbs = tlv(0x30, &tbs.concat());
    let signature = ca.key().sign(&tbs).expect("randomness");
    let signature = tlv(3, &[&[0][..], &signature].concat());
    tlv(0x30, &[&tbs[..], &algorithm, &signature].concat())
}

#[test]
fn extensions_of_lists() {
    const NUMBER: [u8; 12] = [0x30, 10, 6, 3, 0x55, 0x1d, 20, 4, 3, 2, 1, 1];
    const CRITICAL_NUMBER: [u8; 15] = [0x30, 13, 6, 3, 0x55, 0x1d, 20, 1, 1, 255, 4, 3, 2, 1, 1];
    const DELTA: [u8; 15] = [0x30, 13, 6, 3, 0x55, 0x1d, 27, 1, 1, 255, 4, 3, 2, 1, 1];
    const OTHER: [u8; 12] = [0x30, 10, 6, 3, 0x55, 0x1d, 99, 4, 3, 2, 1, 1];
    let issuer = Ca::root(OWN).issuer();
    assert!(
        Crl::admit(&handmade(&issuer, &NUMBER), &issuer.der).is_ok(),
        "a number and nothing else"
    );
    let delta = [&NUMBER[..], &DELTA].concat();
    let rows = [
        ("no number", handmade(&issuer, &OTHER), CrlError::NoNumber),
        (
            "a critical number",
            handmade(&issuer, &CRITICAL_NUMBER),
            CrlError::NumberCritical,
        ),
        (
            "a delta list",
            handmade(&issuer, &delta),
            CrlError::UnknownCritical("2.5.29.27".to_owned()),
        ),
    ];
    for (name, der, expected) in rows {
        check(name, &der, &issuer, |error| *error == expected);
    }
}

#[test]
fn headers_of_sequences() {
    assert_eq!(wrap(&[]), [0x30, 0], "empty");
    assert_eq!(wrap(&[7; 127])[..2], [0x30, 127], "short form");
    assert_eq!(wrap(&[7; 128])[..3], [0x30, 0x81, 128], "long form");
    assert_eq!(
        wrap(&[7; 0x1234])[..4],
        [0x30, 0x82, 0x12, 0x34],
        "two bytes"
    );
}
