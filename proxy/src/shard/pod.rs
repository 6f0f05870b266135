//! One pod that is served: its listeners, and the connections that came by them.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use rustix::fs::fstat;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_forward::{Caller, Rounds, Share, limits};
use weft_intercept::{capture::Family, sockets::Purpose};
use weft_ir::Workloads;
use weft_spiffe::SpiffeId;

use super::{
    broker::{Broker, OfPod},
    counts::Counts,
    inlet::Inlet,
    outbound::{Origin, Outbound},
};
use crate::{
    identity::{Identities, Own, Ready},
    node::messages::{Assign, Drain, Held},
};

/// For connections that are cut to notice it.
const FAREWELL: Duration = Duration::from_secs(1);
/// For clients that are dismissed: their last moment to ask for something, and to notice.
const DISMISSAL: Duration = limits::FAREWELL.saturating_add(FAREWELL);
/// Connections of one pod at a time, so that none takes the descriptors of its neighbours.
const MOST: usize = 10_000;
/// How long plaintext waits that is to be refused. Two nodes hear of a change one after the other: that the
/// pod takes it, or is none of the mesh any more, may be known already where it was sent.
const DOUBT: Duration = Duration::from_millis(500);
/// How many of one pod wait at a time; the others are refused at once.
const DOUBTS: usize = 64;

/// What the pods of a worker have in common.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) broker: Broker,
    pub(super) identities: Identities,
    pub(super) counts: Arc<Counts>,
    pub(super) outbound: Outbound,
    /// Connections that are open.
    pub(super) open: Arc<AtomicU64>,
    /// Of the one thread.
    pub(super) rounds: Rounds,
}

/// A pod as the supervisor gives it.
pub(super) struct Given {
    held: Held,
    pod: String,
    uid: String,
    /// Empty: it has none.
    identity: String,
    ips: Vec<IpAddr>,
    is_strict: bool,
    is_lenient: bool,
    listeners: Vec<(Purpose, Family, TcpListener)>,
    sockets: BTreeSet<SocketId>,
}

/// What tells sockets apart, whoever has a duplicate: their number in the file system of sockets.
type SocketId = u64;

/// How a pod is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// Time for what is under way.
    limit: Duration,
    /// Whether clients that ask for nothing have that time, too, because nobody waits for the end. They
    /// are dismissed at once otherwise.
    is_in_background: bool,
}

/// What all connections of a pod have in common.
pub(super) struct Place {
    /// For logs.
    pub(super) pod: String,
    /// Its addresses.
    pub(super) ips: Vec<IpAddr>,
    /// In whose name it dials.
    pub(super) origin: Origin,
    pub(super) outbound: Outbound,
    /// What it takes, which may change while it runs.
    policy: watch::Sender<Policy>,
    doubts: Semaphore,
    uid: String,
    pub(super) sockets: OfPod,
    /// Who it is, if it is anybody.
    pub(super) own: Option<Own>,
    pub(super) counts: Arc<Counts>,
    /// For as many connections as it may have.
    room: Arc<Semaphore>,
    /// Where everything that is done for it has its turns.
    pub(super) share: Share,
}

/// What a pod takes from outside.
#[derive(Clone, Copy, Debug)]
struct Policy {
    /// Whether plaintext is refused.
    is_strict: bool,
    /// Whether it is taken for now nevertheless.
    is_lenient: bool,
}

impl Policy {
    fn takes_plaintext(&self) -> bool {
        !self.is_strict || self.is_lenient
    }
}

impl Place {
    /// Whether plaintext from outside is taken. A refusal takes a while, unless there are many.
    pub(super) async fn takes_plaintext(&self) -> bool {
        if self.policy.borrow().takes_plaintext() {
            return true;
        }
        let Ok(_doubt) = self.doubts.try_acquire() else {
            return false;
        };
        let mut policy = self.policy.subscribe();
        let taken = policy.wait_for(Policy::takes_plaintext);
        timeout(DOUBT, taken).await.is_ok_and(|it| it.is_ok())
    }

    /// Room for another connection, which it takes until it is dropped.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }
}

/// A pod that is served.
pub(super) struct Pod {
    place: Arc<Place>,
    /// Where it accepts.
    listeners: BTreeSet<SocketId>,
    tasks: TaskTracker,
    /// Accept nothing more.
    leaving: CancellationToken,
    /// End what is left.
    cut: CancellationToken,
}

impl Given {
    /// What an order says, with its descriptors; the reason when it makes no sense.
    pub(super) fn read(
        held: Held,
        assign: &Assign,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Self, String> {
        let missing = || "not every listener has come".to_owned();
        if descriptors.len() != assign.listeners.len() {
            return Err(missing());
        }
        let ips = assign.ips.iter().map(|ip| ip.parse::<IpAddr>());
        let ips: Result<Vec<_>, _> = ips.collect();
        let ips = ips.map_err(|error| format!("an address of the pod: {error}"))?;
        let id = |it: &OwnedFd| Ok(fstat(it)?.st_ino);
        let sockets: io::Result<BTreeSet<SocketId>> = descriptors.iter().map(id).collect();
        let sockets = sockets.map_err(|error| format!("a listener: {error}"))?;
        let mut listeners = Vec::new();
        for (inlet, descriptor) in assign.listeners.iter().zip(descriptors) {
            let unknown = || "a listener of a kind this version does not know".to_owned();
            let (purpose, family) = inlet.read().ok_or_else(unknown)?;
            let listener = TcpListener::from_std(StdListener::from(descriptor));
            let listener = listener.map_err(|error| format!("a listener: {error}"))?;
            listeners.push((purpose, family, listener));
        }
        Ok(Self {
            held,
            pod: assign.pod.clone(),
            uid: assign.uid.clone(),
            identity: assign.identity.clone(),
            ips,
            is_strict: assign.is_strict.unwrap_or(true),
            is_lenient: assign.is_lenient,
            listeners,
            sockets,
        })
    }

    /// Whether it is this pod, which an earlier supervisor has assigned: it accepts on the same sockets.
    pub(super) fn is(&self, pod: &Pod) -> bool {
        self.sockets == pod.listeners && *self.uid == *pod.place.uid
    }
}

impl Pod {
    /// Accepts from now on.
    ///
    /// # Errors
    /// For people: the pod cannot be who it is said to be.
    pub(super) fn serve(given: Given, common: &Common) -> Result<Self, String> {
        let own = match given.identity.as_str() {
            "" => None,
            id => Some(common.identities.of(id, &given.uid)?),
        };
        let sockets = common.broker.of(given.held);
        let share = common.rounds.share();
        let caller = Caller::elsewhere(Arc::new(sockets.clone()), given.ips.clone());
        let caller = caller.sharing(share.clone());
        let namespace = given.pod.split_once('/');
        let place = Arc::new(Place {
            origin: Origin {
                namespace: namespace.map_or("", |(namespace, _)| namespace).into(),
                ips: given.ips.clone(),
                caller: Arc::new(caller),
            },
            outbound: common.outbound.clone(),
            pod: given.pod,
            ips: given.ips,
            policy: watch::Sender::new(Policy {
                is_strict: given.is_strict,
                is_lenient: given.is_lenient,
            }),
            doubts: Semaphore::new(DOUBTS),
            sockets,
            own,
            uid: given.uid,
            counts: Arc::clone(&common.counts),
            room: Arc::new(Semaphore::new(MOST)),
            share,
        });
        let pod = Self {
            place: Arc::clone(&place),
            listeners: given.sockets,
            tasks: TaskTracker::new(),
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        if let Some(own) = &place.own {
            // It ends with the identity.
            tokio::spawn(identify(Arc::clone(&place.origin.caller), own.comes()));
        }
        for (purpose, family, listener) in given.listeners {
            let inlet = Inlet {
                purpose,
                family,
                place: Arc::clone(&place),
                tasks: pod.tasks.clone(),
                leaving: pod.leaving.clone(),
                cut: pod.cut.clone(),
                open: Arc::clone(&common.open),
            };
            pod.tasks.spawn(async move { inlet.serve(listener).await });
        }
        Ok(pod)
    }

    /// Goes on, for another supervisor than before.
    pub(super) async fn go_on(&self, given: &Given, common: &Common) {
        self.place.policy.send_replace(Policy {
            is_strict: given.is_strict,
            is_lenient: given.is_lenient,
        });
        common.broker.go_on(&self.place.sockets, given.held).await;
        if let Some(own) = &self.place.own {
            own.is_known();
        }
    }

    /// Those it dials with.
    pub(super) fn sockets(&self) -> OfPod {
        self.place.sockets.clone()
    }

    /// Has what its first connection needs, once the supervisor knows that it is served.
    pub(super) async fn begin(&self) {
        self.place.sockets.begin(&self.place.ips).await;
    }

    /// Who it is, once it can prove that.
    pub(super) fn proven(&self) -> Option<SpiffeId> {
        self.place.own.as_ref()?.proven()
    }

    /// Takes over what the configuration says of the pod, if it says anything, for connections to come.
    pub(super) fn learn(&self, workloads: &Workloads) {
        let mut all = workloads.values().flat_map(|pods| pods.values());
        if let Some(workload) = all.find(|it| *it.uid == *self.place.uid) {
            let is_strict = !workload.is_permissive;
            let policy = &self.place.policy;
            policy.send_modify(|policy| policy.is_strict = is_strict);
        }
    }

    /// Takes plaintext whatever else is said, or does so no longer, for connections to come.
    pub(super) fn be_lenient(&self, is_lenient: bool) {
        let policy = &self.place.policy;
        policy.send_modify(|policy| policy.is_lenient = is_lenient);
    }

    /// Accepts nothing more, asks clients to go elsewhere, and waits for what is under way. After the limit
    /// whoever asks for nothing is dismissed, and what is left then is reset.
    pub(super) async fn drain(self, ending: Ending) {
        if let Some(own) = &self.place.own {
            own.leaves();
        }
        let caller = &self.place.origin.caller;
        caller.leave();
        if !ending.is_in_background {
            caller.dismiss();
        }
        self.leaving.cancel();
        self.tasks.close();
        let mut has_ended = timeout(ending.limit, self.tasks.wait()).await.is_ok();
        if !has_ended && ending.is_in_background {
            caller.dismiss();
            has_ended = timeout(DISMISSAL, self.tasks.wait()).await.is_ok();
        }
        if !has_ended {
            self.cut.cancel();
            if timeout(FAREWELL, self.tasks.wait()).await.is_err() {
                tracing::error!("connections of a pod did not end when they were cut");
            }
        }
        self.place.outbound.forget(caller);
    }
}

impl Ending {
    /// Within that time, and sooner if nothing is under way.
    pub(super) fn within(limit: Duration) -> Self {
        Self {
            limit,
            is_in_background: false,
        }
    }
}

impl From<Drain> for Ending {
    fn from(drain: Drain) -> Self {
        Self {
            limit: Duration::from_millis(drain.limit_ms),
            is_in_background: drain.is_followed,
        }
    }
}

/// Lets who dials from a pod know who it is.
async fn identify(caller: Arc<Caller>, comes: impl Future<Output = Option<Ready>>) {
    if let Some(ready) = comes.await
        && let Err(error) = caller.identify(&ready.identity)
    {
        tracing::error!(?caller, %error, "an identity cannot be used");
    }
}

#[cfg(test)]
mod tests;
