//! Files to events: reads what was named, once or again, and says what changed since.

mod assemble;
mod book;
mod entries;
mod file;
mod known;
mod parallel;
mod places;
mod read;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use weft_api::{AnyObject, ObjectRef};

use crate::admit::Admission;
use crate::finding::{Finding, NO_DOCUMENTS};
use crate::input::{Options, Progress, SourceError};
use book::{Book, Change};
pub use places::Places;
use read::Reader;
use walk::Stamp;
pub(crate) use walk::is_hidden;

/// Name of standard input among the paths.
const STDIN: &str = "-";

/// What happened to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is new or different.
    Apply(AnyObject),
    /// It is gone.
    Delete(ObjectRef),
}

/// What one look at the files brought.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What changed since the batch before, by kind and key; every object at most once.
    pub events: Vec<Event>,
    /// Everything that is wrong now, not only what is new: by file, then in the order of the file.
    pub findings: Arc<[Finding]>,
    /// Files that were found.
    pub files: usize,
    /// Documents in them.
    pub documents: usize,
}

/// Reads files and remembers what they held, so that reading again gives only what changed.
///
/// An object keeps its last good version while the document that defines it is broken. Of an
/// object that several files define, the first file in the order of paths counts.
#[derive(Debug)]
pub struct Loader {
    roots: Vec<PathBuf>,
    options: Options,
    admission: Arc<Admission>,
    book: Arc<RwLock<Book>>,
    /// Findings about no file.
    notices: Vec<Finding>,
}

/// What a look found in the files, before it counts.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// What became of files, by path.
    pub(crate) files: BTreeMap<Arc<Path>, Change>,
    /// Directories that cannot be listed; absent when none was listed.
    pub(crate) trouble: Option<Vec<Finding>>,
}

impl Loader {
    /// A loader of files and directories; `-` stands for standard input. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`SourceError::Path`] when a path does not exist.
    pub fn new(paths: &[PathBuf], options: Options) -> Result<Self, SourceError> {
        for path in paths.iter().filter(|path| !is_stdin(path)) {
            std::fs::metadata(path).map_err(|source| SourceError::Path {
                path: path.clone(),
                source,
            })?;
        }
        let admission = Admission::shared(options.channel);
        Ok(Self {
            roots: paths.to_vec(),
            options,
            admission,
            book: Arc::default(),
            notices: Vec::new(),
        })
    }

    /// Reads what was named and gives what changed since the last time, the first time everything.
    /// Blocks; uses all processors. `on_progress` is called when it takes longer than a second,
    /// then ten times a second.
    ///
    /// # Errors
    ///
    /// [`SourceError::Stdin`] when standard input cannot be read.
    pub fn load(&mut self, on_progress: &mut dyn FnMut(Progress)) -> Result<Batch, SourceError> {
        let mut staged = self.stage_all(on_progress);
        if self.roots.iter().any(|root| is_stdin(root)) {
            self.stage_stdin(&mut staged)?;
        }
        Ok(self.commit(staged))
    }

    /// Where objects and their fields are written. The handle stays valid and follows the loads.
    #[must_use]
    pub fn places(&self) -> Places {
        Places::new(Arc::clone(&self.book))
    }

    pub(crate) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Sets the findings that every batch has besides those about files.
    pub(crate) fn set_notices(&mut self, notices: Vec<Finding>) {
        self.notices = notices;
    }

    /// Lists everything and reads what looks different from the last time.
    pub(crate) fn stage_all(&self, on_progress: &mut dyn FnMut(Progress)) -> Staged {
        let roots = self.roots.iter().filter(|root| !is_stdin(root));
        let listing = walk::list(roots, &self.options.exclude);
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let gone = book
            .paths()
            .filter(|path| path.as_os_str() != STDIN && !listing.files.contains_key(path.as_ref()));
        let mut files: BTreeMap<_, _> = gone.map(|path| (Arc::clone(path), Change::Gone)).collect();
        let differs = |(path, stamp): &(PathBuf, Stamp)| book.stamp(path) != Some(*stamp);
        let changed: Vec<_> = listing.files.into_iter().filter(differs).collect();
        files.extend(self.reader(&book).read(changed, on_progress));
        Staged {
            files,
            trouble: Some(listing.trouble),
        }
    }

    /// Reads some files again, however they look. A directory stands for everything below it that
    /// looks different; paths that are no input are left out.
    pub(crate) fn stage_some<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Staged {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = BTreeMap::new();
        let mut files = BTreeMap::new();
        for path in paths {
            let is_root = self.roots.contains(path);
            let listing = walk::list_below(path, is_root, &self.options.exclude);
            let gone = book
                .paths_below(path)
                .filter(|path| !listing.files.contains_key(path.as_ref()));
            files.extend(gone.map(|path| (Arc::clone(path), Change::Gone)));
            let differs =
                |(file, stamp): &(PathBuf, Stamp)| file == path || book.stamp(file) != Some(*stamp);
            wanted.extend(listing.files.into_iter().filter(differs));
        }
        let wanted = wanted.into_iter().collect();
        files.extend(self.reader(&book).read(wanted, &mut |_| {}));
        Staged {
            files,
            trouble: None,
        }
    }

    /// Makes what was staged count.
    pub(crate) fn commit(&self, staged: Staged) -> Batch {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let events = book.commit(staged);
        let mut findings = self.notices.clone();
        findings.extend(book.findings());
        findings.extend(book.duplicates());
        if book.paths().next().is_none() {
            let named: Vec<_> = self
                .roots
                .iter()
                .map(|root| root.display().to_string())
                .collect();
            let message = format!("no file found in {}", named.join(", "));
            findings.push(Finding::new(&NO_DOCUMENTS, message));
        }
        Batch {
            events,
            findings: findings.into(),
            files: book.paths().count(),
            documents: book.documents(),
        }
    }

    /// Whether a staged file looks as if somebody were still writing it.
    pub(crate) fn is_doubtful(&self, path: &Path, change: &Change) -> bool {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.is_doubtful(path, change)
    }

    fn stage_stdin(&self, staged: &mut Staged) -> Result<(), SourceError> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)
            .map_err(SourceError::Stdin)?;
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let file = self.reader(&book).read_stdin(Path::new(STDIN), bytes);
        let change = Change::New(Box::new(file));
        staged.files.insert(Path::new(STDIN).into(), change);
        Ok(())
    }

    fn reader<'a>(&'a self, book: &'a Book) -> Reader<'a> {
        Reader::new(&self.admission, book)
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}
