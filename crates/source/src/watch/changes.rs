//! What file events add up to: which paths to look at, and when it is quiet enough to do so.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};

/// A burst of changes is over when nothing came for so long.
const QUIET: Duration = Duration::from_millis(2);
/// A burst that does not end is looked at all the same.
const BURST_MAX: Duration = Duration::from_millis(25);
/// Of more paths than this everything is looked at.
const PATHS_MAX: usize = 1_000;

/// Changes that were not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files and directories to look at.
    paths: BTreeSet<PathBuf>,
    /// Those of them that appeared.
    new: BTreeSet<PathBuf>,
    /// Files that somebody has open for writing.
    open: BTreeSet<PathBuf>,
    /// Whether events were lost, so that everything must be looked at.
    everything: bool,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// What to look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At these paths and everything below them; `new` are directories among them that appeared.
    Paths {
        paths: BTreeSet<PathBuf>,
        new: BTreeSet<PathBuf>,
    },
    /// At everything.
    Everything,
}

/// Whether an event says that something changed: files are opened whenever they are read.
pub(super) fn matters(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

impl Changes {
    /// Takes one event of the file system.
    pub(super) fn event(&mut self, event: &notify::Event, now: Instant) {
        if event.need_rescan() {
            return self.lost(now);
        }
        let paths = event.paths.iter().cloned();
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.close(&event.paths),
            EventKind::Create(CreateKind::Folder) => self.new.extend(paths),
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
                self.open.extend(paths);
            }
            EventKind::Remove(_) => self.close(&event.paths),
            EventKind::Modify(ModifyKind::Name(_)) => {
                self.close(&event.paths);
                self.new
                    .extend(paths.filter(|path| path.extension().is_none()));
            }
            _ => {}
        }
        self.paths.extend(event.paths.iter().cloned());
        if self.paths.len() > PATHS_MAX {
            self.everything = true;
            self.paths.clear();
            self.open.clear();
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Events were lost.
    pub(super) fn lost(&mut self, now: Instant) {
        self.everything = true;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Adds paths to the next look without putting it off.
    pub(super) fn again(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.paths.extend(paths);
    }

    /// When to look; `None` when nothing changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        let bound = first + BURST_MAX;
        if self.open.is_empty() {
            Some(bound.min(last + QUIET))
        } else {
            Some(bound)
        }
    }

    /// What to look at. Nothing is left.
    pub(super) fn take(&mut self) -> Look {
        let changes = std::mem::take(self);
        if changes.everything {
            Look::Everything
        } else {
            Look::Paths {
                paths: changes.paths,
                new: changes.new,
            }
        }
    }

    fn close(&mut self, paths: &[PathBuf]) {
        for path in paths {
            self.open.remove(path);
        }
    }
}
