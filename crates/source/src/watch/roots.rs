//! The watched paths: how the operating system is asked to tell about them, and what its events
//! mean for the paths as they were named.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::finding::{Finding, POLLING};
use crate::loader::is_hidden;

/// The watched paths and the watcher.
pub(super) struct Roots {
    roots: Vec<Root>,
    /// `None` when the operating system gives none.
    watcher: Result<RecommendedWatcher, String>,
}

struct Root {
    /// As it was named.
    named: PathBuf,
    /// As events have it.
    absolute: PathBuf,
    /// What is watched: the directory itself, or that of a file, which may be replaced by a rename.
    watched: PathBuf,
    /// Device and inode of what is watched; `None` while there is none.
    identity: Option<(u64, u64)>,
    /// Why it cannot be watched.
    failure: Option<String>,
}

impl Roots {
    /// Watches paths; `on_event` is called on a thread of the watcher.
    pub(super) fn watch(
        paths: &[PathBuf],
        on_event: impl FnMut(notify::Result<notify::Event>) + Send + 'static,
    ) -> Self {
        let watcher = notify::recommended_watcher(on_event).map_err(|error| error.to_string());
        let mut roots = Self {
            roots: paths.iter().map(|path| Root::new(path)).collect(),
            watcher,
        };
        roots.renew();
        roots
    }

    /// Watches what was replaced or could not be watched before. Whether the notices changed.
    pub(super) fn renew(&mut self) -> bool {
        let mut changed = false;
        for root in &mut self.roots {
            let identity = identity(&root.watched);
            if identity == root.identity && root.failure.is_none() {
                continue;
            }
            root.identity = identity;
            let failure = match &mut self.watcher {
                Ok(watcher) => {
                    let mode = if root.is_directory() {
                        RecursiveMode::Recursive
                    } else {
                        RecursiveMode::NonRecursive
                    };
                    // A watch of the directory that was here before ends without being asked.
                    let watched = watcher.watch(&root.watched, mode);
                    watched.err().map(|error| error.to_string())
                }
                Err(reason) => Some(reason.clone()),
            };
            changed |= failure != root.failure;
            root.failure = failure;
        }
        changed
    }

    /// A finding for every path that is not watched.
    pub(super) fn notices(&self) -> Vec<Finding> {
        let failed = self.roots.iter().filter_map(|root| {
            let reason = root.failure.as_ref()?;
            let path = root.named.display();
            let message = format!("{path} cannot be watched: {reason}");
            Some(Finding::new(&POLLING, message))
        });
        failed.collect()
    }

    /// The event with the paths as they were named, without those that do not matter; `None` when
    /// none is left.
    pub(super) fn translate(&self, mut event: notify::Event) -> Option<notify::Event> {
        if event.need_rescan() {
            return Some(event);
        }
        event.paths = event
            .paths
            .iter()
            .filter_map(|path| self.roots.iter().find_map(|root| root.subject(path)))
            .collect();
        (!event.paths.is_empty()).then_some(event)
    }
}

impl Root {
    fn new(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let parent = absolute.parent().filter(|_| !absolute.is_dir());
        Self {
            named: path.to_owned(),
            watched: parent.unwrap_or(&absolute).to_owned(),
            absolute,
            identity: None,
            failure: None,
        }
    }

    fn is_directory(&self) -> bool {
        self.watched == self.absolute
    }

    /// What an event at a path says about this root. Hidden files are no input, but the hidden
    /// directories of a mounted ConfigMap, which begin with two dots, change what the links beside
    /// them mean.
    fn subject(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.watched).ok()?;
        let mut visible = PathBuf::new();
        for part in inside.components() {
            let name: &Path = part.as_ref();
            if is_hidden(name) {
                let is_version = name.as_os_str().as_encoded_bytes().starts_with(b"..");
                return is_version.then(|| self.below(&visible)).flatten();
            }
            visible.push(part);
        }
        self.below(&visible)
    }

    fn below(&self, inside: &Path) -> Option<PathBuf> {
        if self.is_directory() {
            return Some(if inside.as_os_str().is_empty() {
                self.named.clone()
            } else {
                self.named.join(inside)
            });
        }
        // Of the directory of a file only the file matters, and the links it may go through.
        let concerned =
            inside.as_os_str().is_empty() || self.absolute.file_name() == Some(inside.as_os_str());
        concerned.then(|| self.named.clone())
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
