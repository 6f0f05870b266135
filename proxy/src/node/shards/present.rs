//! The worker of a shard that lives now: what it has, and what it is still to be given.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc, oneshot};
use weft_spiffe::SpiffeId;
use weft_wire::{SubscriberError, proto::config::ClientMessage};

use super::{
    feed::Fed,
    pods::{self, Insatiable, Made, Pods, Served, Wants},
    presence::Presence,
    signing,
};
use crate::{
    channel::VERSION,
    child::{Lent, ToDeliver},
    control::{Signer, Signings},
    identity::{Csr, Signed},
    node::{
        core::Hold,
        messages::{Assign, Inlet, Order, Scraped, ToShard, Want},
        terms::Assigned,
    },
};

/// Questions for metrics that may be open; the oldest have been given up by who asked.
const SCRAPES: usize = 8;

/// See the file.
pub(super) struct Present {
    pub(super) life: u64,
    orders: mpsc::Sender<ToDeliver<ToShard>>,
    pub(super) pods: Pods,
    wants: Wants,
    signings: Signings,
    pub(super) fed: Fed,
    /// Since its first word, where somebody hears what it takes.
    pub(super) presence: Option<Presence>,
    /// Whether pods are given to it.
    pub(super) is_ready: bool,
    scrapes: Vec<(u64, oneshot::Sender<String>)>,
    scraped: u64,
}

/// Why a worker is ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it does not take its orders")]
    Full,
    #[error("it has version {0}, the supervisor {VERSION}")]
    Version(String),
    #[error(transparent)]
    Insatiable(#[from] Insatiable),
    #[error(transparent)]
    Protocol(#[from] SubscriberError),
    #[error("it cannot be given its pods: {0}")]
    Descriptors(#[from] io::Error),
}

/// Something that was made for a worker.
pub(super) enum Done {
    Sockets(Want, Made),
    Signed(Signed, SpiffeId),
}

impl Present {
    pub(super) fn new(life: u64, orders: mpsc::Sender<ToDeliver<ToShard>>, fed: Fed) -> Self {
        Self {
            life,
            orders,
            pods: Pods::new(),
            wants: Wants::default(),
            signings: Signings::default(),
            fed,
            presence: None,
            is_ready: false,
            scrapes: Vec::new(),
            scraped: 0,
        }
    }

    pub(super) fn order(&self, order: Order, descriptors: Vec<Lent>) -> Result<(), Fault> {
        let order = ToDeliver {
            message: ToShard { order: Some(order) },
            descriptors,
        };
        self.orders.try_send(order).map_err(|_full| Fault::Full)
    }

    pub(super) fn assign(&mut self, hold: Hold, pod: &Assigned) -> Result<(), Fault> {
        let served = Served {
            netns: Arc::clone(&pod.netns),
            uid: pod.member.uid.clone(),
            identity: pod.member.identity.clone(),
        };
        self.pods.insert(hold, served);
        let order = Order::Assign(Assign {
            hold: Some(hold.into()),
            pod: format!("{}/{}", pod.member.namespace, pod.member.pod),
            ips: pod.ips.iter().map(ToString::to_string).collect(),
            is_strict: Some(pod.member.is_strict),
            listeners: pod.listeners.iter().map(Inlet::of).collect(),
            uid: pod.member.uid.clone(),
            identity: pod.member.identity.to_string(),
            is_lenient: pod.is_lenient,
        });
        let duplicates = pod.listeners.iter().map(|it| it.socket.try_clone());
        let sockets: Vec<_> = duplicates.collect::<io::Result<_>>()?;
        let lend = |socket| -> Lent { Arc::new(socket) };
        self.order(order, sockets.into_iter().map(lend).collect())
    }

    /// What the worker says about its configuration.
    pub(super) fn hear(&mut self, said: ClientMessage, now: Duration) -> Result<(), Fault> {
        match self.fed.hear(said, now)? {
            Some(change) => self.order(Order::Change(change), Vec::new()),
            None => Ok(()),
        }
    }

    pub(super) fn want(&mut self, want: Want) -> Result<(), Fault> {
        Ok(self.wants.add(want, &self.pods)?)
    }

    pub(super) fn csr(
        &mut self,
        csr: Csr,
        (signer, room): &(Arc<dyn Signer>, Arc<Semaphore>),
    ) -> Result<(), Fault> {
        let refused = signing::add(&mut self.signings, csr, &self.pods, (signer, room));
        let Some(refused) = refused else {
            return Ok(());
        };
        tracing::warn!(
            "a certificate is refused to worker {}: {}",
            self.life,
            refused.error
        );
        self.order(Order::Signed(refused), Vec::new())
    }

    pub(super) fn scrape(&mut self, asked: oneshot::Sender<String>) -> Result<(), Fault> {
        self.scrapes.retain(|(_, asked)| !asked.is_closed());
        // Dropped, who asked is told that there is no answer.
        if self.scrapes.len() >= SCRAPES {
            return Ok(());
        }
        self.scraped += 1;
        self.scrapes.push((self.scraped, asked));
        self.order(Order::Scrape(self.scraped), Vec::new())
    }

    pub(super) fn scraped(&mut self, scraped: &Scraped) {
        let asked = self.scrapes.extract_if(.., |(id, _)| *id == scraped.id);
        for (_, asked) in asked.collect::<Vec<_>>() {
            // Who asked may have gone.
            let _told = asked.send(scraped.text.clone());
        }
    }

    /// What was made last; nothing when nothing is under way. Can be dropped.
    pub(super) async fn next(&mut self) -> Option<Done> {
        tokio::select! {
            Some((want, made)) = self.wants.next() => Some(Done::Sockets(want, made)),
            Some((signed, identity)) = self.signings.next() => Some(Done::Signed(signed, identity)),
            else => None,
        }
    }

    /// Hands on what was made; the identity that it has a certificate of now, if it is that.
    pub(super) fn deliver(&mut self, done: Done) -> Result<Option<SpiffeId>, Fault> {
        match done {
            Done::Sockets(want, made) => {
                let (order, sockets) = pods::answer(&want, made);
                self.wants.make(&self.pods);
                self.order(order, sockets)?;
                Ok(None)
            }
            Done::Signed(signed, identity) => {
                let is_signed = signed.error.is_empty();
                if !is_signed {
                    tracing::warn!(%identity, "no certificate: {}", signed.error);
                }
                self.order(Order::Signed(signed), Vec::new())?;
                Ok(is_signed.then_some(identity))
            }
        }
    }
}
