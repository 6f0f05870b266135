//! Chains, issuers and roots that are refused.

use std::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;

use super::World;
use crate::Bundles;
use crate::mint::{Ca, OID_UNKNOWN, OWN, Tune, WEB, bundle, extension, uri};
use crate::tests::{NOW_UNIX_S, now};

#[test]
fn chains_that_lead_nowhere() {
    let world = World::new();
    let leaf = world.issuer.leaf(WEB);
    world.check("missing intermediate", &[&leaf.der], "peer_issuer_unknown");
    world.check(
        "the CA itself as leaf",
        &[&world.issuer.der],
        "peer_is_trust_domain",
    );
    let foreign = world.friend.leaf(WEB);
    world.check(
        "a root of another domain's bundle",
        &[&foreign.der],
        "peer_issuer_foreign",
    );
    let stranger = Ca::root("stranger.example").leaf(WEB);
    world.check("an unknown root", &[&stranger.der], "peer_issuer_unknown");
    let impostor = Ca::root(OWN).leaf(WEB);
    world.check(
        "an unknown root with the name of ours",
        &[&impostor.der],
        "peer_signature_invalid",
    );
    let key = rcgen::KeyPair::generate().expect("randomness");
    let own = crate::mint::leaf_params(WEB)
        .self_signed(&key)
        .expect("a leaf");
    world.check("self-signed", &[own.der()], "peer_self_signed");
}

#[test]
fn issuers_that_may_not_issue() {
    let world = World::new();
    let check = |name: &str, issuer: &Ca, reason: &str| {
        let leaf = issuer.leaf(WEB);
        world.check(name, &[&leaf.der, &issuer.der], reason);
    };
    let issuer = |tune: Tune| world.root.issuer_with("issuer", tune);
    check(
        "no keyCertSign",
        &issuer(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign]),
        "peer_issuer_may_not_sign",
    );
    check(
        "no CA",
        &issuer(|p| p.is_ca = IsCa::ExplicitNoCa),
        "peer_issuer_not_ca",
    );
    check(
        "the ID of a workload",
        &issuer(|p| p.subject_alt_names = vec![uri(WEB)]),
        "peer_issuer_names_workload",
    );
    check(
        "an unknown critical extension",
        &issuer(|p| p.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])]),
        "peer_critical_extension_unknown",
    );
    check(
        "expired",
        &issuer(|p| p.not_after = (now() - Duration::from_secs(1)).into()),
        "peer_expired",
    );
    check(
        "limited to another purpose",
        &issuer(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]),
        "peer_purpose_incomplete",
    );
    let below = world.issuer.issuer_with("below", |_| ());
    let leaf = below.leaf(WEB);
    world.check(
        "one more than the path length allows",
        &[&leaf.der, &below.der, &world.issuer.der],
        "peer_path_length",
    );
}

#[test]
fn weak_keys_in_a_chain() {
    let world = World::new();
    let weak = CertificateDer::from_pem_slice(include_bytes!("../../../testdata/rsa1024.crt"))
        .expect("a certificate");
    let (_, weak) = x509_parser::certificate::X509Certificate::from_der(&weak).expect("X.509");
    let key = SubjectPublicKeyInfo::from_der(weak.public_key().raw).expect("an RSA key");
    let issuer = world
        .root
        .sign(&crate::mint::ca_params("issuer", OWN), &key);
    let leaf = world.issuer.leaf(WEB);
    world.check(
        "an intermediate with RSA 1024",
        &[&leaf.der, &issuer],
        "peer_key_refused",
    );
}

#[test]
fn chains_too_large_to_look_at() {
    let world = World::new();
    let leaf = world.issuer.leaf(WEB);
    let other = &world.issuer.der;
    world.check(
        "six certificates",
        &[&leaf.der, other, other, other, other, other],
        "peer_chain_too_long",
    );
    let fat = world.issuer.leaf_with(WEB, |params| {
        let mut content = vec![4, 0x82, 0x44, 0];
        content.resize(4 + 0x4400, 0);
        params.custom_extensions = vec![extension(&OID_UNKNOWN, false, content)];
    });
    world.check("17 KiB", &[&fat.der, other], "peer_chain_too_large");
    let nothing = CertificateDer::from(vec![0x30, 0x00]);
    world.check("no certificate", &[&nothing], "peer_certificate_malformed");
    let mut longer = leaf.der.to_vec();
    longer.push(0);
    let longer = CertificateDer::from(longer);
    world.check(
        "bytes after the end",
        &[&longer, other],
        "peer_certificate_malformed",
    );
}

#[test]
fn roots_count_while_they_are_valid() {
    let world = World::new();
    let long = world.root.leaf_with(WEB, |params| {
        params.not_after = (now() + Duration::from_secs(20 * 365 * 24 * 3600)).into();
    });
    let chain = [&long.der];
    assert_eq!(
        world.verify(&chain),
        Ok(WEB.to_owned()),
        "while the root lives"
    );
    let later = NOW_UNIX_S + 11 * 365 * 24 * 3600;
    let refused = world
        .verify_at(&chain, later)
        .expect_err("the root is over");
    assert_eq!(
        refused.reason(),
        "peer_roots_expired",
        "the root has expired"
    );

    let young = Ca::root_with(OWN, |params| {
        params.not_after = (now() + Duration::from_secs(15 * 365 * 24 * 3600)).into();
    });
    let both = World {
        bundles: Bundles::new(bundle(OWN, &[&world.root.der, &young.der]), 1),
        ..world
    };
    let refused = both.verify_at(&chain, later).expect_err("the root is over");
    assert_ne!(
        refused.reason(),
        "peer_roots_expired",
        "another root is still valid"
    );
    let fresh = young.leaf_with(WEB, |params| {
        params.not_after = (now() + Duration::from_secs(20 * 365 * 24 * 3600)).into();
    });
    assert_eq!(
        both.verify_at(&[&fresh.der], later),
        Ok(WEB.to_owned()),
        "the younger root vouches"
    );
}
