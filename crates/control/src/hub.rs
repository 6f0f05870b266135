//! Between the reconciler and the streams: the newest configuration, who is connected, and what each
//! proxy has taken, here and at other replicas.
//!
//! One lock guards all of it. It is held for looks and for taking a configuration apart (which costs
//! what changed), never while anything is waited for.

mod captures;
mod ledger;
mod marks;
mod seat;
mod standing;
#[cfg(test)]
mod tests;
pub(crate) mod whose;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::{Name, Workload};
use weft_wire::{
    Configuration, Pool, Scope,
    proto::{config::Trusts, replicas::ReportRequest},
};

pub(crate) use self::{
    captures::{PodOfNode, Word},
    ledger::Told,
    seat::Seat,
};
use self::{seat::Parts, standing::Standing};
use crate::{applied::Spread, world::Gateways};

/// Streams of one Gateway that are open at once; a Deployment has a few dozen pods at most.
const PROXIES_MAX: usize = 1_000;

/// What streams, other replicas and the reconciler share.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Generation of the configuration; 0 before the first.
    generation: watch::Sender<u64>,
    /// Counts changes of what proxies have taken.
    reports: watch::Sender<u64>,
    /// Counts changes of what other replicas are told.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    configuration: Configuration,
    generation: u64,
    gateways: Arc<Gateways>,
    standing: Standing,
    /// The configuration, taken apart for whoever has a stream here.
    parts: BTreeMap<Scope, Parts>,
    pool: Pool,
    sessions: u64,
    /// Whom this replica trusts itself.
    trusts: Trusts,
}

impl State {
    /// Whether there is a Gateway of that name, or it is the name of a node. Which nodes there are is
    /// nobody's business here: one without pods is sent nothing.
    fn serves(&self, name: &Name) -> bool {
        whose::is_node(name) || self.gateways.contains_key(name)
    }
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

impl Hub {
    /// Nothing is known and nobody is connected.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            generation: watch::Sender::default(),
            reports: watch::Sender::default(),
            news: watch::Sender::default(),
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
        state.standing.publish(generation, gateways, now);
        state.gateways = Arc::clone(gateways);
        drop(state);
        self.generation.send_replace(generation);
        self.is_news();
    }

    /// The service account of the proxies of a Gateway; `None` when it is none of ours.
    pub(crate) fn workload_of(&self, gateway: &Name) -> Option<String> {
        let state = self.state();
        state.gateways.get(gateway).map(|it| it.workload.clone())
    }

    /// The pod of a UID on a node, as of the newest configuration.
    pub(crate) fn workload(&self, node: &str, uid: &str) -> Option<Arc<Workload>> {
        let pods = self.state().configuration.workloads.get(node).cloned()?;
        pods.values().find(|pod| *pod.uid == *uid).cloned()
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
        if !state.serves(gateway) {
            return Err(JoinError::Unknown);
        }
        let State {
            standing, sessions, ..
        } = &mut *state;
        if standing.own.len(gateway) >= PROXIES_MAX {
            return Err(JoinError::TooMany);
        }
        *sessions += 1;
        let session = *sessions;
        standing.own.join(gateway, instance, session);
        drop(state);
        self.reported();
        Ok(Seat {
            hub: Arc::clone(self),
            gateway: gateway.clone(),
            instance: instance.to_owned(),
            session,
            scope: whose::scope(gateway, false),
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
            // One that is seen for the first time: what its status says holds until proxies have had
            // a chance to come back.
            let generation = match state.gateways.contains_key(name) {
                true => state.standing.acknowledged(name, served.programmed, now)?,
                false => served.programmed?,
            };
            Some((name.clone(), generation))
        };
        gateways.iter().filter_map(of).collect()
    }

    /// The newest configuration holds these generations of routes; the others of them are gone.
    pub(crate) fn hold(&self, routes: &[(ObjectRef, i64)], gone: &[ObjectRef]) {
        let mut state = self.state();
        let generation = state.generation;
        for (route, of_object) in routes {
            state.standing.own.hold(route, generation, *of_object);
        }
        gone.iter()
            .for_each(|object| state.standing.own.forget(object));
        drop(state);
        self.is_news();
    }

    /// How many proxies of a Gateway, or of all nodes ([`whose::mesh`]), have a generation of a route; `None` while that is not known, and
    /// when there are none.
    pub(crate) fn spread(
        &self,
        route: (&ObjectRef, &Name),
        generation: i64,
        now: Duration,
    ) -> Option<Spread> {
        self.state().standing.spread(route, generation, now)
    }

    /// Routes that some proxy cannot serve as they say.
    pub(crate) fn refused(&self) -> BTreeSet<ObjectRef> {
        self.state().standing.refused()
    }

    /// What is said about pods, as far as something else is said than the last time, and about `others`;
    /// about every pod if `all`.
    pub(crate) fn words(
        &self,
        others: impl IntoIterator<Item = PodOfNode>,
        all: bool,
    ) -> Vec<(PodOfNode, Word)> {
        let mut state = self.state();
        let mut pods = state.standing.take_pods();
        pods.extend(others);
        if all {
            pods.extend(state.standing.all_pods());
        }
        let standing = &state.standing;
        let word = |pod: PodOfNode| {
            let word = standing.word(&pod.0, &pod.1)?.clone();
            Some((pod, word))
        };
        pods.into_iter().filter_map(word).collect()
    }

    /// Pods that are leaving the mesh, by UID, each with the first configuration in which nobody reaches it
    /// through the tunnel; and no others.
    pub(crate) fn depart(&self, pods: &BTreeMap<Arc<str>, u64>) {
        let is_news = self.state().standing.own.depart(pods);
        if is_news {
            self.reported();
        }
    }

    /// The UIDs of those of them that no proxy reaches any more, at whatever replica.
    pub(crate) fn departed(&self, now: Duration) -> BTreeSet<Arc<str>> {
        self.state().standing.departed(now)
    }

    /// What the replica that leads says of pods that no proxy reaches any more, by UID; nothing of any other.
    pub(crate) fn departed_by_word(&self, pods: Vec<String>) {
        self.state().standing.hear_departed(pods);
        self.reported();
    }

    /// When what is remembered of proxies that went stops to count, if anything is remembered.
    pub(crate) fn forgets_at(&self, now: Duration) -> Option<Duration> {
        self.state().standing.forgets_at(now)
    }

    /// How many proxies are connected.
    pub(crate) fn connected(&self) -> usize {
        self.state().standing.own.total()
    }

    /// Changes of what other replicas are told, followed.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn reported(&self) {
        self.reports.send_modify(|count| *count += 1);
        self.is_news();
    }

    fn is_news(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replicas among themselves.
impl Hub {
    /// This replica begins or ceases to lead. What statuses say holds until the others had time to
    /// find it.
    pub(crate) fn lead(&self, leads: bool, now: Duration) {
        let mut state = self.state();
        if leads {
            let gateways = Arc::clone(&state.gateways);
            state.standing.lead(&gateways, now);
        } else {
            state.standing.follow();
        }
    }

    /// What is different from what another replica was told, if anything is.
    pub(crate) fn report(&self, told: &mut Told) -> Option<ReportRequest> {
        let mut state = self.state();
        let State {
            standing, trusts, ..
        } = &mut *state;
        standing.own.report(trusts, told)
    }

    /// This replica trusts others, or has another certificate.
    pub(crate) fn trusts(&self, trusts: Trusts) {
        let mut state = self.state();
        let is_news = state.trusts != trusts;
        state.trusts = trusts;
        drop(state);
        if is_news {
            self.is_news();
        }
    }

    /// Everybody who has to follow when the roots change, by a name for people, with whom they trust
    /// as far as they have said so; `None` while that is not known.
    pub(crate) fn members(&self, now: Duration) -> Option<BTreeMap<String, Trusts>> {
        let state = self.state();
        let mut members = state.standing.members(now)?;
        members.insert("this replica".to_owned(), state.trusts.clone());
        Some(members)
    }

    /// Another replica begins to report. The answer names the link.
    pub(crate) fn link(&self, replica: &str) -> u64 {
        let mut state = self.state();
        state.sessions += 1;
        let link = state.sessions;
        state.standing.link(replica, link);
        link
    }

    /// What it reports. A link that was replaced says nothing any more.
    pub(crate) fn reported_by(&self, link: (&str, u64), report: ReportRequest, now: Duration) {
        let is_news = self.state().standing.report(link, report, now);
        if is_news {
            self.reported();
        }
    }

    /// It does not report any more. Its proxies count until it must have ended their streams.
    pub(crate) fn unlink(&self, (replica, link): (&str, u64), now: Duration) {
        self.state().standing.unlink((replica, link), now);
        self.reported();
    }
}

/// The object that a Gateway is.
fn object_of(gateway: &Name) -> ObjectRef {
    let key = ObjectKey::new(Arc::clone(&gateway.namespace), Arc::clone(&gateway.name));
    ObjectRef::new(Kind::Gateway, key)
}
