//! One worker of pods: its conversation, and the sockets that are made for it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use weft_intercept::{MAX_DESCRIPTORS, Netns, sockets};

use crate::{
    channel::VERSION,
    child::{self, Happened, Lent, Program, Talk, ToDeliver},
    node::{
        core::{Hold, OfWorker},
        messages::{
            self, Assign, FromShard, Inlet, Order, Report, Revoke, Signed, Sockets, ToShard, Want,
        },
        roster::Shard,
        supervisor::Assigned,
    },
};

/// What a worker may have said and nobody has heard yet.
const EVENTS: usize = 64;
/// Questions for sockets that a worker may have open, beside one for each family of each of its pods.
/// One that has more asks for the sake of asking.
const WANTS: usize = 8;

/// Something for a worker in one of its lives.
#[derive(Debug)]
pub(super) enum Task {
    Assign(u64, Hold, Assigned),
    Revoke(u64, Hold, Duration),
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

/// Who keeps a worker.
pub(super) struct Keeper {
    shard: Shard,
    program: Program,
    said: mpsc::Sender<(Shard, u64, OfWorker)>,
    present: Option<Present>,
}

/// The worker that lives now.
struct Present {
    life: u64,
    orders: mpsc::Sender<ToDeliver<ToShard>>,
    /// The namespaces it may have sockets in: those of its pods, and no others.
    pods: BTreeMap<Hold, Arc<Netns>>,
    wants: VecDeque<Want>,
    /// At most one at a time, so that a worker that asks without end keeps nobody else waiting.
    making: JoinSet<(Want, Made)>,
}

/// Sockets in the namespace of a pod, or why there are none.
type Made = Result<Vec<Lent>, String>;

impl Keeper {
    pub(super) fn new(
        shard: Shard,
        mut program: Program,
        said: mpsc::Sender<(Shard, u64, OfWorker)>,
    ) -> Self {
        program.arguments.push(format!("--name={shard}"));
        Self {
            shard,
            program,
            said,
            present: None,
        }
    }

    /// Keeps a worker until nobody gives it tasks any more. Dropping it kills the worker.
    pub(super) async fn run(mut self, mut tasks: mpsc::Receiver<Task>) {
        let (events, mut happening) = mpsc::channel::<OfShard>(EVENTS);
        let (_last, is_last) = watch::channel(false);
        let supervising =
            child::supervise::<Talking, OfShard>(self.program.clone(), events, is_last);
        tokio::pin!(supervising);
        loop {
            tokio::select! {
                () = &mut supervising => return,
                task = tasks.recv() => match task {
                    Some(task) => self.task(task),
                    None => return,
                },
                Some(happened) = happening.recv() => self.happened(happened).await,
                Some((want, made)) = next_made(&mut self.present) => self.deliver(&want, made),
            }
        }
    }

    async fn happened(&mut self, happened: OfShard) {
        match happened {
            Happened::Started { life, orders } => {
                self.present = Some(Present {
                    life,
                    orders,
                    pods: BTreeMap::new(),
                    wants: VecDeque::new(),
                    making: JoinSet::new(),
                });
            }
            Happened::Said { life, report } => {
                if self.present.as_ref().is_some_and(|it| it.life == life) {
                    self.hear(life, report).await;
                }
            }
            Happened::Ended { life, why } => {
                tracing::error!(shard = %self.shard, "worker {life} is gone: {why}");
                self.present.take_if(|it| it.life == life);
                self.say(life, OfWorker::Gone).await;
            }
        }
    }

    async fn hear(&mut self, life: u64, report: Report) {
        match report {
            Report::Hello(version) if version == VERSION => self.say(life, OfWorker::Ready).await,
            Report::Hello(version) => {
                tracing::error!("a worker has version {version}, its parent {VERSION}");
                // Which hangs up.
                self.present = None;
            }
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
            Report::Want(want) => self.want(want),
            Report::Csr(csr) => self.order(
                Order::Signed(Signed {
                    ask: csr.ask,
                    error: "the supervisor has no identity service".to_owned(),
                    ..Signed::default()
                }),
                Vec::new(),
            ),
            // That it came is what matters, and has been noticed; nothing else has been asked for.
            Report::Heartbeat(_) | Report::Answer(_) | Report::Scraped(_) => {}
        }
    }

    async fn say(&self, life: u64, what: OfWorker) {
        // A supervisor that ends does not listen any more.
        let _said = self.said.send((self.shard.clone(), life, what)).await;
    }

    fn task(&mut self, task: Task) {
        match task {
            Task::Assign(life, hold, pod) => {
                let Some(present) = self.present.as_mut().filter(|it| it.life == life) else {
                    return;
                };
                present.pods.insert(hold, Arc::clone(&pod.netns));
                let order = Order::Assign(Assign {
                    hold: Some(hold.into()),
                    pod: format!("{}/{}", pod.member.namespace, pod.member.pod),
                    ips: pod.ips.iter().map(ToString::to_string).collect(),
                    is_strict: Some(pod.member.is_strict),
                    listeners: pod.listeners.iter().map(Inlet::of).collect(),
                    uid: pod.member.uid.clone(),
                    identity: pod.member.identity.to_string(),
                });
                let duplicates = pod.listeners.iter().map(|it| it.socket.try_clone());
                match duplicates.collect::<Result<Vec<_>, _>>() {
                    Ok(sockets) => {
                        let lend = |socket| -> Lent { Arc::new(socket) };
                        self.order(order, sockets.into_iter().map(lend).collect());
                    }
                    Err(error) => {
                        tracing::error!("a worker cannot be given its pods: {error}");
                        self.present = None;
                    }
                }
            }
            Task::Revoke(life, hold, drain) => {
                if self.present.as_ref().is_some_and(|it| it.life == life) {
                    let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
                    let hold = Some(hold.into());
                    self.order(Order::Revoke(Revoke { hold, drain_ms }), Vec::new());
                }
            }
        }
    }

    fn order(&mut self, order: Order, descriptors: Vec<Lent>) {
        let order = ToDeliver {
            message: ToShard { order: Some(order) },
            descriptors,
        };
        let is_lost = |present: &mut Present| present.orders.try_send(order).is_err();
        if self.present.as_mut().is_some_and(is_lost) {
            tracing::error!(shard = %self.shard, "its worker does not take its orders and is ended");
            self.present = None;
        }
    }

    fn want(&mut self, want: Want) {
        let Some(present) = &mut self.present else {
            return;
        };
        if present.wants.len() < 2 * present.pods.len() + WANTS {
            present.wants.push_back(want);
            present.make();
        } else {
            tracing::error!(shard = %self.shard, "its worker asks for sockets without end and is ended");
            self.present = None;
        }
    }

    fn deliver(&mut self, want: &Want, made: Made) {
        let (sockets, error) = match made {
            Ok(sockets) => (sockets, String::new()),
            Err(error) => (Vec::new(), error),
        };
        let order = Order::Sockets(Sockets {
            hold: want.hold,
            family: want.family,
            asked: want.count,
            count: u32::try_from(sockets.len()).unwrap_or_default(),
            error,
        });
        self.order(order, sockets);
        if let Some(present) = &mut self.present {
            present.make();
        }
    }
}

impl Present {
    /// Makes the next sockets, in the namespace of a pod of this worker. For another one the worker is
    /// told that it has none, whatever it says it has.
    fn make(&mut self) {
        if !self.making.is_empty() {
            return;
        }
        let Some(want) = self.wants.pop_front() else {
            return;
        };
        let netns = want.hold.and_then(|held| self.pods.get(&held.into()));
        let netns = netns.cloned();
        self.making.spawn_blocking(move || {
            let made = made(netns.as_deref(), &want);
            (want, made)
        });
    }
}

/// What was made last; for nobody when there is nothing under way, or no worker.
async fn next_made(present: &mut Option<Present>) -> Option<(Want, Made)> {
    // What panicked is a defect, which its question then has no answer to.
    present.as_mut()?.making.join_next().await?.ok()
}

fn made(netns: Option<&Netns>, want: &Want) -> Made {
    let netns = netns.ok_or("the pod is not served by this worker")?;
    let family = messages::family(want.family).ok_or("there is no such family of addresses")?;
    let count = usize::try_from(want.count).unwrap_or(MAX_DESCRIPTORS);
    let made = sockets::dialling(netns, family, count.min(MAX_DESCRIPTORS));
    let made = made.map_err(|error| error.to_string())?;
    let lend = |socket| -> Lent { Arc::new(socket) };
    Ok(made.into_iter().map(lend).collect())
}
