//! Whom clients meet at the addresses of pods, and which namespaces are of the mesh.

use std::sync::Arc;

use weft_ir::{Namespaces, NodePeers, Peers, Workload, Workloads};

use crate::Input;

/// The members on a node that can be reached, by their addresses. Of pods that say the same address, of
/// which one has lost it, the last by name counts: whoever answers there proves who it is.
pub(super) fn on(node: &str, input: Input<'_>, workloads: &Workloads) -> NodePeers {
    let pods = workloads.get(node).into_iter().flat_map(|it| it.values());
    let members = pods.filter(|pod| pod.is_member);
    let met = members.filter_map(|pod| Some((pod, identity(input, pod)?)));
    let by_address = met.flat_map(|(pod, identity)| {
        let addresses = pod.addresses.iter();
        addresses.map(move |address| (*address, Arc::clone(&identity)))
    });
    by_address.collect()
}

/// As whom a pod can be reached, by the one rule that endpoints go by.
fn identity(input: Input<'_>, workload: &Workload) -> Option<Arc<str>> {
    let (namespace, name) = (&*workload.name.namespace, &*workload.name.name);
    let pod = input.store.pods().get(namespace, name)?;
    let of = input.store.namespaces().get("", namespace);
    let enrolment = &input.scope.enrolment;
    enrolment.member(namespace, of.map(AsRef::as_ref), Some(pod))
}

/// Takes over the members on a node. Those that come out equal stay.
pub(super) fn put(all: &mut Arc<Peers>, node: Arc<str>, peers: NodePeers) {
    if peers.is_empty() {
        if all.contains_key(&node) {
            Arc::make_mut(all).remove(&node);
        }
    } else if all.get(&node).is_none_or(|known| **known != peers) {
        Arc::make_mut(all).insert(node, Arc::new(peers));
    }
}

/// Takes over whether a namespace is of the mesh.
pub(super) fn enrol(all: &mut Arc<Namespaces>, namespace: &str, is_enrolled: bool) {
    if all.contains(namespace) == is_enrolled {
        return;
    }
    let all = Arc::make_mut(all);
    match is_enrolled {
        true => all.insert(namespace.into()),
        false => all.remove(namespace),
    };
}

#[cfg(test)]
mod tests {
    use weft_spiffe::TrustDomain;
    use weft_store::Store;

    use crate::{
        Enrolment, Output, Scope, Translator,
        fixture::{objects, reference},
        translate,
    };

    fn scope() -> Scope {
        let domain = TrustDomain::parse("test").expect("a trust domain");
        Scope {
            enrolment: Enrolment::captured(domain),
            ..Scope::standalone()
        }
    }

    /// Pod `shop/NAME` on a node, with the annotation of its capture and its addresses.
    fn pod(name: &str, node: &str, captured: &str, addresses: &str) -> String {
        let addresses: Vec<_> = addresses
            .split(' ')
            .map(|ip| format!("{{ip: '{ip}'}}"))
            .collect();
        format!(
            "Pod shop/{name} @{{uid: u-{name}}} {{metadata: {{annotations: {{weft.dev/captured: \
             '{captured}'}}}}, spec: {{nodeName: {node}, serviceAccountName: {name}}}, status: \
             {{phase: Running, podIPs: [{}]}}}}\n",
            addresses.join(", ")
        )
    }

    fn namespace(label: &str) -> String {
        format!("Namespace shop {{metadata: {{labels: {{weft.dev/mesh: {label}}}}}}}\n")
    }

    /// Peers by node, then namespaces.
    fn shown(output: &Output) -> String {
        let nodes = output.peers.iter().map(|(node, peers)| {
            let peer = |(address, id): (&std::net::IpAddr, &std::sync::Arc<str>)| {
                format!(
                    "{address} {}",
                    id.trim_start_matches("spiffe://test/ns/shop/sa/")
                )
            };
            let peers: Vec<_> = peers.iter().map(peer).collect();
            format!("{node}: {}", peers.join(", "))
        });
        let nodes: Vec<_> = nodes.collect();
        let namespaces: Vec<_> = output.namespaces.iter().map(AsRef::as_ref).collect();
        format!("{} | {}", nodes.join("; "), namespaces.join(" "))
    }

    #[test]
    fn peers_are_the_members_that_are_captured() {
        let (mut store, mut translator) = (Store::default(), Translator::default());
        let mut step = |name: &str, change: &str, expected: &str| {
            for object in objects(change) {
                store.apply(object);
            }
            let output = translator.translate(&store, &scope());
            assert_eq!(shown(&output), expected, "{name}");
            assert_eq!(output, translate(&store, &scope()), "{name}: as made anew");
            output
        };
        step(
            "nobody is enrolled",
            &pod("a", "n1", "true", "10.1.0.1 fd00::1"),
            " | ",
        );
        step(
            "their namespace is",
            &namespace("enabled"),
            "n1: 10.1.0.1 a, fd00::1 a | shop",
        );
        let before = step(
            "one that is not captured yet",
            &pod("b", "n2", "pending", "10.1.0.2"),
            "n1: 10.1.0.1 a, fd00::1 a | shop",
        );
        let after = step(
            "it is",
            &pod("b", "n2", "true", "10.1.0.2"),
            "n1: 10.1.0.1 a, fd00::1 a; n2: 10.1.0.2 b | shop",
        );
        assert!(
            std::sync::Arc::ptr_eq(&before.peers["n1"], &after.peers["n1"]),
            "the other node's are the same"
        );
        step(
            "one more on a node",
            &pod("c", "n2", "true", "10.1.0.3"),
            "n1: 10.1.0.1 a, fd00::1 a; n2: 10.1.0.2 b, 10.1.0.3 c | shop",
        );
        step(
            "capture is lost",
            &pod("a", "n1", "error", "10.1.0.1 fd00::1"),
            "n2: 10.1.0.2 b, 10.1.0.3 c | shop",
        );
        step("out of the mesh", &namespace("disabled"), " | ");
    }

    #[test]
    fn a_pod_is_a_peer_at_the_address_its_node_has_found() {
        let (mut store, mut translator) = (Store::default(), Translator::default());
        let starting = pod("a", "n1", "true", "").replace("podIPs: [{ip: ''}]", "");
        let found = "weft.dev/captured-addresses: '10.1.0.1,fd00::1'";
        let found = starting.replace("annotations: {", &format!("annotations: {{{found}, "));
        for (name, change, expected) in [
            ("nobody has told it", starting, " | shop"),
            (
                "its node has",
                found.clone(),
                "n1: 10.1.0.1 a, fd00::1 a | shop",
            ),
            (
                "its kubelet tells another",
                found.replace("phase: Running", "phase: Running, podIP: 10.1.0.2"),
                "n1: 10.1.0.2 a | shop",
            ),
        ] {
            for object in objects(&(namespace("enabled") + &change)) {
                store.apply(object);
            }
            let output = translator.translate(&store, &scope());
            assert_eq!(shown(&output), expected, "{name}");
        }
    }

    #[test]
    fn a_pod_that_starts_is_a_peer_before_its_capture_is_written() {
        let (mut store, mut translator) = (Store::default(), Translator::default());
        for object in objects(&(namespace("enabled") + &pod("a", "n1", "", "10.1.0.1"))) {
            store.apply(object);
        }
        let mut scope = scope();
        for (name, uid, expected) in [
            ("it is said of another", "u-b", " | shop"),
            ("it starts", "u-a", "n1: 10.1.0.1 a | shop"),
            ("it does not", "", " | shop"),
        ] {
            let key = weft_api::ObjectKey::new("shop", "a");
            let pods = Some((key, uid.into())).filter(|_| !uid.is_empty());
            let starting = crate::Starting::new(pods.into_iter().collect());
            scope.enrolment.start(starting);
            let output = translator.translate(&store, &scope);
            assert_eq!(shown(&output), expected, "{name}");
            assert_eq!(output, translate(&store, &scope), "{name}: as made anew");
        }
        store.apply(objects(&namespace("disabled")).remove(0));
        let key = weft_api::ObjectKey::new("shop", "a");
        scope
            .enrolment
            .start(crate::Starting::new([(key, "u-a".into())].into()));
        let output = translator.translate(&store, &scope);
        assert_eq!(shown(&output), " | ", "nobody is of the mesh");
    }

    #[test]
    fn a_pod_that_goes_is_no_peer() {
        let (mut store, mut translator) = (Store::default(), Translator::default());
        for object in objects(&(namespace("enabled") + &pod("a", "n1", "true", "10.1.0.1"))) {
            store.apply(object);
        }
        let output = translator.translate(&store, &scope());
        assert_eq!(shown(&output), "n1: 10.1.0.1 a | shop");
        store.delete(&reference("Pod shop/a"));
        store.delete(&reference("Namespace shop"));
        assert_eq!(shown(&translator.translate(&store, &scope())), " | ");
    }
}
