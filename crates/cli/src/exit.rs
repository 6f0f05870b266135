//! How a command ends: exit codes as documented, and errors that know theirs.

use std::{fmt, process::ExitCode};

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// All good.
    Good = 0,
    /// Warnings only.
    Warnings = 1,
    /// Errors found.
    Errors = 2,
    /// The command line is wrong.
    Usage = 3,
    /// A directory, a file or a cluster cannot be read.
    Unreachable = 4,
    /// Something did not happen within the time it was given.
    Timeout = 5,
    /// A second signal did not wait for the end of the first.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

/// What a command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// The command line asks for what cannot be.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that has to be read cannot be.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// The answer is no.
    pub(crate) fn errors(message: impl fmt::Display) -> Self {
        Self::new(Exit::Errors, message)
    }

    fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }

    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Errors of other rooms name their culprit and its cure themselves.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::errors(error)
    }
}
