//! The queue between serving threads and the one thread that writes.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{AccessLogError, Sink};
use crate::metrics::ProcessMetrics;

/// How long dropping the last handle may wait for a slow sink.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Lines written before the sink is flushed although more are waiting.
const BATCH_LINES: usize = 256;

/// The label value of lines dropped by a full queue.
const PLACE: &str = "access_log";

type Line = Vec<u8>;

/// The sending side. Dropping it writes what is queued.
pub(super) struct Queue {
    lines: SyncSender<Line>,
    queued: AtomicU64,
    written: Arc<Written>,
    process: Arc<ProcessMetrics>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

/// How many lines have left the queue and been handed to the sink.
#[derive(Debug, Default)]
struct Written {
    lines: Mutex<u64>,
    changed: Condvar,
}

impl Written {
    fn add(&self, lines: u64) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) += lines;
        self.changed.notify_all();
    }

    fn wait(&self, wanted: u64, limit: Duration) -> bool {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, _) = self
            .changed
            .wait_timeout_while(lines, limit, |lines| *lines < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        *lines >= wanted
    }
}

impl Queue {
    /// Opens `sink` and starts the thread that writes to it.
    pub(super) fn start(
        sink: &Sink,
        queue_lines: usize,
        process: Arc<ProcessMetrics>,
    ) -> Result<Self, AccessLogError> {
        let out: Box<dyn Write + Send> = match sink {
            Sink::Stdout => Box::new(io::stdout()),
            Sink::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let open = |source| AccessLogError::Open {
                    path: path.clone(),
                    source,
                };
                Box::new(file.map_err(open)?)
            }
        };
        Self::write_to(out, queue_lines, process)
    }

    /// Starts the thread that writes to `out`.
    pub(super) fn write_to(
        out: Box<dyn Write + Send>,
        queue_lines: usize,
        process: Arc<ProcessMetrics>,
    ) -> Result<Self, AccessLogError> {
        let (lines, waiting) = sync_channel(queue_lines.max(1));
        let written = Arc::new(Written::default());
        let progress = Arc::clone(&written);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || run(&waiting, BufWriter::new(out), &progress))
            .map_err(AccessLogError::Thread)?;
        Ok(Self {
            lines,
            queued: AtomicU64::new(0),
            written,
            process,
        })
    }

    /// Queues a line, or drops and counts it if the queue is full.
    pub(super) fn push(&self, line: Line) {
        match self.lines.try_send(line) {
            Ok(()) => {
                self.queued.fetch_add(1, Ordering::Relaxed);
            }
            // The writer ends only after every sender is gone, so `Disconnected` means that it
            // panicked; its lines are lost like those of a full queue.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.process.channel_full(PLACE);
            }
        }
    }

    /// Waits until what is queued now is written, at most `limit`; says whether it is.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        self.written
            .wait(self.queued.load(Ordering::Relaxed), limit)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.flush(CLOSE_LIMIT) {
            tracing::warn!("access log: the sink is stuck, lines still queued are lost");
        }
    }
}

/// Writes until every sender is gone. Lines are flushed whenever the queue runs empty, and after each
/// batch, so that a busy log is still seen and waited for.
fn run(waiting: &Receiver<Line>, mut out: BufWriter<Box<dyn Write + Send>>, written: &Written) {
    let mut failing = false;
    while let Ok(first) = waiting.recv() {
        let mut lines = 0;
        let mut result = Ok(());
        for line in std::iter::once(first).chain(waiting.try_iter().take(BATCH_LINES)) {
            lines += 1;
            result = result.and_then(|()| out.write_all(&line));
        }
        report(result.and_then(|()| out.flush()), &mut failing);
        written.add(lines);
    }
}

/// Says once when the sink starts to fail and once when it works again: a line per lost line
/// would only fill the next disk.
fn report(result: io::Result<()>, failing: &mut bool) {
    match result {
        Err(error) if !*failing => {
            tracing::error!(%error, "access log: the sink refuses lines, they are lost");
            *failing = true;
        }
        Ok(()) if *failing => {
            tracing::info!("access log: the sink works again");
            *failing = false;
        }
        Ok(()) | Err(_) => {}
    }
}
