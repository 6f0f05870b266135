//! Workloads, by the table of labels and annotations of the user interface.

use std::sync::Arc;

use weft_ir::{Name, Workload};
use weft_store::Store;

use super::is_member;
use crate::{
    Output, Scope, Translator,
    fixture::{lines, notes, objects, output, rows, scope, store},
    translate,
};

/// A pod on node `n1`, with labels and with fields of its spec.
fn pod(name: &str, labels: &str, spec: &str) -> String {
    format!(
        "Pod {name} @{{uid: u-1}} {{metadata: {{labels: {{{labels}}}}}, \
         spec: {{nodeName: n1, serviceAccountName: web{spec}}}, \
         status: {{phase: Running, podIP: 10.1.0.1, podIPs: [{{ip: 10.1.0.1}}, {{ip: 'fd00::1'}}]}}}}\n"
    )
}

fn namespace(name: &str, labels: &str) -> String {
    format!("Namespace {name} {{metadata: {{labels: {{{labels}}}}}}}\n")
}

fn workload<'o>(output: &'o Output, node: &str, name: &str) -> Option<&'o Arc<Workload>> {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    output.workloads.get(node)?.get(&Name::new(namespace, name))
}

/// Namespace with its label, labels of the pod, fields of its spec; whether the pod is a member.
const MEMBERSHIP: &str = "
nobody says anything          | shop                             |                                   |                      | out
the namespace is enabled      | shop weft.dev/mesh: enabled      |                                   |                      | member
the namespace is disabled     | shop weft.dev/mesh: disabled     |                                   |                      | out
the pod overrides: out        | shop weft.dev/mesh: enabled      | weft.dev/mesh: disabled           |                      | out
the pod overrides: in         | shop                             | weft.dev/mesh: enabled            |                      | member
the pod against its namespace | shop weft.dev/mesh: disabled     | weft.dev/mesh: enabled            |                      | member
a slip at the namespace       | shop weft.dev/mesh: Enabled      |                                   |                      | out
a slip at the pod             | shop weft.dev/mesh: enabled      | weft.dev/mesh: 'off'              |                      | member
on the network of its node    | shop weft.dev/mesh: enabled      | weft.dev/mesh: enabled            | , hostNetwork: true  | unseen
one of ours                   | shop weft.dev/mesh: enabled      | app.kubernetes.io/part-of: weft   |                      | out
somebody else's part          | shop weft.dev/mesh: enabled      | app.kubernetes.io/part-of: shop   |                      | member
the system                    | kube-system weft.dev/mesh: enabled |                                 |                      | out
the system, by its pod        | kube-system                      | weft.dev/mesh: enabled            |                      | member
";

#[test]
fn labels_enrol() {
    for [name, namespaced, labels, spec, expected] in rows(MEMBERSHIP) {
        let (of, label) = namespaced.split_once(' ').unwrap_or((namespaced, ""));
        let world = namespace(of, label) + &pod(&format!("{of}/a"), labels, spec);
        let output = output(&world);
        let seen = match workload(&output, "n1", &format!("{of}/a")) {
            None => "unseen",
            Some(workload) if workload.is_member => "member",
            Some(_) => "out",
        };
        assert_eq!(seen, expected, "{name}");
    }
}

/// Connections of a pod go on while it is let go, and what comes on them goes where routes say.
#[test]
fn who_is_let_go_leaves_until_its_node_has_done_so() {
    let captured = "metadata: {annotations: {weft.dev/captured: ";
    for (label, annotation, expected) in [
        ("weft.dev/mesh: enabled", "\"true\"", false),
        ("", "\"true\"", true),
        ("", "pending", true),
        ("", "\"\"", true),
    ] {
        let pod = format!(
            "Pod shop/a @{{uid: u}} {{{captured}{annotation}}}}}, spec: {{nodeName: n1}}}}\n"
        );
        let output = output(&(namespace("shop", label) + &pod));
        let seen = workload(&output, "n1", "shop/a").map(|it| it.is_leaving);
        assert_eq!(seen, Some(expected), "{label} {annotation}");
    }
    let output = output(&(namespace("shop", "") + &pod("shop/a", "", "")));
    let seen = workload(&output, "n1", "shop/a").map(|it| it.is_leaving);
    assert_eq!(seen, Some(false), "never captured, or let go");
}

#[test]
fn a_pod_whose_namespace_is_not_known_speaks_for_itself() {
    let store = store(&pod("shop/a", "weft.dev/mesh: enabled", ""));
    let pod = store.pods().get("shop", "a").expect("the pod of the world");
    assert!(is_member(Some(pod), None));
    assert!(!is_member(None, None), "nobody said anything");
}

/// What keeps a pod from being looked after by any node.
const UNSEEN: &str = "
on no node yet     | spec: {nodeName: ''}, status: {phase: Pending}
not scheduled      | status: {phase: Pending}
finished well      | spec: {nodeName: n1}, status: {phase: Succeeded, podIP: 10.1.0.1}
finished badly     | spec: {nodeName: n1}, status: {phase: Failed, podIP: 10.1.0.1}
of the node itself | spec: {nodeName: n1, hostNetwork: true}, status: {phase: Running, podIP: 10.9.0.1}
";

#[test]
fn pods_that_no_node_looks_after_are_left_out() {
    for [name, fields] in rows(UNSEEN) {
        let world = format!("Pod shop/a @{{uid: u}} {{{fields}}}");
        assert!(output(&world).workloads.is_empty(), "{name}");
    }
    let starting = "Pod shop/a @{uid: u} {spec: {nodeName: n1}, status: {phase: Pending}}";
    let output = output(starting);
    let starting = workload(&output, "n1", "shop/a").expect("its network is made next");
    assert_eq!(starting.addresses, [] as [std::net::IpAddr; 0]);
    assert_eq!(&*starting.service_account, "default");
}

/// Containers of a pod, and the ports that the node connects to.
const PROBES: &str = "
a number          | containers: [{readinessProbe: {httpGet: {port: 8080}}}] | 8080
a name            | containers: [{ports: [{name: health, containerPort: 9000}], livenessProbe: {tcpSocket: {port: health}}}] | 9000
a name of nobody  | containers: [{livenessProbe: {httpGet: {port: health}}}] |
every sort, once  | containers: [{startupProbe: {grpc: {port: 2}}, readinessProbe: {httpGet: {port: 1}}, livenessProbe: {httpGet: {port: 1}}}] | 1 + 2
a command         | containers: [{livenessProbe: {exec: {command: [true]}}}] |
another host      | containers: [{livenessProbe: {httpGet: {port: 80, host: 127.0.0.1}}}] |
hooks             | containers: [{lifecycle: {postStart: {httpGet: {port: 7}}, preStop: {httpGet: {port: 8}}}}] | 7 + 8
beside the others | initContainers: [{restartPolicy: Always, startupProbe: {httpGet: {port: 5}}}], containers: [] | 5
no port           | containers: [{livenessProbe: {httpGet: {port: 0}}}, {livenessProbe: {httpGet: {port: 70000}}}] |
";

#[test]
fn ports_of_probes_are_known() {
    for [name, containers, expected] in rows(PROBES) {
        let output = output(&pod("shop/a", "", &format!(", {containers}")));
        let workload = workload(&output, "n1", "shop/a").expect("a pod on a node");
        let ports = workload.probe_ports.iter().map(ToString::to_string);
        assert_eq!(ports.collect::<Vec<_>>(), lines(expected), "{name}");
    }
}

/// Annotations of the namespace and of the pod; what counts; findings about pod and namespace.
const ANNOTATIONS: &str = "
a list              |                                     | weft.dev/exclude-inbound-ports: '443, 80,80' | in=80,443 |
of the namespace    | weft.dev/exclude-inbound-ports: '22' |                                             | in=22 |
the pod overrides   | weft.dev/exclude-inbound-ports: '22' | weft.dev/exclude-inbound-ports: ''          | |
each by itself      | weft.dev/exclude-inbound-ports: '22' | weft.dev/exclude-outbound-ports: '53'       | in=22 out=53 |
networks            |                                     | weft.dev/exclude-outbound-cidrs: '10.9.1.1/8,fd00::1' | nets=10.0.0.0/8,fd00::1/128 |
opaque              |                                     | weft.dev/opaque-ports: '5432'                | opaque=5432 |
drain               |                                     | weft.dev/drain-seconds: '900'                | drain=900 |
a bad entry alone   |                                     | weft.dev/exclude-inbound-ports: '80,http,0,+9,70000' | in=80 | pod WA504
a bad network alone |                                     | weft.dev/exclude-outbound-cidrs: '10.0.0.0/40,10.0.0.0/8' | nets=10.0.0.0/8 | pod WA504
no time             |                                     | weft.dev/drain-seconds: 'soon'               | | pod WA504
too long a time     | weft.dev/drain-seconds: '90000'      |                                              | | namespace WA504
a bad namespace     | weft.dev/opaque-ports: 'x'           |                                              | | namespace WA504
";

#[test]
fn annotations_say_what_is_not_captured() {
    for [name, of_namespace, of_pod, expected, findings] in rows(ANNOTATIONS) {
        let world = format!(
            "Namespace shop {{metadata: {{annotations: {{{of_namespace}}}}}}}\n\
             Pod shop/a @{{uid: u}} {{metadata: {{annotations: {{{of_pod}}}}}, spec: {{nodeName: n1}}}}"
        );
        let output = output(&world);
        let workload = workload(&output, "n1", "shop/a").expect("a pod on a node");
        assert_eq!(said(workload), expected, "{name}");
        let of = |what: &str, object: &str| {
            let code = |note: &String| format!("{what} {}", note.split(' ').next().unwrap_or(""));
            let mut codes: Vec<_> = notes(&output, object).iter().map(code).collect();
            codes.dedup();
            codes
        };
        let seen = [of("pod", "Pod shop/a"), of("namespace", "Namespace shop")].concat();
        assert_eq!(seen, lines(findings), "{name}");
    }
}

/// What a workload has beyond its name.
fn said(workload: &Workload) -> String {
    fn list<T: ToString>(name: &str, values: &[T]) -> Option<String> {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        (!values.is_empty()).then(|| format!("{name}={}", values.join(",")))
    }
    let parts = [
        list("in", &workload.exclude_inbound_ports),
        list("out", &workload.exclude_outbound_ports),
        list("nets", &workload.exclude_outbound_cidrs),
        list("opaque", &workload.opaque_ports),
        list("drain", workload.drain_seconds.as_slice()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Labels of a namespace; whether its pods take plaintext; findings about it, and about its pod.
const POLICIES: &str = "
nothing said        |                              | strict     |
strict              | weft.dev/policy: strict      | strict     |
permissive          | weft.dev/policy: permissive  | permissive |
a slip stays strict | weft.dev/policy: Permissive  | strict     | WA503
";

#[test]
fn plaintext_is_taken_only_where_a_namespace_says_so() {
    for [name, labels, expected, findings] in rows(POLICIES) {
        let output = output(&(namespace("shop", labels) + &pod("shop/a", "", "")));
        let workload = workload(&output, "n1", "shop/a").expect("a pod on a node");
        let seen = if workload.is_permissive {
            "permissive"
        } else {
            "strict"
        };
        assert_eq!(seen, expected, "{name}");
        let codes = notes(&output, "Namespace shop");
        let codes: Vec<_> = codes.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(codes, lines(findings), "{name}");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let rows = [
        (
            "Pod shop/a",
            pod("shop/a", "weft.dev/mesh: 'yes'", ""),
            "WA503 metadata.labels[weft.dev/mesh]",
        ),
        (
            "Namespace shop",
            namespace("shop", "weft.dev/mesh: 'true'"),
            "WA503 metadata.labels[weft.dev/mesh]",
        ),
        (
            "Pod shop/a",
            pod("shop/a", "weft.dev/mesh: enabled", ", hostNetwork: true"),
            "WA505 metadata.labels[weft.dev/mesh]",
        ),
        (
            "Namespace shop",
            "Namespace shop {metadata: {annotations: {weft.dev/policy: permissive}}}".to_owned(),
            "WA504 metadata.annotations[weft.dev/policy]",
        ),
    ];
    for (object, world, expected) in rows {
        assert_eq!(notes(&output(&world), object), [expected], "{world}");
    }
}

#[test]
fn where_there_is_no_mesh_nobody_has_workloads() {
    let scope = Scope {
        has_mesh: false,
        ..scope()
    };
    let world = namespace("shop", "weft.dev/mesh: enabled") + &pod("shop/a", "", "");
    assert!(translate(&store(&world), &scope).workloads.is_empty());
}

/// A store, edited step by step by one translator.
fn apply(store: &mut Store, translator: &mut Translator, world: &str) -> Output {
    for object in objects(world) {
        store.apply(object);
    }
    let output = translator.translate(store, &scope());
    assert_eq!(output, translate(store, &scope()), "as a fresh one says");
    output
}

#[test]
fn one_pod_leaves_other_nodes_alone() {
    let (mut store, mut translator) = (Store::default(), Translator::default());
    let on = |name: &str, node: &str, address: &str| {
        format!(
            "Pod shop/{name} @{{uid: u-{name}}} {{spec: {{nodeName: {node}}}, status: {{podIP: {address}}}}}\n"
        )
    };
    let world = namespace("shop", "weft.dev/mesh: enabled") + &on("a", "n1", "10.1.0.1");
    let before = apply(
        &mut store,
        &mut translator,
        &(world + &on("b", "n2", "10.1.0.2")),
    );
    let after = apply(&mut store, &mut translator, &on("a", "n1", "10.1.0.3"));
    assert!(
        Arc::ptr_eq(&before.workloads["n2"], &after.workloads["n2"]),
        "untouched"
    );
    assert!(
        Arc::ptr_eq(&before.tables, &after.tables),
        "no route is looked at"
    );
    assert_eq!(
        workload(&after, "n1", "shop/a").map(|it| it.addresses.len()),
        Some(1)
    );

    // A pod of the same name on another node, as a StatefulSet makes it.
    let moved = apply(&mut store, &mut translator, &on("a", "n2", "10.1.0.4"));
    assert!(moved.workloads.get("n1").is_none(), "no empty node stays");
    assert_eq!(moved.workloads["n2"].len(), 2);

    let out = apply(&mut store, &mut translator, &namespace("shop", ""));
    assert!(
        out.workloads["n2"].values().all(|it| !it.is_member),
        "the namespace is let go"
    );
    let same = apply(
        &mut store,
        &mut translator,
        &namespace("shop", "team: shop"),
    );
    assert!(
        Arc::ptr_eq(&out.workloads, &same.workloads),
        "labels that say nothing"
    );
}
