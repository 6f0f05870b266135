//! When the node of a pod is told that it is out of the mesh: one row per case.

use super::*;

const START: Duration = Duration::from_secs(100);

/// Pods of node `n1` by name, UID and whether they are members.
fn workloads(pods: &[(&str, &str, bool)]) -> Arc<Workloads> {
    let pod = |(name, uid, is_member): &(&str, &str, bool)| {
        let pod = Workload {
            name: Name::new("shop", *name),
            uid: Arc::from(*uid),
            node: "n1".into(),
            service_account: "web".into(),
            addresses: Vec::new(),
            is_member: *is_member,
            is_leaving: false,
            is_permissive: false,
            probe_ports: Vec::new(),
            exclude_inbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            exclude_outbound_cidrs: Vec::new(),
            opaque_ports: Vec::new(),
            drain_seconds: None,
        };
        (pod.name.clone(), Arc::new(pod))
    };
    let pods: NodeWorkloads = pods.iter().map(pod).collect();
    Arc::new(Workloads::from([("n1".into(), Arc::new(pods))]))
}

/// One thing that happens.
enum Step {
    /// Translation gives these pods, and this configuration holds what came of it.
    Pods(&'static [(&'static str, &'static str, bool)], u64),
    /// So many seconds after the start these are the UIDs of pods that no proxy reaches.
    Heard(u64, &'static [&'static str]),
}

use Step::{Heard, Pods};

const IN: &[(&str, &str, bool)] = &[("web", "u1", true)];
const OUT: &[(&str, &str, bool)] = &[("web", "u1", false)];
const NOBODY: &[&str] = &[];

fn uids(uids: &[&str]) -> BTreeSet<Arc<str>> {
    uids.iter().copied().map(Arc::from).collect()
}

/// Names, steps, and what the pod is for its node after each: one that leaves is a member that takes
/// plaintext.
const ROWS: &[(&str, &[(Step, &str)])] = &[
    (
        "a member stays one",
        &[(Pods(IN, 1), "member"), (Heard(9, NOBODY), "member")],
    ),
    ("a stranger is never asked about", &[(Pods(OUT, 1), "out")]),
    (
        "everybody has taken it",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(0, NOBODY), "leaving"),
            (Heard(1, &["u1"]), "out"),
        ],
    ),
    (
        "everybody has taken what is said of another pod",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(1, &["u2"]), "leaving"),
        ],
    ),
    (
        "somebody lags, or nobody knows who",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(4, NOBODY), "leaving"),
            (Heard(5, NOBODY), "out"),
        ],
    ),
    (
        "a later configuration does not begin the time anew",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (
                Pods(&[("web", "u1", false), ("new", "u2", true)], 3),
                "leaving",
            ),
            (Heard(5, NOBODY), "out"),
        ],
    ),
    (
        "it comes back in time",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Pods(IN, 3), "member"),
            (Heard(1, &["u1"]), "member"),
            (Pods(OUT, 4), "leaving"),
            (Heard(4, NOBODY), "leaving"),
            (Heard(5, NOBODY), "out"),
        ],
    ),
    (
        "it comes back when it has just left, and leaves again",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(1, &["u1"]), "out"),
            (Pods(IN, 3), "member"),
            (Pods(OUT, 4), "leaving"),
            (Heard(2, NOBODY), "leaving"),
            (Heard(3, &["u1"]), "out"),
        ],
    ),
    (
        "another pod of the name is out from the beginning",
        &[
            (Pods(IN, 1), "member"),
            (Pods(&[("web", "u2", false)], 2), "out"),
        ],
    ),
    (
        "it is gone altogether",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Pods(&[], 3), "gone"),
        ],
    ),
    (
        "once out it is out",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(1, &["u1"]), "out"),
            (Heard(2, NOBODY), "out"),
            (Pods(&[("web", "u1", false), ("new", "u2", true)], 3), "out"),
        ],
    ),
];

#[test]
fn a_node_hears_last_that_a_pod_is_out() {
    for (name, steps) in ROWS {
        let mut leaving = Leaving::default();
        for (at, (step, expected)) in steps.iter().enumerate() {
            match step {
                Pods(pods, configuration) => {
                    leaving.take(&workloads(pods));
                    leaving.begin(*configuration, START);
                }
                Heard(seconds, departed) => {
                    let now = START + Duration::from_secs(*seconds);
                    leaving.release(&uids(departed), now);
                }
            }
            let pod = leaving.told()["n1"].get(&Name::new("shop", "web"));
            let seen = match pod {
                None => "gone",
                Some(pod) if pod.is_member && pod.is_permissive => "leaving",
                Some(pod) if pod.is_member => "member",
                Some(_) => "out",
            };
            assert_eq!(seen, *expected, "{name}, step {}", at + 1);
        }
    }
}

#[test]
fn lists_without_a_pod_that_leaves_are_those_that_were_translated() {
    let mut leaving = Leaving::default();
    let (before, after) = (workloads(IN), workloads(OUT));
    leaving.take(&before);
    assert!(Arc::ptr_eq(leaving.told(), &before));
    leaving.take(&after);
    let told = Arc::clone(leaving.told());
    leaving.take(&workloads(OUT));
    assert!(
        Arc::ptr_eq(leaving.told(), &told),
        "nothing else is to be told"
    );
    assert_eq!(leaving.due_at(), None, "no configuration holds it yet");
    assert!(leaving.departing().is_empty(), "nor is it asked about");
    leaving.begin(1, START);
    assert_eq!(leaving.due_at(), Some(START + PATIENCE));
    let departing = BTreeMap::from([(Arc::from("u1"), 1)]);
    assert_eq!(leaving.departing(), departing);
    let now = START + Duration::from_secs(1);
    assert!(leaving.release(&uids(&["u1"]), now));
    assert!(!leaving.release(&uids(&["u1"]), now), "once");
    assert_eq!(leaving.told(), &after);
    assert_eq!(
        leaving.departing(),
        departing,
        "others may have to hear of it"
    );
    assert_eq!(leaving.due_at(), Some(now + PATIENCE));
    assert!(!leaving.release(&uids(&[]), now + PATIENCE));
    assert!(leaving.departing().is_empty(), "forgotten");
    assert_eq!(leaving.due_at(), None);
}
