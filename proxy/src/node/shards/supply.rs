//! What workers are supplied with, beside pods: the configuration, whom to trust, and certificates.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use weft_wire::{
    Configuration,
    proto::config::{ResourceError, WorkerTrusts},
};

use crate::{
    control::{Signer, Trusted},
    node::roster::Shard,
};

/// Certificates that may be asked for at a time, for all workers together.
pub(super) const IN_FLIGHT: usize = 8;

/// A configuration of the node.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Counts the configurations of this process, from 1.
    pub number: u64,
    /// Of the node; each worker gets its part of it.
    pub configuration: Configuration,
}

/// What workers have taken of their configurations.
#[derive(Debug)]
pub enum Fed {
    /// A worker is there, and has nothing yet.
    Joined(Shard, u64),
    /// It has put its part of a revision in force, apart from what is listed.
    Settled(Shard, u64, Settled),
    /// It trusts others, or has other certificates.
    Trusts(Shard, u64, WorkerTrusts),
    /// It is gone.
    Left(Shard, u64),
}

/// A revision that is in force.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its number.
    pub revision: u64,
    /// What of it is not understood.
    pub problems: Vec<ResourceError>,
}

/// Where workers are supplied from. Workers without a supply serve pods that need nothing of it.
#[derive(Clone)]
pub struct Supply {
    /// The configuration of the node; nothing before the first.
    pub configuration: watch::Receiver<Option<Arc<Revision>>>,
    /// Whom to trust; nothing before that is known.
    pub trusted: watch::Receiver<Option<Arc<Trusted>>>,
    /// Who signs.
    pub signer: Arc<dyn Signer>,
    /// Who wants to know what workers have taken.
    pub fed: mpsc::Sender<Fed>,
}
