//! What an earlier supervisor of the same process tree has left, and how this one leaves it to the next.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    panic, process,
};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::{
    inherited::{self, Inherited},
    shards::Shards,
};
use crate::{
    child::Remnant,
    init::store::{self, Store},
};

/// What is kept under this name says that the pods of the node are another process tree's.
const RETIRED: &str = "retired";

/// See the file. Empty where nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Estate {
    store: Option<Store>,
    listeners: Option<Vec<OwnedFd>>,
    workers: Vec<(String, Remnant)>,
    /// Whether there is nothing to do but to end the workers: `init` was told to end, or the pods have
    /// another supervisor.
    pub(super) is_to_end: bool,
}

/// Begins where the supervisor before was killed, and dies as a whole or not at all.
///
/// # Errors
/// When standard input does not lead to what is kept.
pub(super) fn begin() -> io::Result<Estate> {
    // Who keeps everything has gone, and so has everything.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A supervisor of which a part is dead helps nobody; the next one goes on with what this one has.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        usual(panicked);
        process::abort();
    }));
    let left = store::restore(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut estate = Estate {
        is_to_end: left.is_to_end || left.kept.contains_key(RETIRED),
        store: Some(left.store),
        ..Estate::default()
    };
    for (name, descriptors) in left.kept {
        if inherited::is_of_listeners(&name) {
            estate.listeners.get_or_insert_default().extend(descriptors);
        } else if let Some(worker) = Remnant::read(&name, descriptors) {
            estate.workers.push(worker);
        }
    }
    let workers = estate.workers.len();
    if workers > 0 {
        tracing::info!(workers, "going on where the supervisor before was killed");
    }
    Ok(estate)
}

impl Estate {
    /// Gives the workers over.
    pub(super) fn shards(&mut self, shards: Shards) -> Shards {
        match self.store() {
            Some(store) => shards.after(store, std::mem::take(&mut self.workers)),
            None => shards,
        }
    }

    /// Gives the listeners over, if there are any.
    pub(super) fn listeners(&mut self) -> Option<Inherited> {
        self.listeners.take().map(Inherited::of)
    }

    pub(super) fn store(&self) -> Option<Store> {
        self.store.clone()
    }

    /// The pods have another supervisor from now on. One that followed here would take them back.
    pub(super) fn retire(&self) {
        if let Some(store) = &self.store {
            store.keep(RETIRED, &[]);
        }
    }
}
