//! Watching: changes arrive soon, once, and never by halves.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, ModifyKind};
use notify::{Event, EventKind};
use tempfile::TempDir;
use tokio::time::timeout;

use super::Watch;
use super::changes::{Changes, Look};
use crate::clock;
use crate::input::{Options, SourceError};
use crate::loader::Event as Change;

/// So long a change may take on a busy machine before the test fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// Long enough that no change is found by looking at everything.
const NEVER: Duration = Duration::from_secs(3_600);

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  ports:\n  - port: {port}\n"
    )
}

fn options(poll_interval: Duration) -> Options {
    Options {
        poll_interval,
        ..Options::default()
    }
}

struct Desk {
    directory: TempDir,
    watch: Watch,
    /// Every event since the start, in words.
    told: Vec<String>,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("the file can be written");
        }
        Self::open(directory, options(NEVER))
    }

    fn open(directory: TempDir, options: Options) -> Self {
        let paths = [directory.path().to_owned()];
        let (_, watch) = Watch::start(&paths, options, &mut |_| {}).expect("it can be watched");
        Self {
            directory,
            watch,
            told: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Takes batches until one ends with an event.
    async fn until(&mut self, last: &str) {
        let wait = async {
            while self.told.last().map(String::as_str) != Some(last) {
                let batch = self.watch.next().await.expect("the watch goes on");
                self.told.extend(batch.events.iter().map(told));
            }
        };
        let in_time = timeout(DEADLINE, wait).await.is_ok();
        assert!(in_time, "{last} did not come; {:?} came", self.told);
    }
}

fn told(event: &Change) -> String {
    match event {
        Change::Apply(weft_api::AnyObject::Service(service)) => {
            format!(
                "+{}:{}",
                weft_api::Object::name(service.as_ref()),
                service.spec.ports[0].port
            )
        }
        Change::Apply(object) => format!("+{}", object.key().name()),
        Change::Delete(object) => format!("-{}", object.key.name()),
    }
}

#[tokio::test]
async fn every_way_to_change_a_file_is_seen() {
    let mut desk = Desk::new(&[("a.yaml", &service("a", 1))]);
    fs::write(desk.path("a.yaml"), service("a", 2)).expect("written in place");
    desk.until("+a:2").await;
    fs::write(desk.path(".a.new"), service("a", 3)).expect("written beside it");
    fs::rename(desk.path(".a.new"), desk.path("a.yaml")).expect("renamed into place");
    desk.until("+a:3").await;
    fs::create_dir_all(desk.path("deep/er")).expect("directories can be made");
    fs::write(desk.path("deep/er/b.yaml"), service("b", 1)).expect("written in a new directory");
    desk.until("+b:1").await;
    fs::write(desk.path("deep/er/b.yaml"), service("b", 2)).expect("changed in a new directory");
    desk.until("+b:2").await;
    fs::remove_dir_all(desk.path("deep")).expect("the directories can be removed");
    desk.until("-b").await;
    fs::remove_file(desk.path("a.yaml")).expect("the file can be removed");
    desk.until("-a").await;
    let expected = ["+a:2", "+a:3", "+b:1", "+b:2", "-b", "-a"];
    assert_eq!(desk.told, expected, "every change once, and nothing else");
}

#[tokio::test]
async fn the_swap_of_a_mounted_config_map_is_one_change() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = |name: &str| directory.path().join(name);
    let version = |name: &str, port| {
        fs::create_dir(path(name)).expect("a version can be made");
        fs::write(path(name).join("a.yaml"), service("a", port)).expect("it can be filled");
    };
    version("..v1", 1);
    symlink("..v1", path("..data")).expect("a link can be made");
    symlink("..data/a.yaml", path("a.yaml")).expect("a link can be made");
    version("..v2", 2);
    symlink("..v2", path("..data_tmp")).expect("a link can be made");
    let (from, to) = (path("..data_tmp"), path("..data"));
    let mut desk = Desk::open(directory, options(NEVER));
    fs::rename(from, to).expect("the link can be replaced");
    desk.until("+a:2").await;
    assert_eq!(desk.told, ["+a:2"]);
}

#[tokio::test]
async fn a_half_written_file_makes_nothing_vanish() {
    let text = |port| format!("{}---\n{}", service("a", port), service("b", port));
    let mut desk = Desk::new(&[("x.yaml", &text(1))]);
    for port in 2..30 {
        let path = desk.path("x.yaml");
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .expect("opened");
        let text = text(port);
        let (first, second) = text.split_at(text.len() / 2 + usize::from(port) % 20);
        file.write_all(first.as_bytes())
            .expect("one half is written");
        std::thread::yield_now();
        file.write_all(second.as_bytes())
            .expect("the other half is written");
        drop(file);
        desk.until(&format!("+b:{port}")).await;
    }
    let vanished = desk.told.iter().any(|event| event.starts_with('-'));
    assert!(
        !vanished,
        "objects vanished while a file was written: {:?}",
        desk.told
    );
}

#[tokio::test]
async fn touching_a_file_does_nothing() {
    let mut desk = Desk::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 1))]);
    fs::write(desk.path("a.yaml"), service("a", 1)).expect("written with the same content");
    fs::write(desk.path("b.yaml"), service("b", 2)).expect("written with another content");
    desk.until("+b:2").await;
    assert_eq!(desk.told, ["+b:2"]);
}

#[tokio::test]
async fn a_file_that_breaks_is_told_and_its_objects_stay() {
    let mut desk = Desk::new(&[("a.yaml", &service("a", 1))]);
    fs::write(desk.path("a.yaml"), "spec: [unclosed\n").expect("it can be written");
    let batch = timeout(DEADLINE, desk.watch.next()).await.expect("in time");
    let batch = batch.expect("the watch goes on");
    assert!(
        batch.events.is_empty(),
        "nothing vanishes: {:?}",
        batch.events
    );
    assert_eq!(batch.findings[0].code, "WA120");
    fs::write(desk.path("a.yaml"), service("a", 1)).expect("it can be corrected");
    let batch = timeout(DEADLINE, desk.watch.next()).await.expect("in time");
    let batch = batch.expect("the watch goes on");
    assert!(batch.findings.is_empty(), "the finding goes with its cause");
}

#[tokio::test]
async fn a_single_file_is_watched_through_renames() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("one.conf");
    fs::write(&path, service("a", 1)).expect("it can be written");
    fs::write(directory.path().join("other.yaml"), service("b", 1)).expect("it can be written");
    let paths = [path.clone()];
    let (first, mut watch) =
        Watch::start(&paths, options(NEVER), &mut |_| {}).expect("it can be watched");
    assert_eq!(first.events.len(), 1, "only the named file is read");
    for port in [2, 3] {
        let new = directory.path().join("new");
        fs::write(&new, service("a", port)).expect("it can be written");
        fs::rename(&new, &path).expect("it can be renamed");
        let batch = timeout(DEADLINE, watch.next()).await.expect("in time");
        let events = batch.expect("the watch goes on").events;
        assert_eq!(told(&events[0]), format!("+a:{port}"));
    }
}

#[tokio::test]
async fn looking_at_everything_finds_what_no_event_told() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let elsewhere = tempfile::tempdir().expect("a directory can be made");
    let target = elsewhere.path().join("target.yaml");
    fs::write(&target, service("a", 1)).expect("it can be written");
    // The target of a link to a file is watched by nobody.
    symlink(&target, directory.path().join("a.yaml")).expect("a link can be made");
    let mut desk = Desk::open(directory, options(Duration::from_millis(50)));
    fs::write(&target, service("a", 2)).expect("it can be written");
    desk.until("+a:2").await;
}

#[test]
fn standard_input_cannot_be_watched() {
    let started = Watch::start(&[PathBuf::from("-")], Options::default(), &mut |_| {});
    assert!(
        matches!(started, Err(SourceError::WatchStdin)),
        "{started:?}"
    );
}

fn event(kind: EventKind, path: &str) -> Event {
    Event::new(kind).add_path(PathBuf::from(path))
}

const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
const CREATE: EventKind = EventKind::Create(CreateKind::File);

/// What the row is about, events as (milliseconds, kind, path), and when the look is due.
type Row = (&'static str, &'static [(u64, EventKind, &'static str)], u64);

#[test]
fn a_look_waits_for_quiet_and_for_writers_but_not_for_long() {
    let start = clock::now();
    let at = |millis| start + Duration::from_millis(millis);
    let rows: &[Row] = &[
        (
            "closed: after 2 ms of quiet",
            &[(0, WRITE, "a"), (1, CLOSE, "a")],
            3,
        ),
        ("still open: at the bound", &[(0, WRITE, "a")], 25),
        (
            "one of two open: at the bound",
            &[(0, CREATE, "a"), (1, WRITE, "b"), (2, CLOSE, "a")],
            25,
        ),
        (
            "a burst: at the bound",
            &[(0, CLOSE, "a"), (12, CLOSE, "b"), (24, CLOSE, "c")],
            25,
        ),
    ];
    for (name, events, due) in rows {
        let mut changes = Changes::default();
        for (millis, kind, path) in *events {
            changes.event(&event(*kind, path), at(*millis));
        }
        assert_eq!(changes.due(), Some(at(*due)), "{name}");
    }
    assert_eq!(Changes::default().due(), None, "nothing happened");
}

#[test]
fn too_many_changes_become_a_look_at_everything() {
    let now = clock::now();
    let mut changes = Changes::default();
    changes.event(&event(CLOSE, "a"), now);
    let paths = BTreeSet::from([Path::new("a").to_owned()]);
    let expected = Look::Paths {
        paths,
        new: BTreeSet::new(),
    };
    assert_eq!(changes.take(), expected);
    assert_eq!(changes.due(), None, "taken");
    for index in 0..2_000 {
        changes.event(&event(CLOSE, &index.to_string()), now);
    }
    assert_eq!(changes.take(), Look::Everything);
}
