//! Between the reconciler and the streams: the newest configuration, who is connected, and what each
//! proxy has taken.
//!
//! One lock guards all of it. It is held for looks and for taking a configuration apart (which costs
//! what changed), never while anything is waited for.

mod standing;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use weft_ir::Name;
use weft_wire::{Configuration, Disassembler, Scope, Snapshot};

use self::standing::Standing;
use crate::world::Gateways;

/// Streams of one Gateway that are open at once; a Deployment has a few dozen pods at most.
const PROXIES_MAX: usize = 1_000;

/// What streams and the reconciler share.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Generation of the configuration; 0 before the first.
    generation: watch::Sender<u64>,
    /// Counts changes of what proxies have taken.
    reports: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    configuration: Configuration,
    generation: u64,
    gateways: Arc<Gateways>,
    served: BTreeMap<Name, Standing>,
    /// One per Gateway that has a stream here.
    disassemblers: BTreeMap<Name, Taken>,
    sessions: u64,
}

/// A configuration, taken apart for one Gateway.
#[derive(Debug)]
struct Taken {
    disassembler: Disassembler,
    /// The configuration it was last updated with.
    generation: u64,
}

/// Why a stream is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    /// Nothing is known yet.
    #[error("the cluster has not been read yet")]
    NotSynced,
    /// There is no such Gateway of ours.
    #[error("there is no Gateway of this name")]
    Unknown,
    /// Too many streams.
    #[error("more than {PROXIES_MAX} proxies of this Gateway are connected")]
    TooMany,
}

/// A stream's place in the hub. To be given back with [`Seat::leave`].
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    gateway: Name,
    instance: String,
    session: u64,
}

impl Hub {
    /// Nothing is known and nobody is connected.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            generation: watch::Sender::default(),
            reports: watch::Sender::default(),
        })
    }

    /// What proxies should have from now on.
    pub(crate) fn publish(
        &self,
        (generation, configuration): (u64, Configuration),
        gateways: &Arc<Gateways>,
        now: Duration,
    ) {
        let mut state = self.state();
        state.configuration = configuration;
        state.generation = generation;
        for (name, served) in gateways.iter() {
            let standing = state.served.entry(name.clone());
            let standing = standing.or_insert_with(|| Standing::of(served.programmed, now));
            standing.published(generation, served.generation);
        }
        state.served.retain(|name, _| gateways.contains_key(name));
        state.gateways = Arc::clone(gateways);
        drop(state);
        self.generation.send_replace(generation);
    }

    /// The service account of the proxies of a Gateway; `None` when it is none of ours.
    pub(crate) fn workload_of(&self, gateway: &Name) -> Option<String> {
        let state = self.state();
        state.gateways.get(gateway).map(|it| it.workload.clone())
    }

    /// The Gateways of the newest configuration.
    pub(crate) fn gateways(&self) -> Arc<Gateways> {
        Arc::clone(&self.state().gateways)
    }

    /// Whether a configuration was published.
    pub(crate) fn is_synced(&self) -> bool {
        self.state().generation > 0
    }

    /// Takes a place for a stream. A proxy that comes again takes over from its older stream.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(crate) fn join(
        self: &Arc<Self>,
        gateway: &Name,
        instance: &str,
    ) -> Result<Seat, JoinError> {
        let mut state = self.state();
        if state.generation == 0 {
            return Err(JoinError::NotSynced);
        }
        let State {
            served, sessions, ..
        } = &mut *state;
        let standing = served.get_mut(gateway).ok_or(JoinError::Unknown)?;
        if standing.len() >= PROXIES_MAX {
            return Err(JoinError::TooMany);
        }
        *sessions += 1;
        let session = *sessions;
        standing.join(instance, session);
        drop(state);
        self.reported();
        Ok(Seat {
            hub: Arc::clone(self),
            gateway: gateway.clone(),
            instance: instance.to_owned(),
            session,
        })
    }

    /// The newest generation of the configuration, followed.
    pub(crate) fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Changes of what proxies have taken, followed.
    pub(crate) fn reports(&self) -> watch::Receiver<u64> {
        self.reports.subscribe()
    }

    /// Newest `metadata.generation` of each Gateway that all of its proxies have taken. Gateways of
    /// which that is not known are absent.
    pub(crate) fn acknowledged(&self, gateways: &Gateways, now: Duration) -> BTreeMap<Name, i64> {
        let state = self.state();
        let of = |(name, served): (&Name, &crate::world::Served)| {
            let known = state.served.get(name);
            let generation = match known {
                Some(standing) => standing.acknowledged(now)?,
                // Seen for the first time: what its status says holds until proxies have had a
                // chance to come back.
                None => served.programmed?,
            };
            Some((name.clone(), generation))
        };
        gateways.iter().filter_map(of).collect()
    }

    /// When what is remembered of proxies that went stops to count, if anything is remembered.
    pub(crate) fn forgets_at(&self, now: Duration) -> Option<Duration> {
        let state = self.state();
        let moments = state.served.values().filter_map(|it| it.forgets_at(now));
        moments.min()
    }

    /// How many proxies are connected.
    pub(crate) fn connected(&self) -> usize {
        self.state().served.values().map(Standing::len).sum()
    }

    fn reported(&self) {
        self.reports.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What the proxy should have now.
    pub(crate) fn target(&self) -> (u64, Arc<Snapshot>) {
        let mut state = self.hub.state();
        let State {
            configuration,
            generation,
            disassemblers,
            ..
        } = &mut *state;
        let taken = disassemblers
            .entry(self.gateway.clone())
            .or_insert_with(|| Taken {
                disassembler: Disassembler::new(Scope::Gateway(self.gateway.clone())),
                generation: 0,
            });
        if taken.generation != *generation {
            taken.disassembler.update(configuration);
            taken.generation = *generation;
        }
        (*generation, Arc::clone(taken.disassembler.snapshot()))
    }

    /// The proxy has taken a configuration, apart from what it did not understand.
    pub(crate) fn took(&self, generation: u64) {
        let mut state = self.hub.state();
        let standing = state.served.get_mut(&self.gateway);
        let is_news = standing.is_some_and(|it| it.took(&self.instance, self.session, generation));
        drop(state);
        if is_news {
            self.hub.reported();
        }
    }

    /// The Gateway.
    pub(crate) fn gateway(&self) -> &Name {
        &self.gateway
    }

    /// The proxy among those of the Gateway.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether the Gateway is still there and no newer stream of the proxy took over.
    pub(crate) fn is_valid(&self) -> bool {
        let state = self.hub.state();
        let standing = state.served.get(&self.gateway);
        standing.is_some_and(|it| it.has(&self.instance, self.session))
    }

    /// Leaves; `now` begins the time in which the proxy may come back unnoticed.
    pub(crate) fn leave(self, now: Duration) {
        let mut state = self.hub.state();
        let mut is_last = true;
        if let Some(standing) = state.served.get_mut(&self.gateway) {
            standing.leave((&self.instance, self.session), now);
            is_last = standing.len() == 0;
        }
        if is_last {
            // Nobody asks for it; the next stream takes it apart again.
            state.disassemblers.remove(&self.gateway);
        }
        drop(state);
        self.hub.reported();
    }
}
