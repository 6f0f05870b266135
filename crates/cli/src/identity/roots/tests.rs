//! Roots and rotations by what is published and annotated.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use weft_certs::{Authority as Ca, TrustBundle};
use weft_spiffe::TrustDomain;

use super::{Authority, DAY_S, Rotation};
use crate::exit::Exit;

/// When the roots of these tests are made.
fn made() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A ConfigMap with as many roots.
fn config_map(roots: &[&Ca]) -> Value {
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    let ders = roots.iter().map(|root| root.root_der().to_vec());
    let (bundle, refused) = TrustBundle::from_der(&domain, ders, made());
    assert!(refused.is_empty(), "{refused:?}");
    json!({ "data": { "root.pem": bundle.to_pem() } })
}

fn ca() -> Ca {
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    Ca::generate(&domain, made()).expect("an authority")
}

/// The verdict so many days after the root was made.
fn verdict(days: i64) -> (i64, Exit) {
    let published = BTreeMap::from([("shop".to_owned(), config_map(&[&ca()]))]);
    let seconds = u64::try_from(days * DAY_S).expect("not before");
    let now = made() + Duration::from_secs(seconds);
    let authority = Authority::of(&published, Rotation::None, now).expect("roots");
    (authority.roots[0].days_left, authority.verdict())
}

#[test]
fn a_root_says_how_long_it_lasts() {
    let rows = [
        (0, (3650, Exit::Good)),
        (3590, (60, Exit::Good)),
        (3591, (59, Exit::Warnings)),
        (3651, (-1, Exit::Errors)),
    ];
    for (days, expected) in rows {
        assert_eq!(verdict(days), expected, "after {days} days");
    }
}

#[test]
fn namespaces_that_lack_a_root_are_told() {
    let (old, new) = (ca(), ca());
    let published = BTreeMap::from([
        ("pay".to_owned(), config_map(&[&old])),
        ("shop".to_owned(), config_map(&[&old, &new])),
    ]);
    let authority = Authority::of(&published, Rotation::None, made()).expect("roots");
    assert_eq!(authority.trust_domain.as_deref(), Some("cluster.local"));
    let lacking: Vec<_> = authority.roots.iter().map(|root| &root.lacking).collect();
    assert_eq!(lacking, [&Vec::<String>::new(), &vec!["pay".to_owned()]]);
    let text = authority.text();
    for part in ["2 of 2 namespaces", "1 of 2 namespaces", "none under way"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(text.contains(&new.root_fingerprint()), "{text}");
}

#[test]
fn what_is_published_and_no_root_is_refused_by_its_place() {
    let rows: [(&str, BTreeMap<String, Value>, &str); 2] = [
        ("nothing", BTreeMap::new(), "no root is published"),
        (
            "damage",
            BTreeMap::from([(
                "shop".to_owned(),
                json!({ "data": { "root.pem": "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n" } }),
            )]),
            "ConfigMap shop/weft-root",
        ),
    ];
    for (name, published, part) in rows {
        let refused = Authority::of(&published, Rotation::None, made());
        let why = refused.expect_err(name).to_string();
        assert!(why.contains(part), "{name}: {why}");
    }
}

#[test]
fn a_rotation_is_read_off_the_annotations() {
    let rows: [(Value, &str); 6] = [
        (Value::Null, "none under way"),
        (json!({}), "none under way"),
        (
            json!({ "weft.dev/rotate": "root" }),
            "asked for: another root",
        ),
        (
            json!({ "weft.dev/rotation-phase": "distribute" }),
            "distribute (1 of 3)",
        ),
        (
            json!({ "weft.dev/rotation-phase": "activate",
                    "weft.dev/rotation-status": "phase 2 waits for node n1" }),
            "renewed; phase 2 waits for node n1",
        ),
        (
            json!({ "weft.dev/rotation-phase": "retire", "weft.dev/rotation-step": "force" }),
            "the next step is ordered",
        ),
    ];
    for (annotations, part) in rows {
        let secret = json!({ "metadata": { "annotations": annotations } });
        let words = Rotation::of(&secret).words();
        assert!(words.contains(part), "{secret}: {words}");
    }
}
