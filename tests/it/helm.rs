//! What is installed in a cluster: that the Helm chart and `weft install` give the same objects, and
//! that these may do what they need and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;
use weft_tests::binary;

/// Everything the control plane may do: verb, group/resource, and the names it is limited to.
/// Whoever adds a line says in the chart what for.
const GRANTED: &str = "
cluster create /configmaps
cluster create /serviceaccounts
cluster create /services
cluster create apps/deployments
cluster create authentication.k8s.io/tokenreviews
cluster delete /serviceaccounts
cluster delete /services
cluster delete apps/deployments
cluster get /apis
cluster get /configmaps
cluster get /namespaces
cluster get /secrets
cluster get /serviceaccounts
cluster get /services
cluster get apiextensions.k8s.io/customresourcedefinitions gateways.gateway.networking.k8s.io
cluster get apps/deployments
cluster get discovery.k8s.io/endpointslices
cluster get gateway.networking.k8s.io/backendtlspolicies
cluster get gateway.networking.k8s.io/gatewayclasses
cluster get gateway.networking.k8s.io/gateways
cluster get gateway.networking.k8s.io/grpcroutes
cluster get gateway.networking.k8s.io/httproutes
cluster get gateway.networking.k8s.io/listenersets
cluster get gateway.networking.k8s.io/referencegrants
cluster get gateway.networking.k8s.io/tcproutes
cluster get gateway.networking.k8s.io/tlsroutes
cluster get gateway.networking.k8s.io/udproutes
cluster get gateway.networking.x-k8s.io/xbackends
cluster get gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster get gateway.networking.x-k8s.io/xmeshes
cluster list /namespaces
cluster list /services
cluster list discovery.k8s.io/endpointslices
cluster list gateway.networking.k8s.io/backendtlspolicies
cluster list gateway.networking.k8s.io/gatewayclasses
cluster list gateway.networking.k8s.io/gateways
cluster list gateway.networking.k8s.io/grpcroutes
cluster list gateway.networking.k8s.io/httproutes
cluster list gateway.networking.k8s.io/listenersets
cluster list gateway.networking.k8s.io/referencegrants
cluster list gateway.networking.k8s.io/tcproutes
cluster list gateway.networking.k8s.io/tlsroutes
cluster list gateway.networking.k8s.io/udproutes
cluster list gateway.networking.x-k8s.io/xbackends
cluster list gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster list gateway.networking.x-k8s.io/xmeshes
cluster patch /configmaps
cluster patch /serviceaccounts
cluster patch /services
cluster patch apps/deployments
cluster patch gateway.networking.k8s.io/backendtlspolicies/status
cluster patch gateway.networking.k8s.io/gatewayclasses/status
cluster patch gateway.networking.k8s.io/gateways/status
cluster patch gateway.networking.k8s.io/grpcroutes/status
cluster patch gateway.networking.k8s.io/httproutes/status
cluster patch gateway.networking.k8s.io/listenersets/status
cluster patch gateway.networking.k8s.io/tcproutes/status
cluster patch gateway.networking.k8s.io/tlsroutes/status
cluster patch gateway.networking.k8s.io/udproutes/status
cluster patch gateway.networking.x-k8s.io/xbackends/status
cluster patch gateway.networking.x-k8s.io/xbackendtrafficpolicies/status
cluster patch gateway.networking.x-k8s.io/xmeshes/status
cluster watch /configmaps
cluster watch /namespaces
cluster watch /services
cluster watch discovery.k8s.io/endpointslices
cluster watch gateway.networking.k8s.io/backendtlspolicies
cluster watch gateway.networking.k8s.io/gatewayclasses
cluster watch gateway.networking.k8s.io/gateways
cluster watch gateway.networking.k8s.io/grpcroutes
cluster watch gateway.networking.k8s.io/httproutes
cluster watch gateway.networking.k8s.io/listenersets
cluster watch gateway.networking.k8s.io/referencegrants
cluster watch gateway.networking.k8s.io/tcproutes
cluster watch gateway.networking.k8s.io/tlsroutes
cluster watch gateway.networking.k8s.io/udproutes
cluster watch gateway.networking.x-k8s.io/xbackends
cluster watch gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster watch gateway.networking.x-k8s.io/xmeshes
own create /secrets
own create coordination.k8s.io/leases
own get /secrets weft-ca
own get coordination.k8s.io/leases weft-controller
own patch /secrets weft-ca
own patch coordination.k8s.io/leases weft-controller
";

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

fn helm(arguments: &[&str]) -> Objects {
    let mut command = Command::new("helm");
    command.args([
        "template",
        "weft",
        "charts/weft",
        "--skip-tests",
        "--kube-version",
        "1.33.0",
    ]);
    objects(&output(command.args(arguments)))
}

/// The pod of `helm test`.
fn test_pod() -> Value {
    let mut command = Command::new("helm");
    command.args([
        "template",
        "weft",
        "charts/weft",
        "--kube-version",
        "1.33.0",
    ]);
    command.args(["--show-only", "templates/tests/check.yaml"]);
    let mut objects = objects(&output(&mut command));
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
    let listed: BTreeSet<String> = GRANTED.trim().lines().map(str::to_owned).collect();
    let granted = granted(&install(&[]));
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
    let objects = install(&["--namespace", "mesh"]);
    let bindings = objects
        .iter()
        .filter(|((kind, _), _)| kind.ends_with("Binding"));
    let subjects: Vec<&Value> = bindings
        .flat_map(|(_, binding)| binding["subjects"].as_array().expect("subjects"))
        .collect();
    assert_eq!(subjects.len(), 2, "one binding per role: {subjects:?}");
    for subject in subjects {
        assert_eq!(subject["kind"], "ServiceAccount");
        assert_eq!(subject["name"], "weft-controller");
        assert_eq!(subject["namespace"], "mesh");
    }
}

#[test]
fn pods_of_the_control_plane_are_admitted_where_rights_are_restricted() {
    let objects = install(&[]);
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
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.namespace") => "weft-system",
                Some("status.podIP") => "10.0.0.1",
                other => panic!("a field that no pod here has: {other:?}"),
            };
            let name = variable["name"].as_str().expect("a variable has a name");
            filled = filled.replace(&format!("$({name})"), value);
        }
        filled
    };
    all.map(fill).collect()
}

/// Help is for arguments that are understood: one that is not is an error before it.
fn check_understood(program: &str, arguments: &[String]) {
    let path = binary::directory().join(program);
    let help = output(Command::new(path).args(arguments).arg("--help"));
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
