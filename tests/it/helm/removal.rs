//! What Helm runs before it removes the objects: nodes are cleaned, with rights that end with it.

use serde_json::Value;

use super::{
    Objects, arguments, chart, check_granted, check_restricted, check_understood, objects,
};

/// What it may do while it runs.
const GRANTED: &str = "
cluster list /namespaces
cluster list /nodes
cluster list /pods
own create /pods
own delete /pods
own delete apps/daemonsets weft-node
own get apps/daemonsets weft-node
own patch /pods
";

fn removal() -> Objects {
    let only = ["--show-only", "templates/hooks/removal.yaml"];
    objects(&chart(&[&["--namespace", "mesh"], &only[..]].concat()))
}

fn job(objects: &Objects) -> &Value {
    &objects[&("Job".to_owned(), "weft-removal".to_owned())]
}

#[test]
fn all_of_it_is_there_for_the_removal_alone() {
    for (key, object) in &removal() {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "pre-delete", "{key:?}");
        assert_eq!(
            annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded",
            "{key:?}"
        );
    }
    let without = chart(&["--set", "mesh.enabled=false"]);
    assert!(
        !without.contains("weft-removal"),
        "there are no nodes to clean"
    );
}

#[test]
fn its_rights_are_listed_and_its_own() {
    let objects = removal();
    check_granted(GRANTED, &objects);
    let pod = &job(&objects)["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "weft-removal");
    let bindings = objects.iter();
    let bindings = bindings.filter(|((kind, _), _)| kind.ends_with("Binding"));
    for (key, binding) in bindings {
        let subjects = binding["subjects"].as_array().expect("subjects");
        assert_eq!(subjects.len(), 1, "{key:?}");
        assert_eq!(subjects[0]["name"], "weft-removal", "{key:?}");
        assert_eq!(subjects[0]["namespace"], "mesh", "{key:?}");
    }
}

#[test]
fn it_runs_what_weft_understands_and_needs_no_privilege() {
    let objects = removal();
    let template = &job(&objects)["spec"]["template"];
    check_understood("weft", &arguments(template));
    check_restricted(&template["spec"]);
}
