//! WC111, WC112, WC115: what a cluster has beside Weft that gets in its way: other meshes, load balancing
//! that happens before a packet is sent, address families that do not fit.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::{
    codes::{FAMILIES, OTHER_MESH, SOCKET_LB},
    picture::Picture,
    report::Report,
};
use crate::{
    cluster::{name, text},
    findings::counted,
};

/// By which labels and annotations other meshes take namespaces: a value of `""` is any.
const MARKS: &[(&str, &str, &str)] = &[
    ("Istio", "istio-injection", "enabled"),
    ("Istio", "istio.io/rev", ""),
    ("Istio", "istio.io/dataplane-mode", "ambient"),
    ("Linkerd", "linkerd.io/inject", "enabled"),
    ("Linkerd", "linkerd.io/inject", "ingress"),
    ("Kuma", "kuma.io/sidecar-injection", "enabled"),
    ("Kuma", "kuma.io/sidecar-injection", "true"),
];
/// The label by which a namespace is in the mesh of Weft.
const OWN_MARK: (&str, &str) = ("weft.dev/mesh", "enabled");
/// So many of a list are named.
const NAMED: usize = 3;

/// All of them.
pub(super) fn judge(picture: &Picture, report: &mut Report) {
    sockets(picture, report);
    meshes(picture, report);
    families(picture, report);
}

/// Cilium can turn the ClusterIP a pod connects to into an endpoint before there is a packet, so that
/// nobody on the way sees which Service was meant. Gateways do not look at ClusterIPs.
fn sockets(picture: &Picture, report: &mut Report) {
    let settings = match &picture.surroundings.cilium {
        Ok(Some(settings)) => settings,
        Ok(None) => return report.good(&SOCKET_LB, "no Cilium, which is who does it"),
        Err(error) => return report.skip(&SOCKET_LB, error),
    };
    let set = |key: &str| settings.get("data").map_or("", |data| member(data, key));
    let replaces = matches!(set("kube-proxy-replacement"), "true" | "strict");
    let is_on = match set("bpf-lb-sock") {
        "" => replaces,
        set => set == "true",
    };
    if is_on && set("bpf-lb-sock-hostns-only") != "true" {
        let saw = "Cilium does it for pods: harmless for Gateways, in the way of a mesh";
        report.bad(&SOCKET_LB, saw);
    } else {
        report.good(&SOCKET_LB, "Cilium leaves pods alone");
    }
}

/// Namespaces of the mesh of Weft, of its control plane and of its Gateways.
fn meshes(picture: &Picture, report: &mut Report) {
    let namespaces = match &picture.surroundings.namespaces {
        Ok(namespaces) => namespaces,
        Err(error) => return report.skip(&OTHER_MESH, error),
    };
    let gateways = picture.gateways.iter().flatten();
    let mut own: BTreeSet<&str> = gateways
        .map(|gateway| text(gateway, "/metadata/namespace"))
        .collect();
    own.insert(&picture.namespace);
    let is_own = |namespace: &&Value| {
        own.contains(text(namespace, "/metadata/name")) || mark(namespace, OWN_MARK.0) == OWN_MARK.1
    };
    let ours: Vec<&Value> = namespaces.iter().filter(is_own).collect();
    let shared: Vec<String> = ours.iter().filter_map(|it| other_mesh(it)).collect();
    if shared.is_empty() {
        let count = counted(ours.len(), "namespace");
        return report.good(&OTHER_MESH, format_args!("none in {count}"));
    }
    let named = shared.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let count = counted(shared.len(), "namespace");
    report.bad(&OTHER_MESH, format_args!("{count}: {}", named.join(", ")));
}

/// `shop is of Istio (istio-injection=enabled)`
fn other_mesh(namespace: &Value) -> Option<String> {
    let (mesh, key, value) = MARKS.iter().find_map(|(mesh, key, wanted)| {
        let value = mark(namespace, key);
        let is_set = !value.is_empty() && (wanted.is_empty() || value == *wanted);
        is_set.then_some((mesh, key, value))
    })?;
    let name = name(namespace);
    Some(format!("{name} is of {mesh} ({key}={value})"))
}

/// The value of a label or annotation; empty when there is none.
fn mark<'a>(object: &'a Value, key: &str) -> &'a str {
    let of = |field: &str| {
        let all = object.pointer(field)?;
        Some(member(all, key)).filter(|value| !value.is_empty())
    };
    of("/metadata/labels")
        .or_else(|| of("/metadata/annotations"))
        .unwrap_or_default()
}

fn member<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Which addresses something has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    /// Those of addresses or ranges.
    fn of<'a>(addresses: impl Iterator<Item = &'a str>) -> Self {
        let mut families = Self::default();
        for address in addresses {
            match address.contains(':') {
                true => families.v6 = true,
                false => families.v4 = true,
            }
        }
        families
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.v4, self.v6) {
            (true, true) => "IPv4 and IPv6",
            (true, false) => "IPv4",
            (false, true) => "IPv6",
            (false, false) => "none",
        })
    }
}

fn families(picture: &Picture, report: &mut Report) {
    let seen = &picture.surroundings;
    let (nodes, cidrs) = match (&seen.nodes, &seen.service_cidrs) {
        (Ok(nodes), Ok(cidrs)) => (nodes, cidrs),
        (Err(error), _) | (_, Err(error)) => return report.skip(&FAMILIES, error),
    };
    let of_nodes = nodes.iter().map(of_node);
    let mut known: Vec<_> = of_nodes.filter(|(_, it)| !it.is_empty()).collect();
    if known.is_empty() {
        // The network gives addresses to pods by itself.
        let of_pods = seen.pods.iter().flatten().map(of_pod);
        known.extend(of_pods.filter(|(_, it)| !it.is_empty()));
    }
    let Some((first, of_pods)) = known.first() else {
        return report.skip(
            &FAMILIES,
            "neither a node nor a pod says which addresses pods get",
        );
    };
    if let Some((other, differs)) = known.iter().find(|(_, it)| it != of_pods) {
        let saw = format!("{first} has {of_pods}, {other} {differs}");
        return report.bad(&FAMILIES, saw);
    }
    let ranges = cidrs.iter().flat_map(|it| texts(it, "/spec/cidrs", ""));
    let of_services = Families::of(ranges);
    if of_services.is_empty() {
        report.skip(&FAMILIES, "no range of addresses of Services is known");
    } else if of_services == *of_pods {
        report.good(&FAMILIES, of_pods);
    } else {
        let saw = format!("Services have {of_services}, pods {of_pods}");
        report.bad(&FAMILIES, saw);
    }
}

/// The families that pods of a node get.
fn of_node(node: &Value) -> (String, Families) {
    let ranges = texts(node, "/spec/podCIDRs", "");
    (format!("node {}", name(node)), Families::of(ranges))
}

/// The families of a pod; none of one with the addresses of its node.
fn of_pod(pod: &Value) -> (String, Families) {
    let is_of_node = pod.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
    let addresses = texts(pod, "/status/podIPs", "/ip").filter(|_| !is_of_node);
    (format!("pod {}", name(pod)), Families::of(addresses))
}

/// The texts of a list, or in each of its members.
fn texts<'a>(object: &'a Value, list: &str, member: &'a str) -> impl Iterator<Item = &'a str> {
    let all = object.pointer(list).and_then(Value::as_array);
    let all = all.into_iter().flatten();
    all.filter_map(move |it| it.pointer(member)?.as_str())
}
