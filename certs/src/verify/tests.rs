//! One certificate per rule, each refused for its own reason.

use std::time::Duration;

use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SerialNumber,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::verify;
use crate::mint::{
    Ca, Minted, OID_KEY_USAGE, OID_SAN, OID_UNKNOWN, OWN, Tune, WEB, bundle, dns, extension,
    san_of, trusting, uri,
};
use crate::tests::{NOW_UNIX_S, now};
use crate::{Bundles, PeerError};

const FRIEND: &str = "friend.example";

mod chains;

/// A root, its issuer, and somebody to federate with.
struct World {
    root: Ca,
    issuer: Ca,
    friend: Ca,
    bundles: Bundles,
}

impl World {
    fn new() -> Self {
        let root = Ca::root(OWN);
        let issuer = root.issuer();
        let friend = Ca::root(FRIEND);
        let bundles = trusting(&root).with(bundle(FRIEND, &[&friend.der]), 2);
        Self {
            root,
            issuer,
            friend,
            bundles,
        }
    }

    fn verify(&self, chain: &[&CertificateDer<'static>]) -> Result<String, PeerError> {
        self.verify_at(chain, NOW_UNIX_S)
    }

    fn verify_at(
        &self,
        chain: &[&CertificateDer<'static>],
        unix_s: u64,
    ) -> Result<String, PeerError> {
        let chain = chain.iter().map(|der| (*der).clone()).collect::<Vec<_>>();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(unix_s));
        let peer = verify(&chain[0], &chain[1..], &self.bundles, at)?;
        Ok(peer.id.to_string())
    }

    #[track_caller]
    fn check(&self, name: &str, chain: &[&CertificateDer<'static>], reason: &str) {
        let outcome = self.verify(chain);
        let actual = match &outcome {
            Ok(id) => id.as_str(),
            Err(error) => error.reason(),
        };
        assert_eq!(actual, reason, "{name}: {outcome:?}");
    }

    /// A leaf that is right but for `tune`, with its issuer.
    #[track_caller]
    fn check_leaf(&self, name: &str, tune: Tune, reason: &str) {
        let Minted { der, .. } = self.issuer.leaf_with(WEB, tune);
        self.check(name, &[&der, &self.issuer.der], reason);
    }
}

#[test]
fn members_are_let_in() {
    let world = World::new();
    world.check_leaf("as issued by us", |_| (), WEB);
    world.check_leaf(
        "other names beside the URI, never read",
        |params| params.subject_alt_names.push(dns("web.shop")),
        WEB,
    );
    world.check_leaf(
        "both purposes beside any",
        |params| {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::Any);
        },
        WEB,
    );
    let direct = world.root.leaf(WEB);
    world.check("issued by the root itself", &[&direct.der], WEB);
    let abroad = "spiffe://friend.example/region/eu/web";
    let friend = world.friend.leaf(abroad);
    world.check("a friend with a path of its own", &[&friend.der], abroad);
    let vague = world
        .friend
        .leaf_with(abroad, |params| params.extended_key_usages.clear());
    world.check("a friend without purposes", &[&vague.der], abroad);
}

/// Changes to a good leaf, and why it is refused with them.
const NAMES: &[(&str, Tune, &str)] = &[
    (
        "no SAN",
        |p| p.subject_alt_names.clear(),
        "peer_name_missing",
    ),
    (
        "two URIs",
        |p| {
            p.subject_alt_names
                .push(uri("spiffe://cluster.local/ns/shop/sa/db"))
        },
        "peer_uri_repeated",
    ),
    (
        "an https URI",
        |p| p.subject_alt_names = vec![uri("https://web.shop")],
        "peer_uri_not_spiffe",
    ),
    (
        "only a DNS name",
        |p| p.subject_alt_names = vec![dns("web.shop")],
        "peer_uri_missing",
    ),
    (
        "SAN not critical, subject empty",
        |p| {
            p.subject_alt_names.clear();
            p.custom_extensions = vec![extension(&OID_SAN, false, san_of(WEB))];
        },
        "peer_name_not_critical",
    ),
    (
        "a domain nobody trusts",
        |p| p.subject_alt_names = vec![uri("spiffe://evil.example/ns/shop/sa/web")],
        "peer_domain_unknown",
    ),
    (
        "a federated domain our root does not vouch for",
        |p| p.subject_alt_names = vec![uri("spiffe://friend.example/web")],
        "peer_issuer_foreign",
    ),
    (
        "the ID of the domain",
        |p| p.subject_alt_names = vec![uri("spiffe://cluster.local")],
        "peer_is_trust_domain",
    ),
    (
        "our domain, but no service account",
        |p| p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop")],
        "peer_id_not_workload",
    ),
];

#[test]
fn names_that_are_none() {
    let world = World::new();
    for (name, tune, reason) in NAMES {
        world.check_leaf(name, *tune, reason);
    }
    let direct = world.root.leaf("spiffe://friend.example/web");
    world.check(
        "the same without the issuer in between",
        &[&direct.der],
        "peer_issuer_foreign",
    );
}

/// Changes to a good leaf, and why it is refused with them.
const LEAVES: &[(&str, Tune, &str)] = &[
    (
        "keyCertSign",
        |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign),
        "peer_key_may_sign",
    ),
    (
        "cRLSign",
        |p| p.key_usages.push(KeyUsagePurpose::CrlSign),
        "peer_key_may_sign",
    ),
    (
        "CA:true",
        |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        "peer_is_ca",
    ),
    (
        "no digitalSignature",
        |p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement],
        "peer_digital_signature_missing",
    ),
    (
        "no key usage",
        |p| p.key_usages.clear(),
        "peer_key_usage_missing",
    ),
    (
        "key usage not critical",
        |p| {
            p.key_usages.clear();
            p.custom_extensions = vec![extension(&OID_KEY_USAGE, false, vec![3, 2, 7, 0x80])];
        },
        "peer_key_usage_not_critical",
    ),
    (
        "no purpose",
        |p| p.extended_key_usages.clear(),
        "peer_purpose_missing",
    ),
    (
        "any purpose",
        |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        "peer_purpose_any",
    ),
    (
        "clientAuth only",
        |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        "peer_purpose_incomplete",
    ),
    (
        "expired by a second",
        |p| p.not_after = (now() - Duration::from_secs(1)).into(),
        "peer_expired",
    ),
    (
        "not yet valid",
        |p| p.not_before = (now() + Duration::from_secs(1)).into(),
        "peer_not_yet_valid",
    ),
    (
        "serial 0",
        |p| p.serial_number = Some(SerialNumber::from_slice(&[0])),
        "peer_serial_not_positive",
    ),
    (
        "serial of 21 bytes",
        |p| p.serial_number = Some(SerialNumber::from_slice(&[0x11; 21])),
        "peer_serial_too_long",
    ),
    (
        "name constraints",
        |p| {
            p.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("shop".to_owned())],
                excluded_subtrees: Vec::new(),
            });
        },
        "peer_name_constraints",
    ),
    (
        "unknown critical extension",
        |p| p.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])],
        "peer_critical_extension_unknown",
    ),
];

#[test]
fn leaves_that_workloads_do_not_have() {
    let world = World::new();
    for (name, tune, reason) in LEAVES {
        world.check_leaf(name, *tune, reason);
    }
}

#[test]
fn the_last_second_counts() {
    let world = World::new();
    let leaf = world
        .issuer
        .leaf_with(WEB, |params| params.not_after = now().into());
    world.check(
        "valid in its last second",
        &[&leaf.der, &world.issuer.der],
        WEB,
    );
}

/// Nothing of a chain may be changed without it being refused; a parser that overlooks a byte, or panics
/// at one, shows here.
#[test]
fn every_byte_of_a_chain_counts() {
    let world = World::new();
    let leaf = world.issuer.leaf(WEB).der;
    let issuer = &world.issuer.der;
    for (name, changed) in [("leaf", &leaf), ("issuer", issuer)] {
        for at in 0..changed.len() {
            for flip in [0x01, 0x80] {
                let mut bytes = changed.to_vec();
                bytes[at] ^= flip;
                let other = CertificateDer::from(bytes);
                let chain = match name {
                    "leaf" => [&other, issuer],
                    _ => [&leaf, &other],
                };
                let outcome = world.verify(&chain);
                assert!(
                    outcome.is_err(),
                    "{name}, byte {at} ^ {flip:#x}: {outcome:?}"
                );
            }
        }
    }
}
