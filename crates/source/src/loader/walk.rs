//! Lists the files of a directory: what is input, what is not, and what the file system says
//! about it.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::finding::{Finding, UNREADABLE};

/// Most directories inside each other.
const DEPTH_MAX: usize = 64;

/// What the file system says about a file. Equal stamps mean that nobody wrote it, as far as the
/// resolution of its clock tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The files that are input, by path, and the directories that could not be listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    pub(super) trouble: Vec<Finding>,
}

/// Everything below the named paths. A named file is input whatever its name.
pub(super) fn list<'a>(
    roots: impl Iterator<Item = &'a PathBuf>,
    exclude: &'a [PathBuf],
) -> Listing {
    let mut walk = Walk::new(exclude);
    for root in roots {
        walk.enter(root, true);
    }
    walk.listing
}

/// Everything at or below one path.
pub(super) fn list_below(path: &Path, is_root: bool, exclude: &[PathBuf]) -> Listing {
    let mut walk = Walk::new(exclude);
    walk.enter(path, is_root);
    walk.listing
}

/// Whether a path below a named directory is input by its name: editors and tools keep their own
/// files beside those they edit.
pub(crate) fn is_input(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    !is_hidden(path) && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Whether a name starts with a dot. Volumes of ConfigMaps keep their versions in such
/// directories and show them through links.
pub(crate) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    name.is_some_and(|name| name.starts_with(b"."))
}

struct Walk<'a> {
    exclude: &'a [PathBuf],
    /// Device and inode of the directories the walk is in, against links that lead back.
    inside: Vec<(u64, u64)>,
    listing: Listing,
}

impl<'a> Walk<'a> {
    fn new(exclude: &'a [PathBuf]) -> Self {
        Self {
            exclude,
            inside: Vec::new(),
            listing: Listing::default(),
        }
    }

    /// `named` says that the user named this very path.
    fn enter(&mut self, path: &Path, named: bool) {
        if self.exclude.iter().any(|excluded| excluded == path) {
            return;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path, &metadata),
            Ok(metadata) if metadata.is_file() && (named || is_input(path)) => {
                let stamp = Stamp::from(&metadata);
                self.listing.files.insert(path.to_owned(), stamp);
            }
            // A file that is gone was removed between listing and looking.
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.trouble(path, &error),
            _ => {}
        }
    }

    fn directory(&mut self, path: &Path, metadata: &Metadata) {
        let identity = (metadata.dev(), metadata.ino());
        if self.inside.contains(&identity) || self.inside.len() >= DEPTH_MAX {
            return;
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.trouble(path, &error),
        };
        self.inside.push(identity);
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let path = entry.path();
                    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                    if !is_hidden(&path) && (!is_file || is_input(&path)) {
                        self.enter(&path, false);
                    }
                }
                Err(error) => self.trouble(path, &error),
            }
        }
        self.inside.pop();
    }

    fn trouble(&mut self, path: &Path, error: &io::Error) {
        let message = format!("cannot read {}: {error}", path.display());
        self.listing
            .trouble
            .push(Finding::new(&UNREADABLE, message));
    }
}
