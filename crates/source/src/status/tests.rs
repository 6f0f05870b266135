//! Status files: what they hold, when they change, and that they go with their object.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use weft_api::meta::Time;
use weft_api::{AnyObject, ObjectRef};

use super::StatusFiles;
use crate::yaml;

struct Desk {
    directory: TempDir,
    files: StatusFiles,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let files = StatusFiles::new(directory.path()).expect("statuses can be written");
        Self { directory, files }
    }

    /// The same directory in a new process.
    fn restarted(self) -> Self {
        let Self { directory, files } = self;
        drop(files);
        let files = StatusFiles::new(directory.path()).expect("statuses can be written");
        Self { directory, files }
    }

    fn write(&self, object: Value, now: &str) {
        self.files.write(parse(object), &time(now));
        self.files.flush();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("status").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file is there")
    }

    fn value(&self, name: &str) -> Value {
        let value = yaml::parse(&self.text(name)).expect("what is written is YAML");
        value.expect("it is not empty")
    }
}

fn parse(object: Value) -> AnyObject {
    AnyObject::parse(object).expect("the object is valid")
}

fn time(text: &str) -> Time {
    serde_json::from_value(json!(text)).expect("the time is valid")
}

/// A route with one parent per listed Gateway, accepted or not.
fn route(parents: &[(&str, &str)]) -> Value {
    let parents = parents.iter().map(|(gateway, accepted)| {
        json!({
            "parentRef": {"name": gateway},
            "controllerName": "weft.dev/gateway-controller",
            "conditions": [{"type": "Accepted", "status": accepted, "reason": "Accepted", "message": ""}]
        })
    });
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hostnames": ["a.example.com"]},
        "status": {"parents": parents.collect::<Vec<_>>()}
    })
}

const FILE: &str = "HTTPRoute/shop/web.yaml";

/// Transition times of the parents, in their order.
fn times(desk: &Desk) -> Vec<String> {
    let value = desk.value(FILE);
    let parents = value["status"]["parents"]
        .as_array()
        .expect("parents")
        .iter();
    parents
        .map(|parent| {
            let time = &parent["conditions"][0]["lastTransitionTime"];
            time.as_str().expect("a time").to_owned()
        })
        .collect()
}

#[test]
fn a_file_holds_the_whole_object() {
    let desk = Desk::new();
    desk.write(route(&[("gw", "True")]), "2026-01-01T00:00:00Z");
    let value = desk.value(FILE);
    assert_eq!(value["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(value["kind"], "HTTPRoute");
    assert_eq!(value["spec"]["hostnames"][0], "a.example.com");
    assert_eq!(value["status"]["parents"][0]["parentRef"]["name"], "gw");
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "weft"}, "spec": {"controllerName": "weft.dev/gateway-controller"}
    });
    desk.write(class, "2026-01-01T00:00:00Z");
    assert!(
        desk.path("GatewayClass/_cluster/weft.yaml").exists(),
        "cluster-scoped objects"
    );
}

#[test]
fn transition_times_move_only_with_the_status_of_their_condition() {
    let (first, second, third) = (
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
    );
    let desk = Desk::new();
    desk.write(route(&[("a", "True"), ("b", "True")]), first);
    assert_eq!(times(&desk), [first, first], "new");
    desk.write(route(&[("a", "True"), ("b", "False")]), second);
    assert_eq!(times(&desk), [first, second], "one changed");
    desk.write(route(&[("b", "False"), ("a", "True")]), third);
    assert_eq!(
        times(&desk),
        [second, first],
        "another order changes nothing"
    );
    let desk = desk.restarted();
    desk.write(route(&[("b", "False"), ("a", "False")]), third);
    assert_eq!(
        times(&desk),
        [second, third],
        "a restart changes nothing either"
    );
}

#[test]
fn what_did_not_change_is_not_written() {
    let desk = Desk::new();
    desk.write(route(&[("a", "True")]), "2026-01-01T00:00:00Z");
    let text = desk.text(FILE);
    let inode = |desk: &Desk| {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(desk.path(FILE)).expect("it is there"))
    };
    let before = inode(&desk);
    desk.write(route(&[("a", "True")]), "2026-01-02T00:00:00Z");
    assert_eq!(inode(&desk), before, "in the same run");
    let desk = desk.restarted();
    desk.write(route(&[("a", "True")]), "2026-01-03T00:00:00Z");
    assert_eq!(
        (inode(&desk), desk.text(FILE)),
        (before, text),
        "after a restart"
    );
}

#[test]
fn files_go_with_their_object() {
    let desk = Desk::new();
    desk.write(route(&[("a", "True")]), "2026-01-01T00:00:00Z");
    let object = parse(route(&[])).reference();
    desk.files.remove(object.clone());
    desk.files.flush();
    assert!(
        !desk.path("HTTPRoute").exists(),
        "nothing is left, directories included"
    );
    desk.files.remove(object);
    desk.files.flush();
    desk.write(route(&[("a", "True")]), "2026-01-01T00:00:00Z");
    assert!(desk.path(FILE).exists(), "and it can come back");
}

#[test]
fn what_an_earlier_run_left_behind_is_removed() {
    let desk = Desk::new();
    desk.write(route(&[("a", "True")]), "2026-01-01T00:00:00Z");
    let mut other = route(&[("a", "True")]);
    other["metadata"]["name"] = json!("gone");
    desk.write(other, "2026-01-01T00:00:00Z");
    let desk = desk.restarted();
    let kept: ObjectRef = parse(route(&[])).reference();
    desk.files.retain([kept]);
    desk.files.flush();
    assert!(desk.path(FILE).exists(), "a known object keeps its file");
    assert!(
        !desk.path("HTTPRoute/shop/gone.yaml").exists(),
        "an unknown one loses it"
    );
}

#[test]
fn of_many_versions_the_newest_is_there_at_the_end() {
    let desk = Desk::new();
    for version in 0..500 {
        let mut route = route(&[("a", "True")]);
        route["spec"]["hostnames"] = json!([format!("h{version}.example.com")]);
        desk.files
            .write(parse(route), &time("2026-01-01T00:00:00Z"));
    }
    desk.files.flush();
    assert_eq!(desk.value(FILE)["spec"]["hostnames"][0], "h499.example.com");
    let directory = desk.path("HTTPRoute/shop");
    let names = fs::read_dir(directory).expect("it is there").count();
    assert_eq!(names, 1, "no temporary file is left");
}

#[test]
fn values_of_secrets_are_never_written() {
    let desk = Desk::new();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"},
        "data": {"tls.key": "c2VjcmV0"}, "stringData": {"password": "hunter2"}
    });
    desk.write(secret, "2026-01-01T00:00:00Z");
    let text = desk.text("Secret/shop/s.yaml");
    assert!(
        !text.contains("c2VjcmV0") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_damaged_is_replaced() {
    let desk = Desk::new();
    desk.write(route(&[("a", "True")]), "2026-01-01T00:00:00Z");
    let desk = desk.restarted();
    fs::write(desk.path(FILE), "status: [").expect("it can be damaged");
    desk.write(route(&[("a", "True")]), "2026-01-05T00:00:00Z");
    assert_eq!(times(&desk), ["2026-01-05T00:00:00Z"]);
}
