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
    /// So many seconds after the start the oldest configuration at a proxy is this.
    Heard(u64, Option<u64>),
}

use Step::{Heard, Pods};

const IN: &[(&str, &str, bool)] = &[("web", "u1", true)];
const OUT: &[(&str, &str, bool)] = &[("web", "u1", false)];

/// Names, steps, and what the pod is for its node after each: one that leaves is a member that takes
/// plaintext.
const ROWS: &[(&str, &[(Step, &str)])] = &[
    (
        "a member stays one",
        &[(Pods(IN, 1), "member"), (Heard(0, Some(1)), "member")],
    ),
    ("a stranger is never asked about", &[(Pods(OUT, 1), "out")]),
    (
        "everybody has taken it",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(0, Some(1)), "leaving"),
            (Heard(1, Some(2)), "out"),
        ],
    ),
    (
        "somebody lags",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(4, Some(1)), "leaving"),
            (Heard(5, Some(1)), "out"),
        ],
    ),
    (
        "nobody knows who lags",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Heard(4, None), "leaving"),
            (Heard(5, None), "out"),
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
            (Heard(1, Some(2)), "out"),
        ],
    ),
    (
        "it comes back in time",
        &[
            (Pods(IN, 1), "member"),
            (Pods(OUT, 2), "leaving"),
            (Pods(IN, 3), "member"),
            (Heard(9, Some(3)), "member"),
            (Pods(OUT, 4), "leaving"),
            (Heard(9, Some(3)), "out"),
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
            (Heard(1, Some(2)), "out"),
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
                Heard(seconds, least) => {
                    leaving.release(*least, START + Duration::from_secs(*seconds));
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
    leaving.begin(1, START);
    assert_eq!(leaving.due_at(), Some(START + PATIENCE));
    assert!(leaving.release(Some(1), START));
    assert!(!leaving.release(Some(1), START), "once");
    assert_eq!(leaving.told(), &after);
}
