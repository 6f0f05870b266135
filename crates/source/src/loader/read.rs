//! Reads files and judges their documents, in parallel, without changing anything.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::assemble::assemble;
use super::book::{Book, Change};
use super::file::{At, Content, File, Mark};
use super::known::Known;
use super::parallel;
use super::walk::Stamp;
use crate::admit::{Admission, Verdict};
use crate::clock;
use crate::input::Progress;
use crate::yaml::{self, Document, YamlError};

/// Largest file.
pub(super) const FILE_MAX_BYTES: u64 = 256 << 20;
/// Text that is held at once, if no file is larger: enough to keep all processors busy, and little
/// beside what is made of it.
const GROUP_BYTES: u64 = 4 << 20;
/// Documents one thread takes at a time.
const DOCUMENTS_PER_TASK: usize = 32;
/// Loads that take longer show their progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);
/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Reads files, given what is known of them.
pub(super) struct Reader<'a> {
    admission: &'a Admission,
    book: &'a Book,
}

/// A file as it came from the disk.
pub(super) struct Raw {
    pub(super) path: Arc<Path>,
    pub(super) stamp: Stamp,
    pub(super) content: Content,
    pub(super) text: Result<String, Unreadable>,
}

/// Why a file has no text.
pub(super) enum Unreadable {
    /// The system refuses it.
    System(String),
    /// It is no UTF-8 text, or something else altogether.
    NotText {
        /// Where the first byte stands that cannot be read: line and column, from 1.
        position: (u32, u32),
        /// That byte.
        byte: u8,
    },
}

/// What became of one object of a file.
pub(super) struct Piece {
    pub(super) at: At,
    pub(super) verdict: Verdict,
}

/// What became of one document: its objects, or why it is not YAML.
pub(super) struct Judged {
    pub(super) at: At,
    pub(super) mark: Mark,
    pub(super) pieces: Result<Vec<Piece>, YamlError>,
}

/// Some documents of a file to be judged.
struct Task<'a> {
    known: &'a Known<'a>,
    documents: &'a [Document<'a>],
}

impl<'a> Reader<'a> {
    pub(super) fn new(admission: &'a Admission, book: &'a Book) -> Self {
        Self { admission, book }
    }

    /// Reads files; those with the content that is known already are only touched, those that
    /// are gone by now are left out, because the next look will miss them.
    pub(super) fn read(
        &self,
        paths: Vec<(PathBuf, Stamp)>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Vec<(Arc<Path>, Change)> {
        let bytes = paths.iter().map(|(_, stamp)| stamp.size).sum();
        let mut meter = Meter::new(clock::now(), bytes, on_progress);
        let mut changes = Vec::new();
        let mut rest = paths.as_slice();
        while !rest.is_empty() {
            let sizes = rest.iter().map(|(_, stamp)| stamp.size);
            let (group, others) = rest.split_at(group_length(sizes));
            rest = others;
            let read = |(path, stamp): &(PathBuf, Stamp)| read_file(path, *stamp);
            let found = parallel::map(group, read, |_| {}).into_iter().flatten();
            let (known, new) = found.partition::<Vec<_>, _>(|raw| self.is_known(raw));
            changes.extend(known.into_iter().map(|raw| {
                meter.pass(raw.stamp.size);
                (raw.path, Change::Touched(raw.stamp))
            }));
            changes.extend(
                self.judge(new, &mut meter)
                    .into_iter()
                    .map(|(path, file)| (path, Change::New(Box::new(file)))),
            );
        }
        changes
    }

    /// Standard input, whose text is kept because it cannot be read again.
    pub(super) fn read_stdin(&self, path: &Path, bytes: Vec<u8>) -> File {
        let raw = Raw {
            path: path.into(),
            stamp: Stamp::default(),
            content: Content::of(&bytes),
            text: as_text(bytes),
        };
        let text = raw.text.as_deref().ok().map(Arc::from);
        let mut silent = |_| {};
        let mut meter = Meter::new(clock::now(), 0, &mut silent);
        let mut files = self.judge(vec![raw], &mut meter);
        let (_, file) = files
            .pop()
            .unwrap_or_else(|| (path.into(), File::default()));
        File { text, ..file }
    }

    fn is_known(&self, raw: &Raw) -> bool {
        raw.text.is_ok() && self.book.content(&raw.path) == Some(raw.content)
    }

    fn judge(&self, raws: Vec<Raw>, meter: &mut Meter<'_>) -> Vec<(Arc<Path>, File)> {
        let texts = raws.iter().map(|raw| raw.text.as_deref());
        let documents: Vec<Vec<Document<'_>>> = texts
            .map(|text| text.map(yaml::split).unwrap_or_default())
            .collect();
        let before = raws.iter().map(|raw| self.book.known(&raw.path));
        let before: Vec<Known<'_>> = before.collect();
        let tasks: Vec<Task<'_>> = before
            .iter()
            .zip(&documents)
            .flat_map(|(known, documents)| {
                let tasks = documents.chunks(DOCUMENTS_PER_TASK);
                tasks.map(move |documents| Task { known, documents })
            })
            .collect();
        let bytes = raws.iter().map(|raw| raw.stamp.size).sum();
        meter.begin(documents.iter().map(Vec::len).sum(), bytes);
        let work = |task: &Task<'_>| -> Vec<Judged> {
            let judge = |document| self.judge_document(task, document);
            task.documents.iter().map(judge).collect()
        };
        let each = |done: &Vec<Judged>| meter.advance(done.len(), clock::now());
        let mut judged = parallel::map(&tasks, work, each).into_iter().flatten();
        raws.iter()
            .zip(&documents)
            .map(|(raw, documents)| {
                let judged = judged.by_ref().take(documents.len()).collect();
                (Arc::clone(&raw.path), assemble(raw, judged))
            })
            .collect()
    }

    fn judge_document(&self, task: &Task<'_>, document: &Document<'_>) -> Judged {
        let at = At {
            offset: count(document.offset),
            length: count(document.text.len()),
            lines_before: document.lines_before,
            document: document.number,
            item: None,
        };
        let mark = Mark::of(document.text);
        let pieces = match task.known.verdict(mark) {
            Some(verdict) => Ok(vec![Piece { at, verdict }]),
            None => self.judge_text(at, document.text),
        };
        Judged { at, mark, pieces }
    }

    fn judge_text(&self, at: At, text: &str) -> Result<Vec<Piece>, YamlError> {
        let objects = yaml::parse(text)?.map(|value| expand(at, value));
        let judge = |(at, value)| Piece {
            at,
            verdict: self.admission.judge(value, text.len()),
        };
        Ok(objects.into_iter().flatten().map(judge).collect())
    }
}

/// Files are bounded, so that every number about them fits.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How many of some files may be held at once, at least one.
fn group_length(sizes: impl Iterator<Item = u64>) -> usize {
    let mut bytes = 0;
    let fits = |size: &u64| {
        bytes += size;
        bytes <= GROUP_BYTES
    };
    sizes.take_while(fits).count().max(1)
}

/// `None` when the file is gone.
fn read_file(path: &Path, stamp: Stamp) -> Option<Raw> {
    let read = if stamp.size > FILE_MAX_BYTES {
        let message = format!("{} bytes are more than {FILE_MAX_BYTES}", stamp.size);
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    } else {
        fs::read(path)
    };
    let (content, text) = match read {
        Ok(bytes) => (Content::of(&bytes), as_text(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            let reason = Unreadable::System(error.to_string());
            (Content::default(), Err(reason))
        }
    };
    Some(Raw {
        path: path.into(),
        stamp,
        content,
        text,
    })
}

fn as_text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|error| {
        let (good, bad) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let good = String::from_utf8_lossy(good);
        let line = good.rsplit('\n').next().unwrap_or_default();
        Unreadable::NotText {
            position: (
                count(good.split('\n').count()),
                count(line.chars().count() + 1),
            ),
            byte: bad.first().copied().unwrap_or_default(),
        }
    })
}

/// The objects of a document: its items when it is a list, as `kubectl get -o yaml` writes it.
fn expand(at: At, mut value: Value) -> Vec<(At, Value)> {
    let api_version = value.get("apiVersion").cloned();
    let kind = value.get("kind").and_then(Value::as_str).map(str::to_owned);
    let item_kind = kind.as_deref().and_then(|kind| kind.strip_suffix("List"));
    let (Some(item_kind), Some(items)) = (item_kind, value.get_mut("items")) else {
        return vec![(at, value)];
    };
    let Value::Array(items) = items.take() else {
        return vec![(at, value)];
    };
    let complete = |mut item: Value| {
        // Items of typed lists leave out what the list says for all of them.
        if let Value::Object(fields) = &mut item
            && !item_kind.is_empty()
        {
            let kind = fields.entry("kind");
            kind.or_insert_with(|| item_kind.into());
            if let Some(api_version) = &api_version {
                let version = fields.entry("apiVersion");
                version.or_insert_with(|| api_version.clone());
            }
        }
        item
    };
    let numbered = items.into_iter().zip(1..);
    numbered
        .map(|(item, number)| {
            let item_at = At {
                item: NonZeroU32::new(number),
                ..at
            };
            (item_at, complete(item))
        })
        .collect()
}

/// Tells how far a load is, once it is worth telling.
struct Meter<'a> {
    next_report: Instant,
    done: usize,
    /// Documents of the files that were read.
    read: usize,
    /// Bytes of those files.
    read_bytes: u64,
    /// Bytes of all files that have to be judged.
    all_bytes: u64,
    report: &'a mut dyn FnMut(Progress),
}

impl<'a> Meter<'a> {
    fn new(start: Instant, all_bytes: u64, report: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            next_report: start + PROGRESS_AFTER,
            done: 0,
            read: 0,
            read_bytes: 0,
            all_bytes,
            report,
        }
    }

    /// Leaves out a file.
    fn pass(&mut self, bytes: u64) {
        self.all_bytes = self.all_bytes.saturating_sub(bytes);
    }

    fn begin(&mut self, documents: usize, bytes: u64) {
        self.read += documents;
        self.read_bytes += bytes;
    }

    fn advance(&mut self, documents: usize, now: Instant) {
        self.done += documents;
        if now >= self.next_report {
            self.next_report = now + PROGRESS_EVERY;
            let (done, total) = (self.done, self.total());
            (self.report)(Progress { done, total });
        }
    }

    /// Documents of all files: those that are still to be read have as many for their size as
    /// those that were.
    fn total(&self) -> usize {
        let to_come = self.all_bytes.saturating_sub(self.read_bytes);
        let read = u64::try_from(self.read).unwrap_or(u64::MAX);
        let to_come = read.saturating_mul(to_come) / self.read_bytes.max(1);
        self.read + usize::try_from(to_come).unwrap_or(0)
    }
}
