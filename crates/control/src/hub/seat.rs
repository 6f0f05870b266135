//! A stream's place in the hub.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use weft_api::ObjectRef;
use weft_ir::Name;
use weft_wire::{
    Disassembler, Scope, Snapshot,
    proto::config::{PodReport, Trusts},
};

use super::{Hub, State, whose};

/// A stream's place in the hub. To be given back with [`Seat::leave`].
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) hub: Arc<Hub>,
    pub(super) gateway: Name,
    pub(super) instance: String,
    pub(super) session: u64,
    pub(super) scope: Scope,
}

/// A configuration, taken apart for one Gateway.
#[derive(Debug)]
pub(super) struct Parts {
    disassembler: Disassembler,
    /// The configuration it was last updated with.
    generation: u64,
}

impl Seat {
    /// The same for a proxy that reaches members of the mesh through the tunnel, or does not. Proxies of
    /// nodes always do.
    pub(crate) fn with_tunnels(mut self, tunnels: bool) -> Self {
        self.scope = whose::scope(&self.gateway, tunnels);
        self
    }

    /// What the proxy should have now.
    pub(crate) fn target(&self) -> (u64, Arc<Snapshot>) {
        let mut state = self.hub.state();
        let State {
            configuration,
            generation,
            parts,
            pool,
            ..
        } = &mut *state;
        let taken = match parts.entry(self.scope.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Parts {
                disassembler: Disassembler::sharing(self.scope.clone(), pool),
                generation: 0,
            }),
        };
        if taken.generation != *generation {
            taken.disassembler.update(configuration);
            taken.generation = *generation;
        }
        (*generation, Arc::clone(taken.disassembler.snapshot()))
    }

    /// The proxy has taken a configuration, apart from what it did not understand: of routes and its
    /// Gateway, that it refuses these.
    pub(crate) fn took(&self, generation: u64, refused: BTreeMap<ObjectRef, String>) {
        let mut state = self.hub.state();
        let own = &mut state.standing.own;
        let proxy = (&self.gateway, self.instance.as_str());
        let mut is_news = own.took(proxy, self.session, generation);
        if is_news {
            own.prune();
        }
        is_news |= own.refuses(proxy, self.session, refused);
        drop(state);
        if is_news {
            self.hub.reported();
        }
    }

    /// The proxy says whom it trusts.
    pub(crate) fn trusts(&self, trusts: Trusts) {
        let mut state = self.hub.state();
        let own = &mut state.standing.own;
        let is_news = own.trusts((&self.gateway, &self.instance), self.session, trusts);
        drop(state);
        if is_news {
            self.hub.reported();
        }
    }

    /// The proxy of a node says what became of pods there.
    pub(crate) fn reports(&self, report: PodReport) {
        let mut state = self.hub.state();
        let (node, standing) = (&self.gateway, &mut state.standing);
        let proxy = (node, self.instance.as_str());
        let changed = standing.own.reports(proxy, self.session, report);
        let is_news = !changed.is_empty();
        standing.pods_changed(changed.into_iter().map(|uid| (node.clone(), uid)));
        drop(state);
        if is_news {
            self.hub.reported();
        }
    }

    /// The Gateway, or the node by a name without namespace.
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
        let own = &state.standing.own;
        state.serves(&self.gateway) && own.has(&self.gateway, &self.instance, self.session)
    }

    /// Leaves; `now` begins the time in which the proxy may come back unnoticed.
    pub(crate) fn leave(self, now: Duration) {
        let mut state = self.hub.state();
        let proxy = (&self.gateway, self.instance.as_str());
        state.standing.leave(proxy, self.session, now);
        if state.standing.own.len(&self.gateway) == 0 {
            // Nobody asks for it; the next stream takes it apart again.
            for tunnels in [false, true] {
                state.parts.remove(&whose::scope(&self.gateway, tunnels));
            }
        }
        drop(state);
        self.hub.reported();
    }
}
