//! One worker of pods: its lives and its conversation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use weft_certs::Clock;
use weft_spiffe::SpiffeId;

use super::{
    feed::Feed,
    presence::Presence,
    present::{Done, Fault, Present},
    supply::{Fed, Supply},
};
use crate::{
    channel::VERSION,
    child::{self, Happened, Lasting, Program, Remnant, Talk},
    control::{self, Trusted},
    identity::{self, Csr},
    init::store::Store,
    node::{
        core::{Hold, OfWorker},
        messages::{Drain, Forget, FromShard, Lenient, Order, Report, Revoke, ToShard},
        roster::Shard,
        terms::Assigned,
    },
};

/// What a worker may have said and nobody has heard yet.
const EVENTS: usize = 64;

/// Something for a worker.
#[derive(Debug)]
pub(super) enum Task {
    /// For one of its lives.
    Assign(u64, Hold, Assigned),
    Revoke(u64, Hold, Duration),
    Lenient(u64, Hold, bool),
    /// Say the metrics; dropped when there is nobody who could.
    Scrape(oneshot::Sender<String>),
    /// Log by this filter.
    Log(String),
    /// Give up what no supervisor of this worker has a use for any more.
    Forget,
    /// Finish what is under way and end for good.
    Drain(Drain),
}

type OfShard = Happened<Report, ToShard>;

/// How workers of pods are talked to.
struct Talking;

impl Talk for Talking {
    type To = ToShard;
    type From = FromShard;
    type Report = Report;

    fn report(message: FromShard) -> Option<Report> {
        message.report
    }
}

/// What everybody who keeps a worker has.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) program: Program,
    pub(super) said: mpsc::Sender<(Shard, u64, OfWorker)>,
    pub(super) supply: Option<Supply>,
    /// Where workers are kept for the supervisor that follows.
    pub(super) store: Option<Store>,
    /// For the certificates of all workers.
    pub(super) signing: Arc<Semaphore>,
    pub(super) clock: Clock,
}

/// Who keeps a worker.
pub(super) struct Keeper {
    shard: Shard,
    means: Means,
    feed: Feed,
    present: Option<Present>,
    /// Workers that ended unasked.
    ends: Arc<AtomicU64>,
    /// How it finishes what is under way, once it is to end.
    drain: Option<Drain>,
}

impl Keeper {
    pub(super) fn new(shard: Shard, mut means: Means, ends: Arc<AtomicU64>) -> Self {
        means.program.arguments.push(format!("--name={shard}"));
        means.program.lasting = Some(Lasting {
            name: shard.to_string(),
            store: means.store.clone(),
        });
        Self {
            feed: Feed::new(&shard),
            shard,
            means,
            present: None,
            ends,
            drain: None,
        }
    }

    /// Keeps a worker until nobody gives it tasks any more, or it was told to end and has. Begins with
    /// the one that `left` is of. Dropping it kills the worker.
    pub(super) async fn run(mut self, left: Option<Remnant>, mut tasks: mpsc::Receiver<Task>) {
        let (events, mut happening) = mpsc::channel::<OfShard>(EVENTS);
        let (last, is_last) = watch::channel(false);
        let first = (self.means.program.clone(), left);
        let supervising = child::supervise_from::<Talking, OfShard>(first, events, is_last);
        tokio::pin!(supervising);
        let mut supply = self.means.supply.clone();
        self.refill(supply.as_mut()).await;
        loop {
            // All branches may be dropped at any point.
            tokio::select! {
                () = &mut supervising => return,
                task = tasks.recv() => match task {
                    Some(Task::Drain(drain)) => {
                        last.send_replace(true);
                        self.drain = Some(drain);
                        self.with(|present| present.order(Order::Drain(drain), Vec::new()));
                    }
                    Some(task) => self.task(task),
                    None => return,
                },
                Some(happened) = happening.recv() => self.happened(happened).await,
                Some(done) = next(&mut self.present) => self.deliver(done).await,
                is_more = changed(&mut supply) => {
                    if !is_more {
                        supply = None;
                    }
                    self.refill(supply.as_mut()).await;
                }
            }
        }
    }

    /// Takes over what is new of the supply.
    async fn refill(&mut self, supply: Option<&mut Supply>) {
        let Some(supply) = supply else { return };
        let trusted = supply.trusted.borrow_and_update().clone();
        if let Some(trusted) = trusted {
            self.with(|present| present.order(trust(&trusted), Vec::new()));
        }
        let revision = supply.configuration.borrow_and_update().clone();
        if let Some(revision) = revision {
            self.feed.update(&revision);
            if let Some(present) = &mut self.present {
                present.fed.offer(&self.feed);
            }
            self.go_on().await;
        }
    }

    async fn happened(&mut self, happened: OfShard) {
        match happened {
            Happened::Started { life, orders } => {
                self.present = Some(Present::new(life, orders, self.feed.begin()));
                if let Some(drain) = self.drain {
                    self.with(|present| present.order(Order::Drain(drain), Vec::new()));
                }
            }
            Happened::Said { life, report } => {
                if self.present.as_ref().is_some_and(|it| it.life == life) {
                    self.hear(life, report).await;
                }
            }
            Happened::Ended { life, why } => {
                if self.drain.is_none() {
                    tracing::error!(shard = %self.shard, "worker {life} is gone: {why}");
                    self.ends.fetch_add(1, Relaxed);
                }
                self.present.take_if(|it| it.life == life);
                self.say(life, OfWorker::Gone).await;
            }
        }
    }

    async fn hear(&mut self, life: u64, report: Report) {
        match report {
            Report::Hello(version) if version == VERSION => self.welcome(life).await,
            Report::Hello(version) => self.with(|_| Err(Fault::Version(version))),
            Report::Taken(held) => self.say(life, OfWorker::Taken(held.into())).await,
            Report::Released(held) => {
                let hold = held.into();
                if let Some(present) = &mut self.present {
                    present.pods.remove(&hold);
                }
                self.say(life, OfWorker::Released(hold)).await;
            }
            Report::Refused(refused) => {
                if let Some(held) = refused.hold {
                    let refused = OfWorker::Refused(held.into(), refused.why);
                    self.say(life, refused).await;
                }
            }
            Report::Identified(identity) => {
                if let Ok(identity) = SpiffeId::parse(&identity) {
                    self.say(life, OfWorker::Identified(identity)).await;
                }
            }
            Report::Want(want) => self.with(|present| present.want(want)),
            Report::Csr(csr) => self.csr(csr),
            Report::Trusts(said) => {
                let trusts = identity::plausible(self.shard.as_str(), said);
                self.tell(Fed::Trusts(self.shard.clone(), life, trusts))
                    .await;
            }
            Report::Answer(said) => {
                let now = self.means.clock.read().monotonic;
                self.with(|present| present.hear(said, now));
                self.go_on().await;
            }
            Report::Scraped(scraped) => self.with(|present| {
                present.scraped(&scraped);
                Ok(())
            }),
            // That it came is what matters, and has been noticed.
            Report::Heartbeat(_) => {}
        }
    }

    /// A worker gets what it serves pods by before it gets pods.
    async fn welcome(&mut self, life: u64) {
        let trusted = self.means.supply.as_ref();
        let trusted = trusted.and_then(|it| it.trusted.borrow().clone());
        if let Some(trusted) = trusted {
            self.with(|present| present.order(trust(&trusted), Vec::new()));
        }
        if let Some(supply) = &self.means.supply {
            let presence = Presence::begin(supply, &self.shard, life).await;
            self.with(|present| {
                present.presence = Some(presence);
                Ok(())
            });
        }
        self.go_on().await;
    }

    /// Sends the next change, and notices what the worker has taken.
    async fn go_on(&mut self) {
        let now = self.means.clock.read().monotonic;
        let Some(present) = &mut self.present else {
            return;
        };
        let life = present.life;
        let change = present.fed.next(now);
        let settled = present.fed.settled();
        let is_fed = present.fed.has_settled() || self.feed.is_empty();
        let is_ready = is_fed && !present.is_ready;
        present.is_ready |= is_fed;
        if let Some(change) = change {
            self.with(|present| present.order(Order::Change(change), Vec::new()));
        }
        if let Some(settled) = settled {
            self.tell(Fed::Settled(self.shard.clone(), life, settled))
                .await;
        }
        if is_ready {
            self.say(life, OfWorker::Ready).await;
        }
    }

    async fn say(&self, life: u64, what: OfWorker) {
        // A supervisor that ends does not listen any more.
        let _said = self.means.said.send((self.shard.clone(), life, what)).await;
    }

    async fn tell(&self, fed: Fed) {
        if let Some(supply) = &self.means.supply {
            // As above.
            let _told = supply.fed.send(fed).await;
        }
    }

    fn task(&mut self, task: Task) {
        let is_present = |life| self.present.as_ref().is_some_and(|it| it.life == life);
        match task {
            Task::Assign(life, hold, pod) if is_present(life) => {
                self.with(|present| present.assign(hold, &pod));
            }
            Task::Revoke(life, hold, drain) if is_present(life) => {
                let drain_ms = milliseconds(drain);
                let hold = Some(hold.into());
                let revoke = Order::Revoke(Revoke { hold, drain_ms });
                self.with(|present| present.order(revoke, Vec::new()));
            }
            Task::Lenient(life, hold, is_lenient) if is_present(life) => {
                let hold = Some(hold.into());
                let lenient = Order::Lenient(Lenient { hold, is_lenient });
                self.with(|present| present.order(lenient, Vec::new()));
            }
            Task::Forget => {
                self.with(|present| present.order(Order::Forget(Forget {}), Vec::new()))
            }
            Task::Scrape(asked) => self.with(|present| present.scrape(asked)),
            Task::Log(filter) => {
                self.with(|present| present.order(Order::Log(filter), Vec::new()));
            }
            // Of a life that is over; `Drain` has been taken before.
            Task::Assign(..) | Task::Revoke(..) | Task::Lenient(..) | Task::Drain(_) => {}
        }
    }

    /// Does something with the present worker, which is ended when it cannot be done.
    fn with(&mut self, act: impl FnOnce(&mut Present) -> Result<(), Fault>) {
        if let Some(present) = &mut self.present
            && let Err(fault) = act(present)
        {
            tracing::error!(shard = %self.shard, "worker {} is ended: {fault}", present.life);
            // Which hangs up.
            self.present = None;
        }
    }

    fn csr(&mut self, csr: Csr) {
        let supply = self.means.supply.as_ref();
        let by = supply.map(|it| (Arc::clone(&it.signer), Arc::clone(&self.means.signing)));
        self.with(|present| match by {
            Some(by) => present.csr(csr, &by),
            None => present.order(Order::Signed(control::nobody(csr.ask)), Vec::new()),
        });
    }

    /// Hands on what was made for the worker.
    async fn deliver(&mut self, done: Done) {
        let mut identified = None;
        self.with(|present| {
            identified = present.deliver(done)?;
            Ok(())
        });
        let life = self.present.as_ref().map(|it| it.life);
        if let Some((life, identity)) = life.zip(identified) {
            self.say(life, OfWorker::Identified(identity)).await;
        }
    }
}

/// What was made last; for nobody when there is nothing under way, or no worker. Can be dropped.
async fn next(present: &mut Option<Present>) -> Option<Done> {
    present.as_mut()?.next().await
}

/// Waits until there is something new; whether there can be more. Can be dropped.
async fn changed(supply: &mut Option<Supply>) -> bool {
    let Some(supply) = supply else {
        return std::future::pending().await;
    };
    let changed = tokio::select! {
        changed = supply.configuration.changed() => changed,
        changed = supply.trusted.changed() => changed,
    };
    changed.is_ok()
}

fn trust(trusted: &Trusted) -> Order {
    Order::Trust(trusted.into())
}

/// As times travel.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
