//! Files of statuses: read once, replaced as a whole, removed with their object.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_api::meta::Time;
use weft_api::{AnyObject, Kind, ObjectRef};

use super::merge::transition_times;
use super::queue::Job;

/// Directory of objects without a namespace; no namespace can have this name.
const CLUSTER: &str = "_cluster";
const EXTENSION: &str = "yaml";

/// The side of the thread.
pub(super) struct Writer {
    directory: PathBuf,
    /// What this process wrote, by object, so that most writes need no look at the disk.
    written: HashMap<ObjectRef, u64>,
}

impl Writer {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            written: HashMap::new(),
        }
    }

    pub(super) fn perform(&mut self, job: Job) {
        let result = match job {
            Job::Write(object, now) => self.write(&object, &now),
            Job::Remove(object) => self.remove(&object),
            Job::Retain(objects) => self.retain(&objects),
        };
        if let Err(error) = result {
            let directory = self.directory.display();
            tracing::warn!(
                "cannot write statuses to {directory}: {error}; check space and permissions"
            );
        }
    }

    fn write(&mut self, object: &AnyObject, now: &Time) -> io::Result<()> {
        let reference = object.reference();
        let mut value = object.to_value()?;
        redact(&mut value, reference.kind);
        let wanted = mark(&value);
        if self.written.get(&reference) == Some(&wanted) {
            return Ok(());
        }
        let path = self.path(&reference);
        let before = fs::read_to_string(&path).unwrap_or_default();
        let known = crate::yaml::parse(&before).ok().flatten();
        let null = Value::Null;
        let status = known.as_ref().and_then(|known| known.get("status"));
        if let Some(wanted) = value.get_mut("status") {
            transition_times(wanted, status.unwrap_or(&null), now);
        }
        let text = serde_saphyr::to_string(&value).map_err(io::Error::other)?;
        if text != before {
            replace(&path, &text)?;
        }
        self.written.insert(reference, wanted);
        Ok(())
    }

    fn remove(&mut self, object: &ObjectRef) -> io::Result<()> {
        self.written.remove(object);
        let path = self.path(object);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Directories go with their last file; one that is not empty stays.
        let namespace = path.parent();
        for directory in [namespace, namespace.and_then(Path::parent)] {
            let removed = directory.map(fs::remove_dir);
            if !matches!(removed, Some(Ok(()))) {
                break;
            }
        }
        Ok(())
    }

    fn retain(&mut self, objects: &BTreeSet<ObjectRef>) -> io::Result<()> {
        let kept: BTreeSet<PathBuf> = objects.iter().map(|object| self.path(object)).collect();
        self.written.retain(|object, _| objects.contains(object));
        remove_others(&self.directory, &kept)
    }

    /// Names were checked when objects were read, so they are no paths of their own.
    fn path(&self, object: &ObjectRef) -> PathBuf {
        let namespace = match object.key.namespace() {
            "" => CLUSTER,
            namespace => namespace,
        };
        let directory = self.directory.join(object.kind.as_str()).join(namespace);
        directory.join(format!("{}.{EXTENSION}", object.key.name()))
    }
}

/// What this run wants to say about an object, transition times aside.
fn mark(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Values of Secrets are never written.
fn redact(value: &mut Value, kind: Kind) {
    if kind == Kind::Secret
        && let Value::Object(fields) = value
    {
        fields.remove("data");
        fields.remove("stringData");
    }
}

/// Replaces a file in one step, so that readers see the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // Hidden, so that no reader of the directory takes it for a status.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.new"));
    let create = || File::create(&temporary);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            create()?
        }
        other => other?,
    };
    file.write_all(text.as_bytes())?;
    drop(file);
    fs::rename(&temporary, path)
}

/// Removes all files but some, and the directories that become empty.
fn remove_others(directory: &Path, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, kept)?;
            // One that is not empty stays.
            let _ = fs::remove_dir(&path);
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
