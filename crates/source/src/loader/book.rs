//! What all files hold together: which object is served from which file, and what changes when
//! files do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use weft_api::{AnyObject, ObjectRef};

use super::file::{At, Content, Entry, File, Wholeness, dense, differing};
use super::known::Known;
use super::places::Origin;
use super::walk::Stamp;
use super::{Event, Staged};
use crate::finding::{DEFINED_TWICE, FOREIGN_KIND, Finding};
use crate::place::Place;

/// All files and the objects they define.
#[derive(Debug, Default)]
pub(crate) struct Book {
    files: BTreeMap<Arc<Path>, File>,
    objects: BTreeMap<ObjectRef, Defined>,
    /// Files with findings or foreign kinds, so that a batch need not ask all of them.
    noted: BTreeSet<Arc<Path>>,
    /// Objects that several files define, with all of them in the order of paths.
    shared: BTreeMap<ObjectRef, Vec<Arc<Path>>>,
    trouble: Vec<Finding>,
    documents: usize,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is no longer there.
    Gone,
    /// It was written, with the content it had.
    Touched(Stamp),
    /// It is new or has another content.
    New(Box<File>),
}

/// An object and who defines it. There is one per object, so every byte counts.
#[derive(Debug, Default)]
struct Defined {
    /// The version that was handed out last.
    serving: Option<AnyObject>,
    /// The first file in the order of paths; `None` while a change is being made.
    first: Option<Arc<Path>>,
}

impl Book {
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.files.keys()
    }

    /// The files at or below a path.
    pub(crate) fn paths_below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Arc<Path>> {
        let from = self
            .files
            .range::<Path, _>((std::ops::Bound::Included(path), std::ops::Bound::Unbounded));
        from.map(|(file, _)| file)
            .take_while(move |file| file.starts_with(path))
    }

    pub(crate) fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).map(|file| file.stamp)
    }

    pub(crate) fn content(&self, path: &Path) -> Option<Content> {
        self.files.get(path).map(|file| file.content)
    }

    /// What need not be judged again when a file is read again.
    pub(super) fn known(&self, path: &Path) -> Known<'_> {
        self.files.get(path).map(Known::of).unwrap_or_default()
    }

    pub(crate) fn documents(&self) -> usize {
        self.documents
    }

    /// Whether a change may be half of one: objects are lost, or the file is not YAML any more.
    pub(crate) fn is_doubtful(&self, path: &Path, change: &Change) -> bool {
        let Some(old) = self.files.get(path) else {
            return matches!(change, Change::New(file)
                if file.wholeness != Wholeness::Whole || file.documents == 0);
        };
        match change {
            Change::Gone => !old.entries.is_empty(),
            Change::Touched(_) => false,
            Change::New(file) => {
                let mut differing = differing(&old.entries, &file.entries);
                let is_lost = |(_, before, after): (_, Option<&Entry>, Option<&Entry>)| {
                    before.is_some() && after.is_none_or(|after| after.refused)
                };
                file.wholeness != Wholeness::Whole || differing.any(is_lost)
            }
        }
    }

    /// Makes changes count and says what they mean for objects.
    pub(super) fn commit(&mut self, staged: Staged) -> Vec<Event> {
        let mut touched = Vec::new();
        let is_first = self.objects.is_empty();
        for (path, change) in staged.files {
            self.replace(&path, change, &mut touched);
        }
        if is_first {
            self.objects = dense(std::mem::take(&mut self.objects));
        }
        if let Some(trouble) = staged.trouble {
            self.trouble = trouble;
        }
        touched.sort();
        touched.dedup();
        let events = touched.into_iter().filter_map(|object| self.settle(object));
        events.collect()
    }

    fn replace(&mut self, path: &Arc<Path>, change: Change, touched: &mut Vec<ObjectRef>) {
        let is_gone = matches!(change, Change::Gone);
        let mut file = match change {
            Change::Gone => None,
            Change::Touched(stamp) => {
                if let Some(file) = self.files.get_mut(path) {
                    file.stamp = stamp;
                }
                return;
            }
            Change::New(file) => Some(*file),
        };
        let (path, old) = match self.files.remove_entry(path) {
            Some((path, old)) => (path, old),
            None => (Arc::clone(path), File::default()),
        };
        if let Some(file) = &mut file {
            keep_last_good(file, &old);
        }
        self.noted.remove(&path);
        self.documents -= old.documents as usize;
        let new = file.unwrap_or_default();
        for (object, before, after) in differing(&old.entries, &new.entries) {
            match (before, after) {
                (Some(_), None) => self.undefine(object, &path),
                (None, Some(_)) => self.define(object, &path),
                _ => {}
            }
            touched.push(object.clone());
        }
        if is_gone {
            return;
        }
        self.documents += new.documents as usize;
        if !new.findings.is_empty() || !new.foreign.is_empty() {
            self.noted.insert(Arc::clone(&path));
        }
        self.files.insert(path, new);
    }

    fn define(&mut self, object: &ObjectRef, path: &Arc<Path>) {
        let defined = self.objects.entry(object.clone()).or_default();
        let Some(first) = &defined.first else {
            defined.first = Some(Arc::clone(path));
            return;
        };
        let files = self.shared.entry(object.clone());
        let files = files.or_insert_with(|| vec![Arc::clone(first)]);
        files.insert(
            files.partition_point(|other| other < path),
            Arc::clone(path),
        );
        defined.first = files.first().cloned();
    }

    fn undefine(&mut self, object: &ObjectRef, path: &Arc<Path>) {
        let Some(defined) = self.objects.get_mut(object) else {
            return;
        };
        let Some(files) = self.shared.get_mut(object) else {
            defined.first = None;
            return;
        };
        files.retain(|other| other != path);
        defined.first = files.first().cloned();
        if files.len() == 1 {
            self.shared.remove(object);
        }
    }

    /// The files that define an object, in the order of paths.
    fn definers(&self, object: &ObjectRef) -> &[Arc<Path>] {
        if let Some(files) = self.shared.get(object) {
            return files;
        }
        let defined = self.objects.get(object);
        defined.map_or(&[], |defined| defined.first.as_slice())
    }

    fn entry(&self, object: &ObjectRef, path: &Path) -> Option<&Entry> {
        self.files.get(path)?.entries.get(object)
    }

    /// Decides which version of an object counts, and what that changes.
    fn settle(&mut self, object: ObjectRef) -> Option<Event> {
        let definers = self.definers(&object);
        if definers.is_empty() {
            let served = self.objects.remove(&object)?.serving.is_some();
            return served.then_some(Event::Delete(object));
        }
        let version = |path: &Arc<Path>| self.entry(&object, path)?.object.clone();
        // When every definition is broken, what was served before stays.
        let good = definers.iter().find_map(version)?;
        let defined = self.objects.get_mut(&object)?;
        if defined.serving.as_ref() == Some(&good) {
            return None;
        }
        defined.serving = Some(good.clone());
        Some(Event::Apply(good))
    }

    /// Where the version of an object that counts is written.
    pub(super) fn origin(&self, object: &ObjectRef) -> Option<Origin> {
        let definers = self.definers(object);
        let is_good = |path: &&Arc<Path>| {
            let entry = self.entry(object, path);
            entry.is_some_and(|entry| entry.object.is_some())
        };
        self.origin_in(object, definers.iter().find(is_good).or(definers.first())?)
    }

    fn origin_in(&self, object: &ObjectRef, path: &Arc<Path>) -> Option<Origin> {
        let file = self.files.get(path)?;
        Some(Origin {
            path: Arc::clone(path),
            content: file.content,
            text: file.text.clone(),
            at: file.entries.get(object)?.at,
        })
    }

    /// What is wrong with files and their documents, by file.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.trouble.clone();
        let mut foreign: BTreeMap<(&str, &str), (Place, usize)> = BTreeMap::new();
        for path in &self.noted {
            let Some(file) = self.files.get(path) else {
                continue;
            };
            findings.extend(file.findings.iter().cloned());
            for one in &file.foreign {
                let kind = (one.api_version.as_str(), one.kind.as_str());
                let first = foreign
                    .entry(kind)
                    .or_insert_with(|| (start_of(path, &one.at), 0));
                first.1 += 1;
            }
        }
        let foreign = foreign
            .into_iter()
            .map(|((version, kind), (place, count))| {
                let message = format!("{kind} of {version} is ignored, {count} in all");
                Finding::new(&FOREIGN_KIND, message).place(Some(place))
            });
        findings.extend(foreign);
        findings
    }

    /// A finding for every definition of an object after the first that counts.
    pub(super) fn duplicates(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (object, files) in &self.shared {
            let Some(winner) = self.origin(object) else {
                continue;
            };
            let first = winner.locate(object.kind, "metadata.name");
            for path in files {
                if let Some(loser) = self.origin_in(object, path)
                    && loser.path != winner.path
                {
                    let message = format!("defined in {first} already, which counts");
                    let place = loser.locate(object.kind, "metadata.name");
                    let finding = Finding::new(&DEFINED_TWICE, message);
                    findings.push(finding.object(Some(object.clone())).place(Some(place)));
                }
            }
        }
        findings
    }
}

/// The first line of a document, without looking at it.
fn start_of(path: &Arc<Path>, at: &At) -> Place {
    Place {
        file: Arc::clone(path),
        document: at.document,
        line: at.lines_before + 1,
        column: 1,
        snippet: None,
    }
}

/// Carries over what a file held before and cannot say now.
fn keep_last_good(file: &mut File, old: &File) {
    let kept = |entry: &Entry| Entry {
        at: At {
            length: 0,
            ..entry.at
        },
        object: entry.object.clone(),
        mark: entry.mark,
        refused: true,
    };
    if file.wholeness == Wholeness::Broken && !old.entries.is_empty() {
        let entries = old.entries.iter();
        let kept: BTreeMap<_, _> = entries
            .map(|(object, entry)| (object.clone(), kept(entry)))
            .collect();
        file.entries = kept.into();
        // The file counts as one thing: of a half-finished edit nothing is taken.
        for finding in &mut file.findings {
            finding.message += "; everything in this file keeps its last good version";
        }
        return;
    }
    if file.wholeness == Wholeness::Whole && !file.entries.values().any(|entry| entry.refused) {
        return;
    }
    let mut missing = BTreeMap::new();
    for (object, before) in old.entries.iter() {
        match file.entries.get_mut(object) {
            Some(entry) if entry.refused && before.object.is_some() => {
                entry.object.clone_from(&before.object);
                entry.mark = before.mark;
                let about = |finding: &&mut Finding| finding.object.as_ref() == Some(object);
                for finding in file.findings.iter_mut().filter(about) {
                    finding.message += "; the last good version keeps serving";
                }
            }
            Some(_) => {}
            // It may be the object of a document that does not say which one it is.
            None if file.wholeness == Wholeness::Nameless => {
                missing.insert(object.clone(), kept(before));
            }
            None => {}
        }
    }
    if !missing.is_empty() {
        file.entries.extend(missing);
    }
}
