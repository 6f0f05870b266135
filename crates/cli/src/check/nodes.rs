//! WC109, WC4xx: whether every node has its part of the mesh and a kernel that can do it, and every pod of the
//! mesh is captured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    codes::{CAPTURED, CHAIN, KERNEL, NODES, RESTARTS, SUPERVISOR},
    control_plane::{has_mesh, why_not_ready},
    picture::{Mesh, Picture},
    report::Report,
};
use crate::{
    cluster::{name, text},
    findings::counted,
    namespace::{PodStanding, Standing, State},
};

/// So many of a list are named.
const NAMED: usize = 3;
/// Containers of the proxy of a node.
const SUPERVISES: &str = "node";
const INSTALLS: &str = "cni";
/// What nodes say of a pod that their kernel would not let them capture, and after it which parts that takes.
pub(super) const KERNEL_NEEDS: &str = "the kernel needs ";
/// How kernels say that they lack a part: ENOENT of an expression, of a kind of chain or of `tcp_diag`; EINVAL
/// and EOPNOTSUPP of a subsystem; EPROTONOSUPPORT of netlink of a kind; EAFNOSUPPORT of a family. Of anything
/// else, such as a right of the proxy, a kernel is innocent.
const LACKS: &[&str] = &[
    "(os error 2)",
    "(os error 22)",
    "(os error 93)",
    "(os error 95)",
    "(os error 97)",
];

/// The mesh, where the control plane serves the proxies of nodes.
fn mesh_of(picture: &Picture) -> Option<&Mesh> {
    let deployment = picture.control_plane.as_ref()?.deployment.as_ref();
    has_mesh(deployment.ok()?.as_ref()?).then_some(picture.mesh.as_ref()?)
}

/// Whether kernels can do what capture needs. Only pods show that: a kernel may load a part when it is asked
/// for the first time, and another one is needed only where connections live.
pub(super) fn kernels(picture: &Picture, report: &mut Report) {
    let standings = match mesh_of(picture).map(Mesh::standings) {
        None => return,
        Some(Err(error)) => return report.skip(&KERNEL, error),
        Some(Ok(standings)) => standings,
    };
    let mut able = BTreeSet::new();
    let mut lacking = BTreeMap::new();
    for pod in standings.iter().flat_map(|standing| &standing.pods) {
        let node = pod.node.as_str();
        match pod.state {
            State::Captured => {
                able.insert(node);
            }
            State::Error if is_of_kernel(&pod.reason) => {
                lacking.entry(node).or_insert(pod.reason.as_str());
            }
            _ => {}
        }
    }
    let lacking: Vec<String> = lacking
        .iter()
        .map(|(node, why)| format!("node {node}: {why}"))
        .collect();
    match (lacking.is_empty(), able.len()) {
        (false, _) => report.bad(&KERNEL, some(&lacking)),
        (true, 0) => report.skip(&KERNEL, "no pod of the mesh has been captured yet"),
        (true, nodes) => report.good(
            &KERNEL,
            format_args!("{} with captured pods", counted(nodes, "node")),
        ),
    }
}

fn is_of_kernel(why: &str) -> bool {
    why.contains(KERNEL_NEEDS) && LACKS.iter().any(|it| why.contains(it))
}

/// WC4xx, where the control plane serves the proxies of nodes.
pub(super) fn judge(picture: &Picture, report: &mut Report) {
    let Some(mesh) = mesh_of(picture) else {
        return;
    };
    everywhere(picture, mesh, report);
    match &mesh.proxies {
        Ok(proxies) => {
            containers(proxies, report);
            restarts(proxies, report);
        }
        Err(error) => {
            for code in [&CHAIN, &SUPERVISOR, &RESTARTS] {
                report.skip(code, error);
            }
        }
    }
    captured(mesh, report);
}

fn number(object: &Value, path: &str) -> u64 {
    object.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn everywhere(picture: &Picture, mesh: &Mesh, report: &mut Report) {
    let set = match &mesh.daemon_set {
        Ok(Some(set)) => set,
        Ok(None) => {
            let namespace = &picture.namespace;
            return report.bad(
                &NODES,
                format_args!("there is no DaemonSet {namespace}/weft-node"),
            );
        }
        Err(error) => return report.skip(&NODES, error),
    };
    let wanted = number(set, "/status/desiredNumberScheduled");
    let ready = number(set, "/status/numberReady");
    let updated = number(set, "/status/updatedNumberScheduled");
    let saw = format!("{ready} of {wanted} ready, {updated} of the newest version");
    match (wanted, ready.min(updated)) {
        (0, _) => report.bad(&NODES, "no node is selected"),
        (_, least) if least >= wanted => report.good(&NODES, saw),
        (_, _) if ready > 0 => report.partial(&NODES, saw),
        (_, _) => report.bad(&NODES, saw),
    }
}

/// What keeps each of the two containers from doing its work, on any node.
fn containers(proxies: &[Value], report: &mut Report) {
    for (code, container) in [(&CHAIN, INSTALLS), (&SUPERVISOR, SUPERVISES)] {
        let broken = proxies.iter().filter_map(|pod| why_not(pod, container));
        let broken: Vec<String> = broken.collect();
        if broken.is_empty() {
            report.good(code, format_args!("on {}", counted(proxies.len(), "node")));
        } else {
            report.bad(code, some(&broken));
        }
    }
}

/// Why a container of a pod is not ready, with what it said last; `None` when it is.
fn why_not(pod: &Value, container: &str) -> Option<String> {
    let status = status_of(pod, container);
    if status.is_some_and(|it| it.pointer("/ready") == Some(&Value::Bool(true))) {
        return None;
    }
    let node = text(pod, "/spec/nodeName");
    let last = status.map_or("", |it| text(it, "/lastState/terminated/message"));
    let why = if last.is_empty() {
        why_not_ready(pod).unwrap_or_else(|| format!("pod {}", name(pod)))
    } else {
        last.trim().to_owned()
    };
    Some(format!("node {node}: {why}"))
}

fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let statuses = pod.pointer("/status/containerStatuses")?.as_array()?;
    statuses.iter().find(|it| text(it, "/name") == container)
}

fn restarts(proxies: &[Value], report: &mut Report) {
    let restarted = proxies.iter().filter_map(|pod| {
        let status = status_of(pod, SUPERVISES)?;
        let times = number(status, "/restartCount");
        let why = text(status, "/lastState/terminated/reason");
        let node = text(pod, "/spec/nodeName");
        (times > 0).then(|| format!("node {node}: {times} times, last {why}"))
    });
    let restarted: Vec<String> = restarted.collect();
    if restarted.is_empty() {
        report.good(&RESTARTS, "none");
    } else {
        report.bad(&RESTARTS, some(&restarted));
    }
}

fn captured(mesh: &Mesh, report: &mut Report) {
    let standings = match mesh.standings() {
        Ok(standings) => standings,
        Err(error) => return report.skip(&CAPTURED, error),
    };
    let is_member = |pod: &PodStanding| pod.state != State::Outside;
    let pods = standings.iter().flat_map(|standing: &Standing| {
        let namespace = &standing.namespace;
        let pods = standing.pods.iter().filter(|pod| is_member(pod));
        pods.map(move |pod| (namespace, pod))
    });
    let (there, behind): (Vec<_>, Vec<_>) = pods.partition(|(_, pod)| pod.state == State::Captured);
    let broken = behind.iter().any(|(_, pod)| pod.state == State::Error);
    let behind: Vec<String> = behind
        .iter()
        .map(|(namespace, pod)| {
            let state = pod.state.as_str();
            format!("{namespace}/{} {state} {}", pod.name, pod.reason)
        })
        .collect();
    match (behind.is_empty(), broken) {
        (true, _) => report.good(&CAPTURED, counted(there.len(), "pod")),
        // A moment after its start a pod is on its way.
        (false, false) => report.partial(&CAPTURED, some(&behind)),
        (false, true) => report.bad(&CAPTURED, some(&behind)),
    }
}

/// The first of them, and how many there are.
fn some(all: &[String]) -> String {
    let named = all.iter().take(NAMED).map(|it| it.trim());
    let named = named.collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}
