//! The access log: one JSON line per request or connection that is worth one.
//!
//! By default a line is written for what went wrong (see
//! [`RequestEnd::is_notable`](crate::metrics::RequestEnd::is_notable)) at a bounded rate, and
//! nothing for success, where the whole cost is one comparison. Lines are formatted by the serving
//! thread and written by a thread of their own behind a bounded queue: a slow disk loses lines,
//! which is counted, and never delays a request.

mod json;
mod limit;
mod record;
mod sink;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::limit::Limiter;
pub use self::record::{AccessRecord, Policy};
use self::sink::Queue;
use crate::metrics::ProcessMetrics;

/// Which requests get a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// All of them, at any rate.
    All,
    /// Notable ones, at a bounded rate.
    #[default]
    Errors,
    /// None.
    Off,
}

impl FromStr for Mode {
    type Err = AccessLogError;

    fn from_str(text: &str) -> Result<Self, AccessLogError> {
        match text {
            "all" => Ok(Self::All),
            "errors" => Ok(Self::Errors),
            "off" => Ok(Self::Off),
            _ => Err(AccessLogError::Mode(text.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Errors => "errors",
            Self::Off => "off",
        })
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sink {
    /// Standard output.
    #[default]
    Stdout,
    /// Appended to a file, which is created if absent.
    File(PathBuf),
}

/// How many lines [`Mode::Errors`] may write per scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Lines per second in the long run, at least 1.
    pub per_second: u32,
    /// Lines at once after a quiet time, at least 1.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 10,
            burst: 100,
        }
    }
}

/// Settings of the access log. The default is what a fresh install does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which requests get a line.
    pub mode: Mode,
    /// Where lines go.
    pub sink: Sink,
    /// Bound of [`Mode::Errors`].
    pub rate: Rate,
    /// Lines waiting for the sink before more are dropped and counted, at least 1.
    pub queue_lines: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            sink: Sink::default(),
            rate: Rate::default(),
            queue_lines: 4096,
        }
    }
}

/// Why the access log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The mode is unknown.
    #[error("access log mode {0:?} is unknown; use \"off\", \"errors\" or \"all\"")]
    Mode(String),
    /// The file cannot be opened for appending.
    #[error("access log file {}: {source}; its directory must exist and be writable", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The writing thread cannot be started.
    #[error("the access log's thread cannot be started: {0}; the process may be out of threads")]
    Thread(std::io::Error),
}

/// A handle to the access log. Clones share everything; [`AccessLog::scope`] shares the sink only.
///
/// Dropping the last handle writes what is queued, waiting for the sink at most five seconds.
#[derive(Debug, Clone)]
pub struct AccessLog {
    mode: Mode,
    rate: Rate,
    limiter: Arc<Limiter>,
    queue: Option<Arc<Queue>>,
}

impl AccessLog {
    /// Opens the sink and starts its thread. `process` counts lines dropped by a full queue as
    /// `weft_channel_full_total{where="access_log"}`.
    ///
    /// # Errors
    /// [`AccessLogError::Open`] or [`AccessLogError::Thread`]; never with [`Mode::Off`].
    pub fn start(config: &Config, process: Arc<ProcessMetrics>) -> Result<Self, AccessLogError> {
        let queue = match config.mode {
            Mode::Off => None,
            Mode::Errors | Mode::All => Some(Arc::new(Queue::start(
                &config.sink,
                config.queue_lines,
                process,
            )?)),
        };
        let limiter = Arc::new(Limiter::new(config.rate));
        Ok(Self {
            mode: config.mode,
            rate: config.rate,
            limiter,
            queue,
        })
    }

    /// An access log that writes nothing.
    #[must_use]
    pub fn off() -> Self {
        let rate = Rate::default();
        Self {
            mode: Mode::Off,
            rate,
            limiter: Arc::new(Limiter::new(rate)),
            queue: None,
        }
    }

    /// A handle with a rate bound of its own, for one workload or listener: a noisy one then
    /// silences nobody else.
    #[must_use]
    pub fn scope(&self) -> Self {
        Self {
            limiter: Arc::new(Limiter::new(self.rate)),
            ..self.clone()
        }
    }

    /// Whether a request is to be logged at all; ask before collecting a record. One comparison.
    #[inline]
    #[must_use]
    pub fn wants(&self, notable: bool) -> bool {
        self.mode <= if notable { Mode::Errors } else { Mode::All }
    }

    /// Queues the line of `record` if it is wanted and the rate allows it. Never blocks; allocates
    /// the line. `now` feeds the rate bound; a line after suppressed ones tells their number.
    pub fn write(&self, record: &AccessRecord<'_>, now: Instant) {
        let Some(queue) = &self.queue else { return };
        if !self.wants(record.end.is_notable()) {
            return;
        }
        let suppressed = match self.mode {
            Mode::All => 0,
            Mode::Errors | Mode::Off => match self.limiter.admit(now) {
                Some(suppressed) => suppressed,
                None => return,
            },
        };
        queue.push(record.to_line(suppressed));
    }

    /// Waits until every line queued so far is written, at most `limit`. Blocks; call it from a
    /// thread that may. Returns whether all were.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.flush(limit))
    }
}
