//! From phase to phase of a rotation, as it is stored.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use weft_api::{AnyObject, Secret};
use weft_certs::{Authority, Clock, NodeReport, StepInput};
use weft_spiffe::TrustDomain;

use super::stored::{Plan, Stored, secret};
use super::{ObjectRef, place};

fn domain() -> TrustDomain {
    TrustDomain::parse("cluster.local").expect("a trust domain")
}

/// The Secret as an API server keeps it.
struct Server {
    object: Value,
    now: SystemTime,
}

impl Server {
    fn new() -> Self {
        let now = Clock::system().now();
        let made = Authority::generate(&domain(), now).expect("an authority");
        let place: ObjectRef = place("weft-system");
        let object = secret(&place, &made).to_value().expect("JSON");
        Self { object, now }
    }

    fn annotate(&mut self, name: &str, value: &str) {
        self.object["metadata"]["annotations"] = json!({ name: value });
    }

    fn stored(&self) -> Stored {
        let object = AnyObject::parse(self.object.clone()).expect("a Secret");
        let AnyObject::Secret(secret) = object else {
            panic!("a Secret");
        };
        let secret: &Secret = &secret;
        Stored::of(secret, &domain(), self.now).expect("a usable authority")
    }

    /// One look of the leader; who is waited for.
    fn look(&mut self, reports: &[NodeReport]) -> Vec<String> {
        let now = self.now;
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let input = StepInput {
            now_unix_s: i64::try_from(since.expect("a time").as_secs()).expect("a time"),
            reports,
            max_leaf_life_s: 3600,
            forced: false,
        };
        let stored = self.stored();
        match stored.plan(&input, &domain(), now).expect("a plan") {
            Plan::Wait(laggards) => laggards.into_iter().map(|it| it.node).collect(),
            Plan::Write(next, _passed_over) => {
                merge(&mut self.object, &next.patch(&domain(), now));
                Vec::new()
            }
        }
    }

    /// Phase, version of the roots, how many are trusted, and the names of the items.
    fn is(&self) -> (u8, u64, usize) {
        let stored = self.stored();
        let issuers = stored.issuers();
        let roots = 1 + issuers.also_trusted.len();
        (stored.rotation.phase(), issuers.bundle_version, roots)
    }

    fn signs(&self) -> (String, String) {
        let signing = self.stored().issuers().signing;
        (signing.root_fingerprint(), signing.issuer_fingerprint())
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    target.remove(name);
                } else {
                    merge(target.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn proxy(bundle_version: u64, old_leaves: usize) -> [NodeReport; 1] {
    [NodeReport {
        node: "proxy".to_owned(),
        bundle_version,
        old_leaves,
    }]
}

#[test]
fn a_root_is_replaced_step_by_step() {
    let mut server = Server::new();
    let (old_root, old_issuer) = server.signs();
    server.look(&proxy(1, 0));
    assert_eq!(server.is(), (0, 1, 1), "nothing to do");

    server.annotate("weft.dev/rotate", "root");
    server.look(&proxy(1, 0));
    assert_eq!(server.is(), (1, 2, 2), "both are trusted");
    assert_eq!(server.signs(), (old_root.clone(), old_issuer.clone()));
    let phase = |server: &Server| server.object["metadata"]["annotations"].clone();
    let said = json!({ "weft.dev/rotation-phase": "distribute" });
    assert_eq!(phase(&server), said, "the order is taken off");
    assert_eq!(server.look(&proxy(1, 1)), ["proxy"], "it lags");
    assert_eq!(server.is(), (1, 2, 2), "so nothing happens");

    server.look(&proxy(2, 1));
    assert_eq!(
        server.is(),
        (2, 2, 2),
        "both are trusted, the new one signs"
    );
    let (new_root, new_issuer) = server.signs();
    assert_ne!((&new_root, &new_issuer), (&old_root, &old_issuer));
    assert_eq!(server.look(&proxy(2, 1)), ["proxy"], "an old leaf");

    server.look(&proxy(2, 0));
    assert_eq!(server.is(), (3, 3, 1), "the old one is taken back");
    server.look(&proxy(3, 0));
    assert_eq!(server.is(), (0, 3, 1), "done");
    assert_eq!(phase(&server), json!({}), "and nothing is said any more");
    assert_eq!(server.signs(), (new_root, new_issuer));
    let data = server.object["data"].as_object().expect("items");
    let items: Vec<_> = data.keys().map(String::as_str).collect();
    let expected = [
        "issuer.crt",
        "issuer.key",
        "root.crt",
        "root.key",
        "rotation.json",
    ];
    assert_eq!(items, expected, "nothing is left of the old one");
}

#[test]
fn an_issuer_is_replaced_when_half_of_its_life_is_over() {
    let mut server = Server::new();
    let (root, issuer) = server.signs();
    let day = Duration::from_secs(24 * 3600);
    server.now += day * 182;
    server.look(&proxy(1, 0));
    assert_eq!(server.is(), (0, 1, 1), "not yet");
    server.now += day;
    server.look(&proxy(1, 0));
    assert_eq!(server.is(), (2, 1, 1), "the same root, so it signs at once");
    let (same, other) = server.signs();
    assert_eq!(same, root);
    assert_ne!(other, issuer);
    server.look(&proxy(1, 0));
    assert_eq!(server.is(), (0, 1, 1));
}

#[test]
fn an_operator_can_force_a_step() {
    let mut server = Server::new();
    server.annotate("weft.dev/rotate", "root");
    server.look(&proxy(1, 1));
    assert_eq!(server.look(&proxy(1, 1)), ["proxy"]);
    server.annotate("weft.dev/rotation-step", "force");
    server.look(&proxy(1, 1));
    assert_eq!(server.is().0, 2, "one step");
    assert_eq!(server.look(&proxy(1, 1)), ["proxy"], "and not two");
}

#[test]
fn another_authority_in_its_place_is_seen() {
    let mut server = Server::new();
    server.annotate("weft.dev/rotate", "issuer");
    server.look(&proxy(1, 0));
    assert!(!server.stored().is_replaced, "that is a rotation");
    let other = Server::new().object["data"].clone();
    merge(&mut server.object["data"], &other);
    assert!(server.stored().is_replaced);
    assert_eq!(server.is(), (0, 2, 1), "who starts now goes by it");
}
