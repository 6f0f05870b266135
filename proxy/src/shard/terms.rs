//! How a worker of pods runs, and why it does not.

use std::io;

use weft_telemetry::{
    access_log::{self, AccessLogError},
    metrics::BuildInfo,
};
use weft_wire::PublisherError;

use crate::{channel::ChannelError, worker::confine::ConfineError};

/// How a worker of pods runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The access log.
    pub access_log: access_log::Config,
    /// What is running.
    pub build: BuildInfo,
    /// Start of the random numbers that balance traffic and spread renewals.
    pub seed: u64,
}

/// Why a worker of pods ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// Standard input is no channel.
    #[error("a worker of pods is started by its supervisor: {0}")]
    NotAChild(io::Error),
    /// The process cannot give up what it should not have.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The system has no event queue.
    #[error("the data path cannot start: {0}")]
    Start(io::Error),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// The supervisor said something that makes no sense.
    #[error("the supervisor is not understood: {0}")]
    Supervisor(String),
}

impl From<ChannelError> for ShardError {
    fn from(error: ChannelError) -> Self {
        Self::Supervisor(error.to_string())
    }
}

impl From<PublisherError> for ShardError {
    fn from(error: PublisherError) -> Self {
        Self::Supervisor(error.to_string())
    }
}
