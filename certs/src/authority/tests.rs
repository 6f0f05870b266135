//! The authority by its profile, and what an operator may bring.

use std::time::Duration;

use rcgen::{BasicConstraints, IsCa, KeyPair, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;

use super::{Authority, AuthorityPem, ImportError, LeafLife};
use crate::mint::{Ca, OWN, WEB, authority, bundles_of, domain, id, leaf_of};
use crate::pem::encode_certificates;
use crate::profile::Parsed;
use crate::tests::{NOW_UNIX_S, now};
use crate::{CheckedRequest, KeyAndRequest, RootError, SecretPem, SignError};

const DAY_S: i64 = 24 * 3600;

fn unix_s() -> i64 {
    i64::try_from(NOW_UNIX_S).expect("a small number")
}

fn request() -> CheckedRequest {
    let made = KeyAndRequest::new(&id(WEB)).expect("randomness");
    CheckedRequest::parse(made.der(), &id(WEB)).expect("our own request")
}

/// What identity certificates have in common, and what tells leaves from CAs.
#[track_caller]
fn check_profile(name: &str, der: &CertificateDer<'_>, uri: &str, life_s: i64) {
    let cert = Parsed::read(der).ok().expect("X.509");
    let is_leaf = name == "leaf";
    assert_eq!(cert.uris(), Some(vec![uri]), "{name}: one URI");
    assert_eq!(cert.subject_is_empty(), is_leaf, "{name}: subject");
    assert_eq!(
        cert.san_is_critical(),
        is_leaf,
        "{name}: SAN critical iff no subject"
    );
    assert_eq!(cert.is_ca(), !is_leaf, "{name}: CA");
    let (usage, is_critical) = cert.key_usage().expect("a key usage");
    assert!(is_critical, "{name}: key usage critical");
    assert_eq!(
        usage.digital_signature(),
        is_leaf,
        "{name}: digitalSignature"
    );
    assert_eq!(usage.key_cert_sign(), !is_leaf, "{name}: keyCertSign");
    assert_eq!(usage.crl_sign(), !is_leaf, "{name}: cRLSign");
    let both = cert
        .purposes()
        .is_some_and(|purposes| purposes.server_and_client);
    assert_eq!(both, is_leaf, "{name}: serverAuth and clientAuth");
    assert_eq!(
        cert.not_before_unix_s(),
        unix_s() - 600,
        "{name}: back-dated"
    );
    assert_eq!(cert.not_after_unix_s(), unix_s() + life_s, "{name}: life");
    assert!(cert.serial_is_positive(), "{name}: serial number");
    assert_eq!(
        cert.cert.raw_serial().len(),
        16,
        "{name}: at least 64 random bits"
    );
    assert!(
        crate::profile::is_p256(cert.cert.public_key()),
        "{name}: P-256"
    );
    assert!(
        cert.unknown_critical().is_none(),
        "{name}: nothing unknown is critical"
    );
}

#[test]
fn certificates_follow_the_profile() {
    let authority = authority();
    let leaf = leaf_of(&authority, WEB);
    let chain = leaf
        .chain_der()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect::<Vec<_>>();
    assert_eq!(chain.len(), 2, "leaf and intermediate; peers have the root");
    let root = CertificateDer::from(authority.root_der().to_vec());
    let rows = [
        ("leaf", &chain[0], WEB, DAY_S),
        (
            "intermediate",
            &chain[1],
            "spiffe://cluster.local",
            365 * DAY_S,
        ),
        ("root", &root, "spiffe://cluster.local", 3650 * DAY_S),
    ];
    for (name, der, uri, life_s) in rows {
        check_profile(name, der, uri, life_s);
    }
    let intermediate = Parsed::read(&chain[1]).ok().expect("X.509");
    let constraints = intermediate.cert.basic_constraints().ok().flatten();
    let path_length = constraints.and_then(|found| found.value.path_len_constraint);
    assert_eq!(path_length, Some(0), "no intermediates below");
}

#[test]
fn serial_numbers_differ() {
    let authority = authority();
    let serials = (0..100).map(|_| {
        let signed = authority.issue(&request(), LeafLife::default(), now());
        signed.expect("a good request").serial
    });
    let distinct = serials.collect::<std::collections::HashSet<_>>();
    assert_eq!(distinct.len(), 100, "no serial number twice");
}

#[test]
fn lives_have_bounds() {
    let minutes = |minutes: u64| LeafLife::new(Duration::from_secs(60 * minutes));
    assert!(minutes(9).is_err(), "too short");
    assert!(minutes(10).is_ok(), "the shortest");
    assert!(minutes(90 * 24 * 60).is_ok(), "the longest");
    assert!(minutes(90 * 24 * 60 + 1).is_err(), "too long");
}

#[test]
fn a_leaf_ends_with_its_issuer() {
    let authority = authority();
    let (_, end) = authority.issuer_validity_unix_s();
    let before_end = |seconds: i64| {
        let at = crate::clock::from_unix_s(end - seconds);
        authority.issue(&request(), LeafLife::default(), at)
    };
    let signed = before_end(3600).expect("an hour left");
    assert_eq!(
        signed.not_after_unix_s, end,
        "not a second longer than the issuer"
    );
    let refused = before_end(599).expect_err("less than the shortest life");
    assert_eq!(
        refused.reason(),
        "signer_misconfigured",
        "an operator has to act"
    );
}

#[test]
fn only_workloads_of_the_own_domain() {
    let abroad = id("spiffe://friend.example/ns/shop/sa/web");
    let made = KeyAndRequest::new(&abroad).expect("randomness");
    let request = CheckedRequest::parse(made.der(), &abroad).expect("well-formed");
    let outcome = authority().issue(&request, LeafLife::default(), now());
    assert!(matches!(outcome, Err(SignError::Denied(_))), "{outcome:?}");
}

#[test]
fn stored_and_read_again() {
    let first = authority();
    let again = Authority::import(&domain(OWN), &first.export(), now()).expect("our own export");
    assert_eq!(again.root_der(), first.root_der(), "the root");
    let issuer = leaf_of(&first, WEB).info().issuer.clone();
    assert_eq!(
        issuer,
        first.issuer_fingerprint(),
        "nodes can tell who issued a leaf"
    );
    assert_eq!(
        again.issuer_fingerprint(),
        first.issuer_fingerprint(),
        "the issuer"
    );
    let leaf = leaf_of(&again, WEB);
    assert_eq!(leaf.info().id, id(WEB), "it signs");
    let second = again
        .with_new_issuer(now())
        .expect("the root's key is there");
    assert_eq!(second.root_der(), first.root_der(), "the same root");
    assert_ne!(
        second.issuer_fingerprint(),
        first.issuer_fingerprint(),
        "a new issuer"
    );
    let mut offline = first.export();
    offline.root_key = None;
    let offline = Authority::import(&domain(OWN), &offline, now()).expect("enough to sign");
    assert!(
        offline.with_new_issuer(now()).is_err(),
        "the root's key is elsewhere"
    );
}

#[test]
fn items_by_name() {
    let exported = authority().export();
    let stored = exported
        .items()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect::<std::collections::HashMap<_, _>>();
    assert_eq!(stored.len(), 4, "four items");
    let read = |but: &str| {
        AuthorityPem::from_items(|name| stored.get(name).filter(|_| name != but).cloned())
    };
    let again = read("").and_then(|pem| Authority::import(&domain(OWN), &pem, now()));
    assert!(again.is_ok(), "what was stored is read: {again:?}");
    let offline = read("root.key").expect("the root's key may be elsewhere");
    assert!(offline.root_key.is_none(), "no key of the root");
    for name in ["root.crt", "issuer.crt", "issuer.key"] {
        let refused = read(name).map(|_| ());
        assert!(
            matches!(refused, Err(ImportError::Missing(missing)) if missing == name),
            "without {name}: {refused:?}"
        );
    }
}

/// What an operator brings: a root and an issuer.
fn brought(root: &Ca, issuer: &Ca) -> AuthorityPem {
    AuthorityPem {
        root_cert: encode_certificates([root.der.as_ref()]),
        root_key: None,
        issuer_chain: encode_certificates([issuer.der.as_ref()]),
        issuer_key: SecretPem::new(issuer.key().serialize_pem()),
    }
}

#[test]
fn authorities_that_operators_bring() {
    let root = Ca::root(OWN);
    let issuer = root.issuer();
    let import = |pem: &AuthorityPem| Authority::import(&domain(OWN), pem, now());
    let two_levels = import(&brought(&root, &issuer)).expect("root and intermediate");
    assert_eq!(
        leaf_of(&two_levels, WEB).chain_der().count(),
        2,
        "leaf and issuer"
    );
    let flat = import(&brought(&root, &root)).expect("the root itself issues");
    let leaf = leaf_of(&flat, WEB);
    assert_eq!(leaf.chain_der().count(), 1, "only the leaf");
    assert_eq!(
        leaf.info().issuer,
        flat.issuer_fingerprint(),
        "nodes can tell who issued it"
    );
    let mut whole = brought(&root, &issuer);
    whole.issuer_chain.push_str(&whole.root_cert);
    let whole = import(&whole).expect("the root at the end of the chain");
    assert_eq!(
        leaf_of(&whole, WEB).chain_der().count(),
        2,
        "the root is not sent"
    );
    assert!(
        !bundles_of(&whole)
            .get(&domain(OWN))
            .expect("own")
            .is_empty(),
        "trusted"
    );
}

#[track_caller]
fn check(name: &str, pem: &AuthorityPem, expected: impl FnOnce(&ImportError) -> bool) {
    match Authority::import(&domain(OWN), pem, now()) {
        Ok(_) => panic!("{name}: imported"),
        Err(error) => assert!(expected(&error), "{name}: {error}"),
    }
}

#[test]
fn authorities_that_are_refused() {
    let root = Ca::root(OWN);
    let issuer = root.issuer();
    let with = |change: &dyn Fn(&mut AuthorityPem)| {
        let mut pem = brought(&root, &issuer);
        change(&mut pem);
        pem
    };
    let key = |pem: &str| SecretPem::new(pem.to_owned());
    let other = KeyPair::generate().expect("randomness").serialize_pem();
    check(
        "no PEM",
        &with(&|pem| pem.issuer_chain = "?".to_owned()),
        |error| matches!(error, ImportError::Pem("issuer.crt")),
    );
    check(
        "two roots",
        &with(&|pem| pem.root_cert = pem.root_cert.repeat(2)),
        |error| matches!(error, ImportError::SeveralRoots(2)),
    );
    check(
        "another key",
        &with(&|pem| pem.issuer_key = key(&other)),
        |error| matches!(error, ImportError::KeyMismatch("issuer.key")),
    );
    check(
        "another root key",
        &with(&|pem| pem.root_key = Some(key(&other))),
        |error| matches!(error, ImportError::KeyMismatch("root.key")),
    );
    check("no key", &with(&|pem| pem.issuer_key = key("?")), |error| {
        matches!(error, ImportError::Key("issuer.key"))
    });
    let rsa = include_str!("../../testdata/rsa2048.key");
    check(
        "an RSA key",
        &with(&|pem| pem.issuer_key = key(rsa)),
        |error| matches!(error, ImportError::KeyKind("issuer.key")),
    );
    let stranger = Ca::root(OWN);
    check(
        "a chain to another root",
        &brought(&stranger, &issuer),
        |error| matches!(error, ImportError::Trial(_)),
    );
    let no_ca = Ca::root_with(OWN, |params| params.is_ca = IsCa::NoCa);
    check("a root that is no CA", &brought(&no_ca, &issuer), |error| {
        matches!(error, ImportError::Root(RootError::NotCa))
    });
}

#[test]
fn issuers_that_are_refused() {
    let root = Ca::root(OWN);
    let issuer = |tune: crate::mint::Tune| brought(&root, &root.issuer_with("issuer", tune));
    let ends = issuer(|params| params.not_after = (now() + Duration::from_secs(23 * 3600)).into());
    check("ends within a day", &ends, |error| {
        matches!(error, ImportError::EndsTooSoon { .. })
    });
    let future = issuer(|params| params.not_before = (now() + Duration::from_secs(60)).into());
    check("not yet valid", &future, |error| {
        matches!(error, ImportError::NotYetValid(_))
    });
    let no_ca = issuer(|params| params.is_ca = IsCa::ExplicitNoCa);
    check("no CA", &no_ca, |error| matches!(error, ImportError::NotCa));
    let no_sign = issuer(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    check("no keyCertSign", &no_sign, |error| {
        matches!(error, ImportError::NotCa)
    });
    let shallow = Ca::root_with(OWN, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let middle = shallow.issuer();
    let below = middle.issuer();
    let mut pem = brought(&shallow, &below);
    pem.issuer_chain
        .push_str(&encode_certificates([middle.der.as_ref()]));
    check("deeper than the path length", &pem, |error| {
        matches!(error, ImportError::Trial(_))
    });
}
