//! The parent's side of the conversation with its worker. What a worker says may be anything.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use weft_wire::{
    Publisher, Session,
    proto::config::{ResourceError, WorkerTrusts, client_message},
};

use super::{
    super::{OfWorker, sockets::Socket},
    Core,
};
use crate::{
    channel::{Hello, Order, Report, Scrape, ToWorker, VERSION},
    child::{Happened, Lent, ToDeliver},
    control::Signings,
};

/// Scrapes that may be under way; beyond that the oldest have been given up by those who asked.
const SCRAPES: usize = 64;

/// The process that serves.
pub(super) struct Worker {
    life: u64,
    orders: mpsc::Sender<ToDeliver<ToWorker>>,
    pub(super) publisher: Publisher,
    /// Ends with it: what one worker has asked for is no other's.
    pub(super) signings: Signings,
    session: Option<Session>,
    acked: Option<u64>,
    /// Whom it trusts; the oldest before it says so.
    pub(super) trusts: WorkerTrusts,
}

impl Worker {
    /// Whether it has said what it is.
    pub(super) fn is_heard(&self) -> bool {
        self.session.is_some()
    }
}

/// What a worker did that ends it.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it does not take its orders")]
    Full,
    #[error("it has version {0}, the parent has {VERSION}")]
    Version(String),
    #[error("{0}")]
    Protocol(String),
}

impl Core {
    pub(super) fn worker(&mut self, happened: OfWorker) {
        match happened {
            Happened::Started { life, orders } => {
                let mut publisher = Publisher::new();
                if let Some(snapshot) = &self.snapshot {
                    publisher.publish(self.revision, Arc::clone(snapshot));
                }
                self.worker = Some(Worker {
                    life,
                    orders,
                    publisher,
                    signings: Signings::default(),
                    session: None,
                    acked: None,
                    trusts: WorkerTrusts::default(),
                });
                self.entrust();
                self.give(self.sockets.all());
            }
            Happened::Said { life, report } => {
                // What a worker said that was given up meanwhile does not matter.
                if self
                    .worker
                    .as_ref()
                    .is_some_and(|worker| worker.life == life)
                    && let Err(fault) = self.hear(report)
                {
                    self.give_up(&fault);
                }
            }
            Happened::Ended { life, why } => {
                let is_present = |worker: &mut Worker| worker.life == life;
                if self.worker.take_if(is_present).is_some() {
                    // Those who asked it get no answer.
                    self.scrapes.clear();
                    self.view.send_modify(|view| view.is_served = false);
                    self.account();
                }
                let is_leaving = self.view.borrow().is_leaving;
                if !is_leaving {
                    tracing::error!("worker {life} is gone: {why}");
                }
                self.view
                    .send_modify(|view| view.worker_ends += u64::from(!is_leaving));
            }
        }
    }

    fn hear(&mut self, report: Report) -> Result<(), Fault> {
        match report {
            Report::Hello(Hello { version, config }) => {
                if version != VERSION {
                    return Err(Fault::Version(version));
                }
                let Some(client_message::Message::Hello(hello)) = config.and_then(|it| it.message)
                else {
                    return Err(Fault::Protocol("its Hello asks for nothing".to_owned()));
                };
                if let Some(worker) = &mut self.worker {
                    let session = worker.publisher.connect(&hello);
                    worker.session = Some(session.map_err(|it| Fault::Protocol(it.to_string()))?);
                }
                self.account();
                self.publish();
            }
            Report::Answer(answer) => {
                let now = self.clock.read().monotonic;
                let Some(worker) = &mut self.worker else {
                    return Ok(());
                };
                let session = worker.session;
                let session = session.ok_or_else(|| Fault::Protocol("no Hello".to_owned()))?;
                let next = worker.publisher.answer(session, answer, now);
                let next = next.map_err(|error| Fault::Protocol(error.to_string()))?;
                if let Some(change) = next {
                    self.order(Order::Config(change), Vec::new());
                }
                self.look();
            }
            Report::Metrics(metrics) => {
                if let Some(asked) = self.scrapes.remove(&metrics.number) {
                    // Who asked may have gone.
                    let _told = asked.send(metrics.text);
                }
            }
            Report::Drained(drained) => {
                if drained.cut > 0 {
                    let cut = drained.cut;
                    tracing::warn!(
                        cut,
                        "requests or connections did not end in time and were cut"
                    );
                }
            }
            Report::Csr(csr) => self.csr(csr),
            Report::Trusts(said) => self.heed(said),
            // That it came is what matters, and has been noticed.
            Report::Heartbeat(_) => {}
        }
        Ok(())
    }

    /// Sends the next change, if it is its turn.
    pub(super) fn publish(&mut self) {
        let now = self.clock.read().monotonic;
        let Some(worker) = &mut self.worker else {
            return;
        };
        if worker.session.is_none() {
            return;
        }
        match worker.publisher.next(now) {
            Some(change) => self.order(Order::Config(change), Vec::new()),
            // The worker has it all, because nothing it has is different.
            None => self.look(),
        }
    }

    /// Notices what the worker has put in force.
    fn look(&mut self) {
        let Some(worker) = &mut self.worker else {
            return;
        };
        let standing = worker.publisher.standing();
        if standing.generation == worker.acked {
            return;
        }
        worker.acked = standing.generation;
        if worker.acked == Some(self.revision) {
            let problems = standing.problems.into_iter();
            let errors = problems.map(|problem| ResourceError {
                r#type: problem.kind,
                name: problem.name,
                message: problem.message,
            });
            self.settle(errors.collect());
        }
    }

    pub(super) fn order(&mut self, order: Order, sockets: Vec<Socket>) {
        let Some(worker) = &self.worker else { return };
        let lend = |socket: Socket| -> Lent { socket.listener };
        let order = ToDeliver {
            message: ToWorker { order: Some(order) },
            descriptors: sockets.into_iter().map(lend).collect(),
        };
        if worker.orders.try_send(order).is_err() {
            self.give_up(&Fault::Full);
        }
    }

    /// Ends the worker, by hanging up; another one follows.
    fn give_up(&mut self, fault: &Fault) {
        if let Some(worker) = self.worker.take() {
            tracing::error!("worker {} is ended: {fault}", worker.life);
            self.view.send_modify(|view| view.is_served = false);
            self.account();
        }
    }

    pub(super) fn scrape(&mut self, answer: oneshot::Sender<String>) {
        if self.worker.is_none() || self.scrapes.len() >= SCRAPES {
            self.scrapes.retain(|_, asked| !asked.is_closed());
            if self.worker.is_none() || self.scrapes.len() >= SCRAPES {
                return;
            }
        }
        self.scraped += 1;
        let number = self.scraped;
        self.scrapes.insert(number, answer);
        self.order(Order::Scrape(Scrape { number }), Vec::new());
    }
}
