//! What may be a root, and for whom.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls_pki_types::pem::PemObject;

use super::{MAX_ROOTS, RootError, TrustBundle};
use crate::mint::{Ca, OID_UNKNOWN, OWN, bundle, domain, extension, trusting, uri};
use crate::tests::now;

#[track_caller]
fn check(name: &str, tune: fn(&mut CertificateParams), expected: Option<&RootError>) {
    let root = Ca::root_with(OWN, tune);
    let (bundle, refused) = TrustBundle::from_der(&domain(OWN), [root.der.to_vec()], now());
    let refused = refused.first().map(|(_, error)| error);
    assert_eq!(refused, expected, "{name}");
    assert_eq!(
        bundle.is_empty(),
        expected.is_some(),
        "{name}: in the bundle"
    );
}

#[test]
fn rules_of_admission() {
    check("a good root", |_| (), None);
    check("no SPIFFE ID", |p| p.subject_alt_names.clear(), None);
    check(
        "no CA",
        |p| p.is_ca = IsCa::ExplicitNoCa,
        Some(&RootError::NotCa),
    );
    check(
        "no basic constraints",
        |p| p.is_ca = IsCa::NoCa,
        Some(&RootError::NotCa),
    );
    check(
        "no keyCertSign",
        |p| p.key_usages = vec![KeyUsagePurpose::CrlSign],
        Some(&RootError::MayNotSign),
    );
    check(
        "no key usage",
        |p| p.key_usages.clear(),
        Some(&RootError::MayNotSign),
    );
    check(
        "an extended key usage",
        |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Some(&RootError::HasPurpose),
    );
    check(
        "a path length is fine",
        |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)),
        None,
    );
    check(
        "an unknown critical extension",
        |p| p.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])],
        Some(&RootError::UnknownCritical("1.2.3.4".to_owned())),
    );
    check(
        "the ID of a workload",
        |p| p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop/sa/web")],
        Some(&RootError::NamesWorkload),
    );
    check(
        "the ID of another domain",
        |p| p.subject_alt_names = vec![uri("spiffe://friend.example")],
        Some(&RootError::ForeignDomain("friend.example".to_owned())),
    );
    check(
        "expired by a second",
        |p| p.not_after = (now() - Duration::from_secs(1)).into(),
        Some(&RootError::Expired(1_767_225_599)),
    );
    check(
        "not yet valid",
        |p| p.not_before = (now() + Duration::from_secs(1)).into(),
        Some(&RootError::NotYetValid(1_767_225_601)),
    );
}

#[test]
fn weak_and_foreign_keys() {
    for pem in [
        &include_bytes!("../../testdata/rsa1024.crt")[..],
        &include_bytes!("../../testdata/dsa.crt")[..],
        &include_bytes!("../../testdata/p521.crt")[..],
    ] {
        let der = rustls_pki_types::CertificateDer::from_pem_slice(pem).expect("PEM");
        let parsed = crate::profile::Parsed::read(&der);
        let refused = parsed.ok().and_then(|parsed| parsed.refused_key());
        assert!(refused.is_some(), "a key that is not admitted");
    }
}

#[test]
fn a_bundle_is_what_is_left() {
    let root = Ca::root(OWN);
    let other = Ca::root_with(OWN, |params| params.is_ca = IsCa::NoCa);
    let ders = [&root, &other, &root].map(|ca| ca.der.to_vec());
    let (bundle, refused) = TrustBundle::from_der(&domain(OWN), ders, now());
    assert_eq!(bundle.roots_der().count(), 1, "the good one");
    let expected = vec![(2, RootError::NotCa), (3, RootError::Duplicate)];
    assert_eq!(refused, expected, "the others, by position");
}

#[test]
fn at_most_32_roots() {
    let roots = (0..=MAX_ROOTS).map(|_| Ca::root(OWN).der.to_vec());
    let (bundle, refused) = TrustBundle::from_der(&domain(OWN), roots, now());
    assert_eq!(bundle.roots_der().count(), MAX_ROOTS, "the first 32");
    assert_eq!(refused, vec![(33, RootError::TooMany)], "the last one");
}

#[test]
fn pem_there_and_back() {
    let both = bundle(OWN, &[&Ca::root(OWN).der, &Ca::root(OWN).der]);
    let (again, refused) = TrustBundle::from_pem(&domain(OWN), &both.to_pem(), now());
    assert!(refused.is_empty(), "our own text is read: {refused:?}");
    assert!(again.roots_der().eq(both.roots_der()), "the same roots");
    let broken = both.to_pem().replacen("-----END", "-----BAD", 2);
    let (_, refused) = TrustBundle::from_pem(&domain(OWN), &broken, now());
    assert_eq!(
        refused,
        vec![(1, RootError::Pem(0))],
        "damaged PEM is reported"
    );
}

#[test]
fn expired_roots_are_dropped() {
    let short = Ca::root_with(OWN, |params| {
        params.not_after = (now() + Duration::from_secs(60)).into();
    });
    let both = bundle(OWN, &[&short.der, &Ca::root(OWN).der]);
    assert_eq!(
        both.earliest_expiry_unix_s(),
        Some(1_767_225_660),
        "the end of the first"
    );
    let (all, dropped) = both.without_expired(now() + Duration::from_secs(60));
    assert_eq!(
        (all.roots_der().count(), dropped),
        (2, 0),
        "in the last second"
    );
    let (rest, dropped) = both.without_expired(now() + Duration::from_secs(61));
    assert_eq!(
        (rest.roots_der().count(), dropped),
        (1, 1),
        "a second later"
    );
}

#[test]
fn domains_are_kept_apart() {
    let root = Ca::root(OWN);
    let bundles = trusting(&root);
    let friend = bundle("friend.example", &[&Ca::root("friend.example").der]);
    let more = bundles.with(friend, 7);
    assert_eq!(more.version(), 7, "the new version");
    assert_eq!(bundles.version(), 1, "values do not change");
    assert!(
        bundles.get(&domain("friend.example")).is_none(),
        "not trusted before"
    );
    let own = more.get(&domain(OWN)).expect("our own");
    assert!(own.roots_der().eq([root.der.as_ref()]), "no union");
}
