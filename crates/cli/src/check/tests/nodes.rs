//! Verdicts on nodes and on the pods of the mesh.

use serde_json::{Value, json};

use super::{
    super::{
        Extent, judge,
        nodes::KERNEL_NEEDS,
        picture::{Mesh, Picture},
        report::Verdict,
    },
    good, namespace,
};

/// The proxy of a node, with what its two containers did last.
fn proxy(is_ready: bool, restarts: u64, said: &str) -> Value {
    let last = json!({ "terminated": { "reason": "Error", "message": said } });
    let status = |name: &str| json!({ "name": name, "ready": is_ready, "restartCount": restarts, "lastState": last });
    json!({
        "metadata": { "name": "weft-node-1", "namespace": "weft-system" },
        "spec": { "nodeName": "n1" },
        "status": { "containerStatuses": [status("node"), status("cni")] },
    })
}

fn pod(captured: Value) -> Value {
    json!({
        "metadata": {
            "name": "web-0", "namespace": "shop", "uid": "u-1",
            "annotations": { "weft.dev/captured": captured, "weft.dev/captured-reason": "because" },
        },
        "spec": { "nodeName": "n1", "containers": [] },
        "status": { "phase": "Running" },
    })
}

/// A cluster with a mesh where all is well.
fn meshed() -> Picture {
    let mut picture = good();
    let control_plane = picture.control_plane.as_mut().expect("it was asked for");
    let deployment = control_plane.deployment.as_mut().expect("it was read");
    let deployment = deployment.as_mut().expect("there is one");
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "WEFT_MESH", "value": "true" }]);
    let status = json!({
        "desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1,
    });
    picture.mesh = Some(Mesh {
        daemon_set: Ok(Some(json!({ "status": status }))),
        proxies: Ok(vec![proxy(true, 0, "")]),
        namespaces: Ok(vec![namespace(
            "shop",
            json!({ "weft.dev/mesh": "enabled" }),
        )]),
        pods: Ok(vec![pod(json!("true"))]),
    });
    picture
}

fn mesh_of(picture: &mut Picture) -> &mut Mesh {
    picture.mesh.as_mut().expect("it was asked for")
}

/// What goes wrong: how, the code that says so, its verdict, and a part of what was seen.
type Row = (fn(&mut Mesh), &'static str, Verdict, &'static str);

const ROWS: &[Row] = &[
    (|_| {}, "WC401", Verdict::Good, "1 of 1 ready"),
    (
        |it| it.daemon_set = Ok(None),
        "WC401",
        Verdict::Error,
        "no DaemonSet weft-system/weft-node",
    ),
    (
        |it| {
            let status = json!({ "desiredNumberScheduled": 2, "numberReady": 1 });
            it.daemon_set = Ok(Some(json!({ "status": status })));
        },
        "WC401",
        Verdict::Warning,
        "1 of 2 ready",
    ),
    (
        |it| it.proxies = Ok(vec![proxy(false, 1, "00-a.conflist sorts before")]),
        "WC402",
        Verdict::Error,
        "node n1: 00-a.conflist sorts before",
    ),
    (
        |it| it.proxies = Ok(vec![proxy(false, 0, "")]),
        "WC404",
        Verdict::Error,
        "node n1: pod weft-node-1",
    ),
    (
        |it| it.proxies = Ok(vec![proxy(true, 3, "")]),
        "WC405",
        Verdict::Warning,
        "node n1: 3 times",
    ),
    (
        |it| it.pods = Ok(vec![pod(json!("error"))]),
        "WC406",
        Verdict::Error,
        "shop/web-0 error because",
    ),
    (
        |it| it.pods = Ok(vec![pod(json!("pending"))]),
        "WC406",
        Verdict::Warning,
        "shop/web-0 pending",
    ),
    (
        |it| it.pods = Err("no right".to_owned()),
        "WC406",
        Verdict::Skipped,
        "no right",
    ),
    (|_| {}, "WC109", Verdict::Good, "1 node with captured pods"),
    (
        |it| it.pods = Ok(vec![refused(NO_RULES)]),
        "WC109",
        Verdict::Error,
        "node n1: packet rules, rule 3: not found (os error 2); the kernel needs nf_tables",
    ),
    (
        |it| it.pods = Ok(vec![pod(json!("true")), refused(NO_TRACKING)]),
        "WC109",
        Verdict::Error,
        "node n1: connections of the pod, listing sockets: not found (os error 2); the kernel needs tcp_diag",
    ),
    (
        // What is wrong with this pod is not the kernel.
        |it| it.pods = Ok(vec![pod(json!("true")), pod(json!("error"))]),
        "WC109",
        Verdict::Good,
        "1 node with",
    ),
    (
        |it| it.pods = Ok(vec![pod(json!("true")), refused(NO_RIGHT)]),
        "WC109",
        Verdict::Good,
        "1 node with",
    ),
    (
        |it| it.pods = Ok(vec![pod(json!("pending"))]),
        "WC109",
        Verdict::Skipped,
        "no pod of the mesh has been captured yet",
    ),
    (
        |it| it.pods = Err("no right".to_owned()),
        "WC109",
        Verdict::Skipped,
        "no right",
    ),
];

/// What nodes say of pods.
const NO_RULES: &str =
    "packet rules, rule 3: not found (os error 2); the kernel needs nf_tables with nat";
const NO_TRACKING: &str = "connections of the pod, listing sockets: not found (os error 2); \
                           the kernel needs tcp_diag and more";
const NO_RIGHT: &str = "packet rules, asking what there is: not permitted (os error 1); \
                        the kernel needs nf_tables with nat";

/// A pod that could not be captured.
fn refused(why: &str) -> Value {
    let mut pod = pod(json!("error"));
    pod["metadata"]["annotations"]["weft.dev/captured-reason"] = json!(why);
    pod
}

#[test]
fn a_kernel_that_lacks_something_is_known_by_what_nodes_say() {
    let said = include_str!("../../../../intercept/src/capture.rs");
    // Told of packet rules, and of connections that live.
    assert_eq!(said.matches(KERNEL_NEEDS).count(), 2);
}

#[test]
fn what_is_wrong_on_a_node_is_named_with_the_node() {
    for (spoil, code, verdict, saw) in ROWS {
        let mut picture = meshed();
        spoil(mesh_of(&mut picture));
        let report = judge(&picture, Extent::All);
        let found = report.checks.iter().find(|it| it.code == *code);
        let found = found.unwrap_or_else(|| panic!("no {code} in {report:?}"));
        assert_eq!(found.verdict, *verdict, "{found:?}");
        assert!(found.saw.contains(*saw), "{saw}: {found:?}");
    }
}

#[test]
fn without_a_mesh_nothing_is_asked_of_nodes() {
    let mut picture = good();
    picture.mesh = meshed().mesh;
    let report = judge(&picture, Extent::All);
    let of_nodes = |code: &str| code.starts_with("WC4") || code == "WC109";
    assert!(!report.checks.iter().any(|it| of_nodes(it.code)));
}
