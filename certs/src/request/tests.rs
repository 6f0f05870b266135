//! Requests that are signed, and those that are not.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use x509_parser::prelude::FromDer;

use super::{CheckedRequest, CsrError, KeyAndRequest, MAX_REQUEST_BYTES};
use crate::mint::{DB, OID_UNKNOWN, WEB, authority, bundles_of, dns, extension, id, uri};
use crate::tests::now;
use crate::{LeafError, LeafLife};

fn request(tune: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    request_by(&KeyPair::generate().expect("randomness"), tune)
}

fn request_by(key: &KeyPair, tune: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(WEB)];
    tune(&mut params);
    let request = params.serialize_request(key).expect("a request");
    request.der().to_vec()
}

#[track_caller]
fn check(name: &str, der: &[u8], reason: &str) {
    let outcome = CheckedRequest::parse(der, &id(WEB));
    let actual = outcome.as_ref().map_or_else(CsrError::reason, |_| "signed");
    assert_eq!(actual, reason, "{name}: {outcome:?}");
}

#[test]
fn requests_of_our_own_are_good() {
    let made = KeyAndRequest::new(&id(WEB)).expect("randomness");
    check("our own", made.der(), "signed");
    let (_, parsed) =
        x509_parser::certification_request::X509CertificationRequest::from_der(made.der())
            .expect("PKCS#10");
    let info = &parsed.certification_request_info;
    assert_eq!(info.subject.iter_rdn().count(), 0, "the subject is empty");
    let requested =
        info.iter_attributes()
            .find_map(|attribute| match attribute.parsed_attribute() {
                x509_parser::cri_attributes::ParsedCriAttribute::ExtensionRequest(requested) => {
                    requested.extensions.first()
                }
                _ => None,
            });
    assert!(
        requested.is_some_and(|san| san.critical),
        "the alternative name is critical (istio #56191)"
    );
}

#[test]
fn requests_that_are_refused() {
    let mut forged = request(|_| ());
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let rsa = KeyPair::from_pem(include_str!("../../testdata/rsa2048.key")).expect("a key");
    let large = request(|params| {
        let mut content = vec![4, 0x82, 0x14, 0];
        content.resize(4 + 0x1400, 0);
        params.custom_extensions = vec![extension(&OID_UNKNOWN, false, content)];
    });
    assert!(large.len() > 5 * 1024, "a request of 5 KiB");
    let two = |params: &mut CertificateParams| params.subject_alt_names.push(uri(DB));
    let alien = |params: &mut CertificateParams| params.subject_alt_names = vec![uri("https://a")];
    let host = |params: &mut CertificateParams| params.subject_alt_names = vec![dns("web.shop")];
    let ca = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let table: &[(&str, Vec<u8>, &str)] = &[
        ("bad signature", forged, "csr_signature_invalid"),
        (
            "another identity",
            request(|params| params.subject_alt_names = vec![uri(DB)]),
            "csr_identity_mismatch",
        ),
        ("two names", request(two), "csr_name_repeated"),
        ("a DNS name", request(host), "csr_name_not_uri"),
        ("no SPIFFE ID", request(alien), "csr_name_not_spiffe"),
        (
            "no name",
            request(|params| params.subject_alt_names.clear()),
            "csr_name_missing",
        ),
        ("an RSA key", request_by(&rsa, |_| ()), "csr_key_type"),
        ("5 KiB", large, "csr_too_large"),
        ("CA:true", request(ca), "csr_asks_for_ca"),
        ("no request", vec![0x30, 0], "csr_malformed"),
        (
            "bytes after the end",
            [request(|_| ()), vec![0]].concat(),
            "csr_malformed",
        ),
    ];
    for (name, der, reason) in table {
        check(name, der, reason);
    }
}

#[test]
fn the_size_limit_is_four_kibibytes() {
    let at_limit = CheckedRequest::parse(&vec![0; MAX_REQUEST_BYTES], &id(WEB));
    assert!(
        matches!(at_limit, Err(CsrError::Malformed(_))),
        "4 KiB are looked at"
    );
}

#[test]
fn nothing_but_key_and_identity_is_copied() {
    let der = request(|params| {
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])];
    });
    let checked = CheckedRequest::parse(&der, &id(WEB)).expect("extras are ignored");
    let signed = authority()
        .issue(&checked, LeafLife::default(), now())
        .expect("a good request");
    let leaf = signed.chain[0].clone().into();
    let parsed = crate::profile::Parsed::read(&leaf).ok().expect("X.509");
    assert!(parsed.subject_is_empty(), "the subject");
    assert!(!parsed.may_sign_certificates(), "the key usage");
    assert!(parsed.unknown_critical().is_none(), "the extension");
    let purposes = parsed.purposes().expect("purposes");
    assert!(purposes.server_and_client, "the purposes of the profile");
}

#[test]
fn a_replayed_request_helps_nobody() {
    let authority = authority();
    let victim = KeyAndRequest::new(&id(WEB)).expect("randomness");
    let thief = KeyAndRequest::new(&id(WEB)).expect("randomness");
    let checked = CheckedRequest::parse(victim.der(), &id(WEB)).expect("a good request");
    let signed = authority
        .issue(&checked, LeafLife::default(), now())
        .expect("a good request");
    let outcome = thief.into_leaf(&signed.chain, &bundles_of(&authority), now());
    assert_eq!(
        outcome.err(),
        Some(LeafError::OtherKey),
        "the key stays with whoever made the request"
    );
}

/// Nothing of a request may be changed without it being refused.
#[test]
fn every_byte_of_a_request_counts() {
    let good = request(|_| ());
    let mut overlooked = Vec::new();
    for at in 0..good.len() {
        for flip in [0x01, 0x80] {
            let mut der = good.clone();
            der[at] ^= flip;
            if CheckedRequest::parse(&der, &id(WEB)).is_ok() {
                overlooked.push((at, flip));
            }
        }
    }
    assert_eq!(
        overlooked,
        [],
        "changed bytes (and bits) that were overlooked"
    );
}
