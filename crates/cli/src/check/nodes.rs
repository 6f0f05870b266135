//! WC4xx: whether every node has its part of the mesh, and every pod of the mesh is captured.

use serde_json::Value;

use super::{
    codes::{CAPTURED, CHAIN, NODES, RESTARTS, SUPERVISOR},
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

/// All of them, where the control plane serves the proxies of nodes.
pub(super) fn judge(picture: &Picture, report: &mut Report) {
    let control_plane = picture.control_plane.as_ref();
    let deployment = control_plane.and_then(|it| it.deployment.as_ref().ok()?.as_ref());
    let (Some(mesh), true) = (&picture.mesh, deployment.is_some_and(has_mesh)) else {
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
