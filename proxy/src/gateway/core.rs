//! What the parent of a gateway knows and decides, without IO of its own beyond listening sockets:
//! events come in, messages go out through queues.
//!
//! A change travels twice by the same protocol: from the control plane to the parent, which keeps it,
//! and from the parent to the worker. The control plane has its answer once the worker has given one.

mod certificates;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{oneshot, watch};
use weft_certs::Clock;
use weft_intercept::MAX_DESCRIPTORS;
use weft_wire::{
    Configuration, Disassembler, Kind, Scope, Snapshot, Subscriber,
    proto::config::{ClientMessage, ResourceError, ServerMessage},
};

pub(super) use self::certificates::Signers;
use self::worker::Worker;
use super::{
    Event,
    sockets::{Socket, Sockets, ports},
    view::View,
};
use crate::{
    channel::{Drain, Order, Sockets as Addresses},
    control::{self, Conversation},
    identity::Trust,
};

/// The parent's state.
pub(super) struct Core {
    link: Conversation,
    /// The answer the control plane is owed, once this revision is in force.
    owed: Option<(u64, ClientMessage)>,
    disassembler: Disassembler,
    snapshot: Option<Arc<Snapshot>>,
    /// Counts the configurations of this process.
    revision: u64,
    sockets: Sockets,
    /// Whether there is to be none any more.
    is_drained: bool,
    worker: Option<Worker>,
    signers: Signers,
    /// Whom the worker is to trust, as soon as that is known.
    trust: Option<Trust>,
    scrapes: HashMap<u64, oneshot::Sender<String>>,
    scraped: u64,
    saved: watch::Sender<Option<Arc<Snapshot>>>,
    view: watch::Sender<View>,
    clock: Clock,
}

impl Core {
    /// A parent that holds what `subscriber` holds.
    pub(super) fn new(
        subscriber: Subscriber,
        signers: Signers,
        (saved, view): (watch::Sender<Option<Arc<Snapshot>>>, watch::Sender<View>),
        clock: Clock,
    ) -> Self {
        Self {
            link: Conversation::new(subscriber),
            owed: None,
            disassembler: Disassembler::new(Scope::Everything),
            snapshot: None,
            revision: 0,
            sockets: Sockets::default(),
            is_drained: false,
            worker: None,
            signers,
            trust: None,
            scrapes: HashMap::new(),
            scraped: 0,
            saved,
            view,
            clock,
        }
    }

    /// Serves what was saved.
    pub(super) fn restore(&mut self) {
        let configuration = self.link.configuration().clone();
        self.adopt(&configuration);
    }

    /// Something happened.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Link(happened) => self.link(happened),
            Event::Worker(happened) => self.worker(happened),
            Event::Scrape(answer) => self.scrape(answer),
            Event::Log(filter) => self.order(Order::Log(filter), Vec::new()),
        }
    }

    /// Tries again to open sockets that could not be had.
    pub(super) fn retry_sockets(&mut self) {
        let failed = !self.sockets.failed().is_empty();
        if failed && self.open_sockets() && self.sockets.failed().is_empty() {
            // A new stream begins with a new answer, which takes back what the last one said.
            self.link.end();
        }
    }

    /// Whether there are sockets to try again.
    pub(super) fn has_failed_sockets(&self) -> bool {
        !self.sockets.failed().is_empty()
    }

    /// From now on nobody should connect here any more.
    pub(super) fn leave(&mut self) {
        self.view.send_modify(|view| view.is_leaving = true);
    }

    /// Whether it leaves and nobody can connect any more: it never had a socket, or its Gateway is gone.
    pub(super) fn is_alone(&self) -> bool {
        self.view.borrow().is_leaving && self.sockets.is_empty()
    }

    /// Closes the sockets, for good, and lets the worker finish; whether there is one.
    pub(super) fn drain(&mut self, limit: Duration) -> bool {
        self.is_drained = true;
        self.sockets.close_others(&BTreeSet::new());
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.order(Order::Drain(Drain { limit_ms }), Vec::new());
        self.worker.is_some()
    }
}

/// The control plane.
impl Core {
    fn link(&mut self, happened: control::Happened) {
        match happened {
            control::Happened::Opened(stream) => {
                // It was owed to the stream before.
                self.owed = None;
                self.link.begin(stream);
            }
            control::Happened::Received(message) => self.receive(message),
            control::Happened::Trusts(trusted) => self.trusts(&trusted),
            control::Happened::Closed(why) => {
                self.link.end();
                tracing::warn!("no configuration stream: {why}; trying again");
                self.view.send_modify(|view| {
                    view.is_connected = false;
                    view.link_error = Some(why);
                });
            }
        }
    }

    fn receive(&mut self, message: ServerMessage) {
        let Some(taken) = self.link.hear(message) else {
            return;
        };
        self.owed = Some((self.revision + 1, taken.answer));
        self.view.send_modify(|view| {
            view.is_connected = true;
            view.link_error = None;
        });
        self.adopt(&taken.configuration);
    }
}

/// The configuration.
impl Core {
    /// Puts a configuration in force as far as it is the parent's, and hands it to the worker.
    fn adopt(&mut self, configuration: &Configuration) {
        self.revision += 1;
        let snapshot = Arc::clone(self.disassembler.update(configuration));
        for (key, error) in snapshot.refused() {
            let kind = key.kind.as_str();
            tracing::error!(
                "{kind} {} cannot be handed to the worker: {error}",
                key.name
            );
        }
        self.snapshot = Some(Arc::clone(&snapshot));
        self.view.send_modify(|view| {
            view.configuration = Some(configuration.clone());
            view.revision = self.revision;
        });
        self.open_sockets();
        if let Some(worker) = &mut self.worker {
            worker.publisher.publish(self.revision, snapshot);
            self.publish();
        }
    }

    /// Where there is to be a socket.
    fn ports(&self) -> BTreeSet<u16> {
        if self.is_drained {
            return BTreeSet::new();
        }
        ports(&self.link.configuration().tables)
    }

    /// Opens missing sockets and hands them on; whether there were any.
    fn open_sockets(&mut self) -> bool {
        let fresh = self.sockets.open(&self.ports());
        let is_any = !fresh.is_empty();
        self.give(fresh);
        is_any
    }

    fn give(&mut self, mut sockets: Vec<Socket>) {
        while !sockets.is_empty() {
            let rest = sockets.split_off(sockets.len().min(MAX_DESCRIPTORS));
            let addresses = sockets.iter().map(|it| it.address.to_string()).collect();
            self.order(Order::Sockets(Addresses { addresses }), sockets);
            sockets = rest;
        }
    }

    /// The worker has put the present revision in force.
    fn settle(&mut self, problems: Vec<ResourceError>) {
        let ports = self.ports();
        self.sockets.close_others(&ports);
        self.view.send_modify(|view| view.is_served = true);
        self.saved.send_replace(self.snapshot.clone());
        let Some((revision, answer)) = self.owed.take() else {
            return;
        };
        debug_assert_eq!(revision, self.revision, "one change is owed at a time");
        let mut errors = problems;
        errors.extend(self.socket_errors());
        if self.link.settle(answer, errors) {
            self.view.send_modify(|view| view.nacks += 1);
        }
    }

    /// Sockets that could not be had, by the Gateways that ask for them.
    fn socket_errors(&self) -> Vec<ResourceError> {
        let gateways = &self.link.configuration().tables.gateways;
        let failed = self.sockets.failed();
        let mut errors = Vec::new();
        for (name, gateway) in gateways {
            for port in &gateway.ports {
                errors.extend(failed.get(&port.port).map(|message| ResourceError {
                    r#type: Kind::Gateway.as_str().to_owned(),
                    name: name.to_string(),
                    message: message.clone(),
                }));
            }
        }
        errors
    }
}
