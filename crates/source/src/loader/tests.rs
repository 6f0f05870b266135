//! Loading: what comes from files, what stays when they break, and that nothing else is disturbed.

mod broken;
mod last_good;
mod reuse;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weft_api::{Kind, ObjectKey, ObjectRef};

use super::{Batch, Event, Loader};
use crate::input::Options;

/// A Service with one port.
pub(super) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  ports:\n  - port: {port}\n"
    )
}

/// A directory with a loader.
struct Desk {
    directory: TempDir,
    loader: Loader,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for (name, text) in files {
            write(directory.path(), name, text);
        }
        let paths = [directory.path().to_owned()];
        let loader = Loader::new(&paths, Options::default()).expect("the directory exists");
        Self { directory, loader }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.directory.path(), name, text);
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).expect("the file is there");
    }

    fn load(&mut self) -> Batch {
        self.loader.load(&mut |_| {}).expect("files can be read")
    }

    /// What a load changed, and the codes of all findings.
    fn step(&mut self) -> (Vec<String>, Vec<&'static str>) {
        let batch = self.load();
        let codes = batch.findings.iter().map(|finding| finding.code);
        (batch.events.iter().map(told).collect(), codes.collect())
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("it can be made");
    fs::write(path, text).expect("the file can be written");
}

/// An event in one word: `+shop/web:80` or `-shop/web`.
pub(super) fn told(event: &Event) -> String {
    match event {
        Event::Apply(weft_api::AnyObject::Service(service)) => {
            let ports = service.spec.ports.iter().map(|port| port.port.to_string());
            let ports: Vec<String> = ports.collect();
            let key = weft_api::Object::key(service.as_ref());
            format!("+{key}:{}", ports.join(","))
        }
        Event::Apply(object) => format!("+{}", object.key()),
        Event::Delete(object) => format!("-{}", object.key),
    }
}

fn load(paths: &[PathBuf]) -> Batch {
    let mut loader = Loader::new(paths, Options::default()).expect("the paths exist");
    loader.load(&mut |_| {}).expect("files can be read")
}

#[test]
fn a_directory_gives_the_objects_of_its_yaml_and_json_files() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: \
                {name: a}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n";
    let typed = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: typed, namespace: \
                 shop}\n  spec: {ports: [{port: 7}]}\n";
    let json = "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n\t\"metadata\": {\"name\": \
                \"json\"}\n}";
    let two = format!(
        "---\n# nothing\n---\n{}---\n{}...\n",
        service("one", 1),
        service("two", 2)
    );
    let mut desk = Desk::new(&[
        ("two.yaml", &two),
        ("deep/er/list.yml", list),
        ("typed.yaml", typed),
        ("object.json", json),
        ("notes.txt", "not: [read"),
        (".hidden.yaml", "not: [read"),
        (".weft/status/x.yaml", "not: [read"),
    ]);
    let (events, codes) = desk.step();
    let expected = [
        "+a",
        "+b",
        "+json",
        "+shop/one:1",
        "+shop/two:2",
        "+shop/typed:7",
    ];
    assert_eq!(events, expected, "objects by kind and key");
    assert!(codes.is_empty(), "nothing is wrong: {codes:?}");
}

#[test]
fn files_can_be_named_one_by_one_whatever_their_name() {
    let desk = Desk::new(&[("a.conf", &service("a", 1)), ("b.yaml", &service("b", 2))]);
    let path = desk.directory.path();
    let batch = load(&[path.join("a.conf"), path.join("b.yaml")]);
    let events: Vec<String> = batch.events.iter().map(told).collect();
    assert_eq!(events, ["+shop/a:1", "+shop/b:2"]);
}

#[test]
fn a_path_that_does_not_exist_is_an_error_that_names_it() {
    let missing = [PathBuf::from("/nowhere/at/all")];
    let error = Loader::new(&missing, Options::default()).expect_err("there is no such path");
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[test]
fn excluded_directories_hold_no_input() {
    let desk = Desk::new(&[
        ("a.yaml", &service("a", 1)),
        ("state/b.yaml", &service("b", 2)),
    ]);
    let path = desk.directory.path().to_owned();
    let options = Options {
        exclude: vec![path.join("state")],
        ..Options::default()
    };
    let mut loader = Loader::new(&[path], options).expect("the directory exists");
    let batch = loader.load(&mut |_| {}).expect("files can be read");
    assert_eq!(batch.events.len(), 1, "only what is not excluded");
}

#[test]
fn links_that_lead_back_end_the_walk() {
    let mut desk = Desk::new(&[("sub/a.yaml", &service("a", 1))]);
    let path = desk.directory.path();
    std::os::unix::fs::symlink(path, path.join("sub/back")).expect("a link can be made");
    assert_eq!(desk.step().0, ["+shop/a:1"]);
}

#[test]
fn only_what_changed_is_told() {
    let text = format!("{}---\n{}", service("a", 1), service("b", 2));
    let mut desk = Desk::new(&[("x.yaml", &text)]);
    desk.load();
    assert!(desk.step().0.is_empty(), "nothing changed");
    desk.write("x.yaml", &text);
    assert!(desk.step().0.is_empty(), "the same content was written");
    desk.write(
        "x.yaml",
        &format!("# moved\n{}---\n{}", service("a", 1), service("b", 3)),
    );
    assert_eq!(desk.step().0, ["+shop/b:3"], "one of two objects changed");
    desk.remove("x.yaml");
    assert_eq!(desk.step().0, ["-shop/a", "-shop/b"], "the file is gone");
}

#[test]
fn an_object_that_moves_to_another_file_is_not_told() {
    let mut desk = Desk::new(&[("a.yaml", &service("web", 80))]);
    desk.load();
    desk.remove("a.yaml");
    desk.write("b.yaml", &service("web", 80));
    assert!(desk.step().0.is_empty(), "the object is the same");
}

#[test]
fn of_two_definitions_the_first_path_counts_and_both_places_are_told() {
    let mut desk = Desk::new(&[
        ("a.yaml", &service("web", 1)),
        ("b.yaml", &service("web", 2)),
    ]);
    let batch = desk.load();
    assert_eq!(
        batch.events.iter().map(told).collect::<Vec<_>>(),
        ["+shop/web:1"]
    );
    let finding = &batch.findings[0];
    assert_eq!(finding.code, "WA124");
    assert!(
        finding.message.contains("a.yaml:3:18"),
        "{}",
        finding.message
    );
    let place = finding.place.as_ref().expect("it has a place");
    assert!(place.to_string().ends_with("b.yaml:3:18"), "{place}");
    desk.remove("a.yaml");
    assert_eq!(
        desk.step(),
        (vec!["+shop/web:2".to_owned()], vec![]),
        "the other takes over"
    );
}

#[test]
fn fields_are_found_where_they_are_written() {
    let text = format!(
        "{}---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  \
         metadata:\n    name: listed\n    namespace: shop\n  spec:\n    ports:\n    - port: 81\n",
        service("web", 80)
    );
    let mut desk = Desk::new(&[("x.yaml", &text)]);
    desk.load();
    let places = desk.loader.places();
    let rows = [
        ("web", "", (1, 1), 1),
        ("web", "spec.ports[0].port", (6, 11), 1),
        ("web", "spec.ports[7].port", (5, 3), 1),
        ("web", "spec.nothing", (4, 1), 1),
        ("web", "metadata.name", (3, 18), 1),
        ("listed", "spec.ports[0].port", (18, 13), 2),
        ("listed", "", (11, 3), 2),
    ];
    for (name, field, position, document) in rows {
        let object = ObjectRef::new(Kind::Service, ObjectKey::new("shop", name));
        let place = places
            .locate(&object, field)
            .expect("the object has a place");
        assert_eq!((place.line, place.column), position, "{name} {field:?}");
        assert_eq!(place.document, document, "{name} {field:?}");
        assert!(place.snippet.is_some(), "{name} {field:?} shows its line");
    }
    desk.write("x.yaml", "# another text\n");
    let object = ObjectRef::new(Kind::Service, ObjectKey::new("shop", "web"));
    let place = places.locate(&object, "spec").expect("it is still known");
    assert_eq!(place.snippet, None, "a line of another text is not shown");
}
