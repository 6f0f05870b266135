//! What the source is asked to read, and why it may not be able to start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Which channel of Gateway API the objects are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// The released kinds and fields only.
    Standard,
    /// Everything, as a cluster with the experimental CRDs accepts it.
    #[default]
    Experimental,
}

/// How to read and watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which CRDs objects must satisfy.
    pub channel: Channel,
    /// Time between two looks at all files, which finds what the file system does not tell.
    /// Looks that take long are made less often.
    pub poll_interval: Duration,
    /// Directories below the named ones that hold no input, such as that of the statuses.
    pub exclude: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            channel: Channel::default(),
            poll_interval: Duration::from_secs(2),
            exclude: Vec::new(),
        }
    }
}

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Documents done.
    pub done: usize,
    /// Documents in all, estimated by the size of files that were not read yet.
    pub total: usize,
}

/// Why nothing can be read at all. Everything else is a finding.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A path that was named does not exist or cannot be entered.
    #[error("cannot read {}: {source}; name an existing file or directory", path.display())]
    Path {
        /// The path as named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Stdin(io::Error),
    /// Standard input does not change, so it cannot be watched.
    #[error("standard input cannot be watched; name a file or a directory")]
    WatchStdin,
    /// The operating system refused a thread.
    #[error("cannot start the thread {name}: {source}; raise the limit of processes")]
    Thread {
        /// What the thread is for.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}
