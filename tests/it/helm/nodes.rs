//! The proxies of nodes: what they can do, what they are told, and that nothing else is with them.

use serde_json::Value;

use super::{MESH, check_understood_in, environment, install};

/// What the supervisor of a node can do that other root users of containers cannot, and what for.
const CAPABILITIES: &[(&str, &str)] = &[
    (
        "NET_ADMIN",
        "packet rules, routes and marks in the networks of pods",
    ),
    (
        "SYS_ADMIN",
        "to enter these networks, and to set what is below /proc/sys/net there",
    ),
    (
        "SYS_PTRACE",
        "to read the network of a process of somebody else",
    ),
    ("SETUID", "to start workers as somebody without rights"),
    ("SETGID", "the same for their group"),
    (
        "KILL",
        "to end workers that hang, which are somebody else by then",
    ),
];

/// The DaemonSet of a mesh.
fn node_proxies() -> Value {
    let mut objects = install(&MESH);
    let key = ("DaemonSet".to_owned(), "weft-node".to_owned());
    objects.remove(&key).expect("the proxies of nodes")
}

#[test]
fn the_supervisor_of_a_node_has_the_capabilities_that_are_listed() {
    let pod = &node_proxies()["spec"]["template"]["spec"];
    let listed: Vec<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    for (container, expected) in [(0, listed), (1, Vec::new())] {
        let context = &pod["containers"][container]["securityContext"];
        let added = context["capabilities"]["add"].as_array();
        let added: Vec<&str> = added
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(added, expected, "of container {container}");
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["privileged"], Value::Null, "nobody is privileged");
    }
    assert_eq!(
        pod["hostNetwork"],
        Value::Null,
        "it has an address of its own"
    );
    assert_eq!(
        pod["automountServiceAccountToken"], false,
        "no right in the API"
    );
    let tokens = pod["volumes"].as_array().expect("volumes").iter();
    let mut tokens =
        tokens.filter_map(|it| it["projected"]["sources"][0].get("serviceAccountToken"));
    assert_eq!(
        tokens.next().expect("one token")["audience"],
        "weft-identity"
    );
    assert_eq!(tokens.next(), None, "and no other");
}

#[test]
fn the_supervisor_of_a_node_has_time_to_drain() {
    let pod = &node_proxies()["spec"]["template"]["spec"];
    let environment = environment(&pod["containers"][0]);
    let (_, drain) = environment
        .iter()
        .find(|(name, _)| name == "WEFT_DRAIN_LIMIT")
        .expect("the drain is chosen");
    let drain: u64 = drain.parse().expect("seconds");
    assert_eq!(pod["terminationGracePeriodSeconds"], drain + 30);
}

#[test]
fn the_namespace_admits_the_proxies_of_nodes_only_where_there_are_some() {
    for (enabled, expected) in [("true", "privileged"), ("false", "restricted")] {
        let objects = install(&["--set", &format!("mesh.enabled={enabled}")]);
        let key = ("Namespace".to_owned(), "weft-system".to_owned());
        let label = &objects[&key]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!(label, expected, "with mesh.enabled={enabled}");
        let key = ("DaemonSet".to_owned(), "weft-node".to_owned());
        assert_eq!(objects.contains_key(&key), expected == "privileged");
    }
}

#[test]
fn the_proxy_of_a_node_understands_its_arguments() {
    let pod = &node_proxies()["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["args"], serde_json::json!(["init"]));
    for role in ["init", "node"] {
        check_understood_in("weft-proxy", &[role.to_owned()], environment(container));
    }
}
