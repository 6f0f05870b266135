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
    /// Those of a list of CIDRs.
    fn of(object: &Value, path: &str) -> Self {
        let mut families = Self::default();
        let all = object.pointer(path).and_then(Value::as_array);
        for cidr in all.into_iter().flatten().filter_map(Value::as_str) {
            match cidr.contains(':') {
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
    let (nodes, cidrs) = match (
        &picture.surroundings.nodes,
        &picture.surroundings.service_cidrs,
    ) {
        (Ok(nodes), Ok(cidrs)) => (nodes, cidrs),
        (Err(error), _) | (_, Err(error)) => return report.skip(&FAMILIES, error),
    };
    let of_nodes = nodes
        .iter()
        .map(|node| (name(node), Families::of(node, "/spec/podCIDRs")));
    let of_nodes: Vec<_> = of_nodes.filter(|(_, it)| !it.is_empty()).collect();
    let of_services = cidrs.iter().map(|it| Families::of(it, "/spec/cidrs"));
    let of_services = of_services.fold(Families::default(), |all, one| Families {
        v4: all.v4 || one.v4,
        v6: all.v6 || one.v6,
    });
    let Some((first, of_pods)) = of_nodes.first() else {
        // Some networks give addresses to pods by themselves.
        return report.skip(&FAMILIES, "no node says which addresses its pods get");
    };
    if let Some((other, differs)) = of_nodes.iter().find(|(_, it)| it != of_pods) {
        let saw = format!("pods of node {first} have {of_pods}, of node {other} {differs}");
        return report.bad(&FAMILIES, saw);
    }
    if of_services.is_empty() {
        return report.skip(&FAMILIES, "the cluster says of no range of its Services");
    }
    if of_services == *of_pods {
        report.good(&FAMILIES, of_pods);
    } else {
        let saw = format!("Services have {of_services}, pods {of_pods}");
        report.bad(&FAMILIES, saw);
    }
}
