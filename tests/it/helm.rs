//! What is installed in a cluster: that the Helm chart and `weft install` give the same objects, and
//! that these may do what they need and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;
use weft_tests::binary;

use self::granted::{GRANTED, GRANTED_FOR_THE_MESH};

mod granted;
mod nodes;
mod removal;

/// With a mesh.
const MESH: [&str; 2] = ["--set", "mesh.enabled=true"];

/// Objects by kind and name.
type Objects = BTreeMap<(String, String), Value>;

fn objects(yaml: &str) -> Objects {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    let text = |value: &Value| value.as_str().expect("every object has it").to_owned();
    let named = |object: Value| {
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        (key, object)
    };
    let count = documents.len();
    let objects: Objects = documents.into_iter().map(named).collect();
    assert_eq!(objects.len(), count, "no object is there twice");
    objects
}

/// What a program prints.
fn output(command: &mut Command) -> String {
    let output = command
        .current_dir(binary::workspace())
        .output()
        .unwrap_or_else(|error| {
            panic!("{command:?}: {error}; `cargo x test` installs what it needs")
        });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn install(arguments: &[&str]) -> Objects {
    let program = binary::directory().join("weft");
    objects(&output(
        Command::new(program).arg("install").args(arguments),
    ))
}

/// What Helm makes of the chart.
fn chart(arguments: &[&str]) -> String {
    let mut command = Command::new("helm");
    command.args(["template", "weft", "charts/weft", "--kube-version"]);
    output(command.arg("1.33.0").args(arguments))
}

fn helm(arguments: &[&str]) -> Objects {
    objects(&chart(&[&["--no-hooks"], arguments].concat()))
}

/// The pod of `helm test`.
fn test_pod() -> Value {
    let mut objects = objects(&chart(&["--show-only", "templates/tests/check.yaml"]));
    let key = ("Pod".to_owned(), "weft-check".to_owned());
    objects.remove(&key).expect("the pod of `helm test`")
}

/// Installs both ways and compares.
fn check_both_ways(arguments: &[&str]) {
    let mut installed = install(arguments);
    // Helm makes the namespace itself.
    let before = installed.len();
    installed.retain(|(kind, _), _| kind != "Namespace");
    assert_eq!(
        before - installed.len(),
        1,
        "`weft install` brings the namespace"
    );
    let charted = helm(arguments);
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&installed),
        names(&charted),
        "objects of {arguments:?}"
    );
    for (key, object) in &installed {
        assert_eq!(object, &charted[key], "{key:?} of {arguments:?}");
    }
}

#[test]
fn chart_and_install_give_the_same_objects() {
    check_both_ways(&["--namespace", "weft-system"]);
    let values = tempfile::NamedTempFile::new().expect("a file");
    let text = "tolerations: [{key: a, operator: Exists}]\nnodeSelector: {pool: infra}\n\
                podAnnotations: {a/b: 'true'}\nimagePullSecrets: [{name: r}]\nlogLevel: debug\n";
    std::fs::write(values.path(), text).expect("a file of values");
    let file = values.path().to_str().expect("UTF-8");
    let set = ["--set", "replicas=3", "--set", "trustDomain=mesh.example"];
    check_both_ways(&[&["--namespace", "mesh", "--values", file], &set[..]].concat());
    let set = ["--set", "mesh.cniPrograms=/usr/lib/cni"];
    check_both_ways(&[&["--namespace", "weft-system"], &MESH[..], &set[..]].concat());
    let none = ["--namespace", "weft-system", "--set", "mesh.enabled=false"];
    check_both_ways(&none);
}

#[test]
fn the_chart_refuses_values_that_do_not_exist() {
    let mut command = Command::new("helm");
    command.args([
        "template",
        "weft",
        "charts/weft",
        "--kube-version",
        "1.33.0",
    ]);
    let output = command
        .args(["--set", "replica=3"])
        .current_dir(binary::workspace())
        .output();
    let output = output.expect("helm runs; `cargo x test` installs it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "a typo is accepted and ignored");
    assert!(complaint.contains("'replica'"), "{complaint}");
}

/// Roles in the lines of [`GRANTED`].
fn granted(objects: &Objects) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for ((kind, _), object) in objects {
        let place = match kind.as_str() {
            "ClusterRole" => "cluster",
            "Role" => "own",
            _ => continue,
        };
        for rule in object["rules"].as_array().expect("a role has rules") {
            granted.extend(
                grants(rule)
                    .into_iter()
                    .map(|grant| format!("{place} {grant}")),
            );
        }
    }
    granted
}

fn grants(rule: &Value) -> Vec<String> {
    let texts = |field: &str| -> Vec<&str> {
        let all = rule[field].as_array().into_iter().flatten();
        all.map(|one| one.as_str().expect("a text")).collect()
    };
    let names = texts("resourceNames").join(",");
    let mut grants = Vec::new();
    for verb in texts("verbs") {
        grants.extend(
            texts("nonResourceURLs")
                .iter()
                .map(|url| format!("{verb} {url}")),
        );
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                let grant = format!("{verb} {group}/{resource} {names}");
                grants.push(grant.trim_end().to_owned());
            }
        }
    }
    grants
}

#[test]
fn roles_grant_what_is_listed_and_nothing_else() {
    let without = ["--set", "mesh.enabled=false"];
    check_granted(GRANTED, &install(&without));
    check_granted(&[GRANTED, GRANTED_FOR_THE_MESH].concat(), &install(&MESH));
}

fn check_granted(listed: &str, objects: &Objects) {
    let lines = listed.lines().filter(|line| !line.is_empty());
    let listed: BTreeSet<String> = lines.map(str::to_owned).collect();
    let granted = granted(objects);
    let more: Vec<_> = granted.difference(&listed).collect();
    assert!(more.is_empty(), "granted and not listed: {more:#?}");
    let less: Vec<_> = listed.difference(&granted).collect();
    assert!(less.is_empty(), "listed and not granted: {less:#?}");
    let lists_secrets = |grant: &&String| {
        grant.contains("/secrets") && (grant.contains(" list ") || grant.contains(" watch "))
    };
    assert_eq!(
        granted.iter().find(lists_secrets),
        None,
        "Secrets are read by name"
    );
    assert!(
        !granted.iter().any(|grant| grant.contains('*')),
        "{granted:?}"
    );
}

#[test]
fn roles_are_bound_to_the_control_plane_alone() {
    let objects = install(&[&["--namespace", "mesh"], &MESH[..]].concat());
    let bindings = objects
        .iter()
        .filter(|((kind, _), _)| kind.ends_with("Binding"));
    let subjects: Vec<&Value> = bindings
        .flat_map(|(_, binding)| binding["subjects"].as_array().expect("subjects"))
        .collect();
    assert_eq!(subjects.len(), 3, "one binding per role: {subjects:?}");
    for subject in subjects {
        assert_eq!(subject["kind"], "ServiceAccount");
        assert_eq!(subject["name"], "weft-controller");
        assert_eq!(subject["namespace"], "mesh");
    }
}

#[test]
fn pods_of_the_control_plane_are_admitted_where_rights_are_restricted() {
    let objects = install(&["--set", "mesh.enabled=false"]);
    let key = ("Deployment".to_owned(), "weft-controller".to_owned());
    let pod = &objects[&key]["spec"]["template"]["spec"];
    check_restricted(pod);
    check_restricted(&test_pod()["spec"]);
    let key = ("Namespace".to_owned(), "weft-system".to_owned());
    let label = &objects[&key]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(label, "restricted", "and the namespace asks for it");
}

/// Pod Security Standard `restricted`, and no writable root.
fn check_restricted(pod: &Value) {
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    for container in pod["containers"].as_array().expect("containers") {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert_eq!(context["readOnlyRootFilesystem"], true);
    }
}

/// The arguments of the first container of a pod, or of the template of pods, as a kubelet fills them
/// in from the container's environment.
fn arguments(pod: &Value) -> Vec<String> {
    let container = &pod["spec"]["containers"][0];
    let all = container["args"].as_array();
    let all = all.expect("a container has arguments").iter();
    let fill = |argument: &Value| {
        let mut filled = argument.as_str().expect("a text").to_owned();
        for (name, value) in environment(container) {
            filled = filled.replace(&format!("$({name})"), &value);
        }
        filled
    };
    all.map(fill).collect()
}

/// The environment of a container, as a kubelet fills it in.
fn environment(container: &Value) -> Vec<(String, String)> {
    let variables = container["env"].as_array().into_iter().flatten();
    let filled = variables.map(|variable| {
        let name = variable["name"].as_str().expect("a variable has a name");
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.namespace") => "weft-system",
            Some("metadata.uid") => "5d0b3b4e-0f0c-4b8e-9a53-2f6d6b7c8d9e",
            Some("spec.nodeName") => "n1",
            Some("spec.serviceAccountName") => "weft-node",
            Some("status.podIP") => "10.0.0.1",
            Some(other) => panic!("a field that no pod here has: {other:?}"),
            None => variable["value"].as_str().expect("a value is a text"),
        };
        (name.to_owned(), value.to_owned())
    });
    filled.collect()
}

/// Help is for arguments that are understood: one that is not is an error before it.
fn check_understood(program: &str, arguments: &[String]) {
    check_understood_in(program, arguments, Vec::new());
}

fn check_understood_in(program: &str, arguments: &[String], environment: Vec<(String, String)>) {
    let path = binary::directory().join(program);
    let mut command = Command::new(path);
    let help = output(command.args(arguments).arg("--help").envs(environment));
    assert!(help.contains("Usage:"), "{program} {arguments:?}: {help}");
}

#[test]
fn the_control_plane_understands_its_arguments() {
    let objects = install(&[]);
    let key = ("Deployment".to_owned(), "weft-controller".to_owned());
    check_understood("weft", &arguments(&objects[&key]["spec"]["template"]));
}

#[test]
fn the_pod_of_helm_test_runs_what_the_control_plane_may() {
    let pod = test_pod();
    check_understood("weft", &arguments(&pod));
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    assert_eq!(
        pod["spec"]["serviceAccountName"], "weft-controller",
        "it has no rights of its own"
    );
}
