//! The configuration of the pods of this worker: received, put in force, answered.

use std::{sync::Arc, time::Duration};

use weft_forward::Clock;
use weft_ir::Workloads;
use weft_telemetry::metrics::ConfigMetrics;
use weft_wire::{
    Assembler, Identity, PublisherError, Received, Session, Subscriber,
    proto::config::{ClientMessage, Role, ServerMessage},
};

use super::outbound::Outbound;
use crate::answer;

/// What the worker runs on.
pub(super) struct Serving {
    outbound: Outbound,
    /// The pods, as they are to be served.
    workloads: Arc<Workloads>,
    subscriber: Subscriber,
    session: Option<Session>,
    metrics: Arc<ConfigMetrics>,
    clock: Clock,
    /// When the first piece of the change under way arrived.
    arrived_ns: Option<u64>,
}

impl Serving {
    /// Nothing yet.
    pub(super) fn new(outbound: Outbound, metrics: Arc<ConfigMetrics>) -> Self {
        let identity = Identity {
            role: Role::Node,
            name: "shard".to_owned(),
            namespace: String::new(),
            instance: std::process::id().to_string(),
        };
        Self {
            outbound,
            workloads: Arc::default(),
            subscriber: Subscriber::new(identity, Assembler::default()),
            session: None,
            metrics,
            clock: Clock::start(),
            arrived_ns: None,
        }
    }

    /// Asks for everything.
    pub(super) fn connect(&mut self) -> ClientMessage {
        let (session, hello) = self.subscriber.connect();
        self.session = Some(session);
        hello
    }

    /// Takes a change, or a piece of one; the answer says what of it is not in force.
    ///
    /// # Errors
    /// The change is against the protocol.
    pub(super) fn change(
        &mut self,
        change: ServerMessage,
    ) -> Result<ClientMessage, PublisherError> {
        let session = self.session.ok_or(PublisherError::Unknown)?;
        let now_ns = self.clock.now_ns();
        self.arrived_ns.get_or_insert(now_ns);
        match self.subscriber.receive(session, change)? {
            // There is one stream for each channel, and it is the present one's.
            Received::Stale => Err(PublisherError::Unknown),
            Received::Gathered(answer) => Ok(answer),
            Received::Applied { answer, applied } => {
                self.workloads = Arc::clone(&applied.configuration.workloads);
                let problems = self.outbound.apply(applied.configuration);
                self.applied();
                Ok(answer::with(answer, problems))
            }
        }
    }

    /// The pods of the worker, as far as the configuration has them.
    pub(super) fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    fn applied(&mut self) {
        let generation = self.subscriber.generation().unwrap_or_default();
        let arrived_ns = self.arrived_ns.take().unwrap_or_default();
        let took = Duration::from_nanos(self.clock.now_ns().saturating_sub(arrived_ns));
        self.metrics.applied(generation, took);
    }
}
