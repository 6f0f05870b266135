//! What all proxies have taken, at whatever replica they are connected.
//!
//! The replica that leads writes statuses of it, so it must not overlook a proxy. Another replica may
//! have proxies that it has not reported yet when this one begins to lead, and may have lost its link
//! but not its proxies: in both cases the answer is the older one until that is over.

mod departed;
mod members;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use weft_api::ObjectRef;
use weft_ir::Name;
use weft_wire::proto::{config::Trusts, replicas::ReportRequest};

use super::{
    captures::{self, News, PodOfNode, Word},
    ledger::{Ledger, Taken},
    object_of, whose,
};
use crate::{applied::Spread, world::Gateways};

/// So long the word of a Gateway's proxies holds after the last of them lost its stream: they serve
/// on what they have, and are about to call again.
const REMEMBERED: Duration = Duration::from_secs(30);
/// So long after it began to lead, a replica says nothing new of Gateways: the others look at the
/// Lease every second, and then tell it what their proxies have taken.
const SETTLING: Duration = Duration::from_secs(3);
/// So long the proxies of a replica count that reports no more, and that is more than a replica
/// serves without reporting (`replicas::PATIENCE`).
const HELD: Duration = Duration::from_secs(25);

/// Everything that is known of proxies.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Of those that are connected here.
    pub(super) own: Ledger,
    others: BTreeMap<String, Other>,
    remembered: BTreeMap<Name, Remembered>,
    missed: members::Missed,
    /// When other replicas have had time to report, after this one began to lead; `None` while it
    /// does not.
    settled_at: Option<Duration>,
    /// Pods of which proxies say something else, for the replica that leads.
    pods: News,
    /// The UIDs of pods that no proxy reaches any more, as the replica that leads says.
    departed_by_word: BTreeSet<String>,
}

/// What another replica reports.
#[derive(Debug)]
struct Other {
    link: u64,
    ledger: Ledger,
    /// Whom it trusts itself.
    trusts: Trusts,
    /// Until when it counts, once the link is lost.
    until: Option<Duration>,
}

/// What held when nobody was connected any more.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    generation: i64,
    until: Duration,
}

impl Standing {
    /// A configuration holds these Gateways.
    pub(super) fn publish(&mut self, configuration: u64, gateways: &Gateways, now: Duration) {
        let objects = gateways.iter();
        let objects = objects.map(|(name, served)| (object_of(name), served.generation));
        let objects: BTreeMap<ObjectRef, i64> = objects.collect();
        for (name, served) in gateways {
            // One that is seen for the first time, and whose status says what was programmed by this
            // process before it was restarted, or by another one.
            if !self.own.holds(&object_of(name)) {
                self.remember(name, served.programmed, now);
            }
        }
        self.own.publish(configuration, &objects);
        let is_there = |name: &Name| whose::is_node(name) || gateways.contains_key(name);
        self.own.keep(is_there);
        self.missed.keep(is_there);
        self.remembered.retain(|name, _| is_there(name));
        self.forget(now);
    }

    /// This replica begins to lead.
    pub(super) fn lead(&mut self, gateways: &Gateways, now: Duration) {
        self.settled_at = Some(now + SETTLING);
        self.departed_by_word.clear();
        for (name, served) in gateways {
            self.remember(name, served.programmed, now);
        }
    }

    /// It does not lead any more.
    pub(super) fn follow(&mut self) {
        self.settled_at = None;
        self.pods = News::default();
    }

    fn remember(&mut self, gateway: &Name, generation: Option<i64>, now: Duration) {
        let until = now + REMEMBERED;
        let remembered = generation.map(|generation| Remembered { generation, until });
        match remembered {
            Some(remembered) => self.remembered.insert(gateway.clone(), remembered),
            None => self.remembered.remove(gateway),
        };
    }

    /// Newest generation of a Gateway that all of its connected proxies have taken; of those before,
    /// for a while, when there are none. `stated` is what its status says, and what a replica goes by
    /// that does not know all proxies.
    pub(super) fn acknowledged(
        &self,
        gateway: &Name,
        stated: Option<i64>,
        now: Duration,
    ) -> Option<i64> {
        if self.settled_at.is_none_or(|at| now < at) {
            return stated;
        }
        match self.of_connected(gateway, now) {
            Some(least) => least,
            None => self.of_remembered(gateway, now),
        }
    }

    /// The least of all that proxies have said; `None` when there is no proxy that has said anything.
    /// Who refuses a part of the Gateway has not taken it.
    fn of_connected(&self, gateway: &Name, now: Duration) -> Option<Option<i64>> {
        let object = object_of(gateway);
        self.taken(gateway, &object, now)
            .map(|(_, taken)| taken.generation.filter(|_| taken.refusal.is_none()))
            .min()
    }

    /// What each proxy of a Gateway, or of all nodes, has of an object, wherever it is connected; with
    /// the Gateway or node.
    fn taken<'a>(
        &'a self,
        gateway: &'a Name,
        object: &'a ObjectRef,
        now: Duration,
    ) -> impl Iterator<Item = (&'a Name, Taken<'a>)> {
        let is_mesh = whose::is_mesh(gateway);
        let of_ledger = move |ledger: &'a Ledger| {
            // Nodes sort before Gateways.
            let nodes = ledger.gateways();
            let nodes = nodes.take_while(move |name| is_mesh && whose::is_node(name));
            let all = nodes.chain((!is_mesh).then_some(gateway));
            all.flat_map(move |name| ledger.taken(name, object).map(move |it| (name, it)))
        };
        let counts = move |other: &&Other| other.until.is_none_or(|until| now < until);
        let others = self.others.values().filter(counts).flat_map(move |other| {
            // Those of a lost replica that have found another one speak for themselves.
            of_ledger(&other.ledger).filter(move |(name, taken)| {
                other.until.is_none() || !self.is_connected(name, taken.instance)
            })
        });
        of_ledger(&self.own).chain(others)
    }

    /// How many proxies of a Gateway have a generation of an object; `None` while not all of them are
    /// known, and when there are none.
    pub(super) fn spread(
        &self,
        (object, gateway): (&ObjectRef, &Name),
        generation: i64,
        now: Duration,
    ) -> Option<Spread> {
        if self.settled_at.is_none_or(|at| now < at) {
            return None;
        }
        let mut spread = Spread {
            applied: 0,
            refused: Vec::new(),
            laggards: Vec::new(),
        };
        for (name, taken) in self.taken(gateway, object, now) {
            let shown = match whose::is_node(name) {
                true => &name.name,
                false => taken.instance,
            };
            let has_it = taken.generation.is_some_and(|it| it >= generation);
            match taken.refusal.filter(|_| has_it) {
                Some(why) => spread.refused.push(format!("{shown}: {why}")),
                None if has_it => spread.applied += 1,
                None => spread.laggards.push(shown.to_owned()),
            }
        }
        (spread.proxies() > 0).then_some(spread)
    }

    /// Proxies of a node say something else of these pods than before. Who does not lead has no use for
    /// it: whoever begins to lead asks about all of them.
    pub(super) fn pods_changed(&mut self, pods: impl IntoIterator<Item = PodOfNode>) {
        if self.settled_at.is_some() {
            self.pods.add(pods);
        }
    }

    /// The pods of which something else is said since somebody asked.
    pub(super) fn take_pods(&mut self) -> BTreeSet<PodOfNode> {
        self.pods.take()
    }

    /// Every pod of which something is said.
    pub(super) fn all_pods(&self) -> BTreeSet<PodOfNode> {
        self.speaking().flat_map(Ledger::spoken_of).collect()
    }

    /// What the proxies of a node say about a pod, wherever they are connected.
    pub(super) fn word(&self, node: &Name, uid: &str) -> Option<&Word> {
        captures::best(self.speaking().flat_map(|it| it.words(node, uid)))
    }

    /// Of replicas that are heard now: the nodes of a lost one are about to speak for themselves.
    fn speaking(&self) -> impl Iterator<Item = &Ledger> {
        let linked = self.others.values().filter(|other| other.until.is_none());
        linked.map(|other| &other.ledger).chain([&self.own])
    }

    fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        let others = self.others.values().map(|other| &other.ledger);
        others.chain([&self.own])
    }

    /// Every route that some proxy cannot serve as it says.
    pub(super) fn refused(&self) -> BTreeSet<ObjectRef> {
        self.ledgers().flat_map(Ledger::refused).cloned().collect()
    }

    /// Whether a proxy has a stream, at a replica that we hear of.
    fn is_connected(&self, gateway: &Name, instance: &str) -> bool {
        let mut linked = self.others.values().filter(|other| other.until.is_none());
        self.own.knows(gateway, instance)
            || linked.any(|other| other.ledger.knows(gateway, instance))
    }

    /// A stream ends.
    pub(super) fn leave(&mut self, proxy: (&Name, &str), session: u64, now: Duration) {
        let (gateway, instance) = proxy;
        if self.own.has(gateway, instance, session) {
            let gateways = [gateway.clone()];
            self.missed.add(members::of(&self.own, proxy), now);
            self.losing(&gateways, now, |standing| {
                standing.own.leave(proxy, session);
            });
        }
    }

    /// Loses proxies of Gateways perhaps, and remembers what they had if they were the last.
    fn losing(&mut self, gateways: &[Name], now: Duration, lose: impl FnOnce(&mut Self)) {
        let before = gateways.iter();
        let before: Vec<_> = before.map(|name| self.of_connected(name, now)).collect();
        lose(self);
        for (gateway, before) in gateways.iter().zip(before) {
            if let Some(generation) = before
                && self.of_connected(gateway, now).is_none()
            {
                self.remember(gateway, generation, now);
            }
        }
    }

    /// When what is remembered ends to hold, of whatever is remembered.
    pub(super) fn forgets_at(&self, now: Duration) -> Option<Duration> {
        let remembered = self.remembered.values().map(|it| it.until);
        let held = self.others.values().filter_map(|other| other.until);
        let all = remembered.chain(held).chain(self.settled_at);
        all.filter(|until| *until > now).min()
    }

    fn of_remembered(&self, gateway: &Name, now: Duration) -> Option<i64> {
        let remembered = self.remembered.get(gateway);
        let remembered = remembered.filter(|it| it.until > now);
        remembered.map(|it| it.generation)
    }
}

/// Other replicas.
impl Standing {
    /// Another replica begins to report.
    pub(super) fn link(&mut self, replica: &str, link: u64) {
        let other = self.others.entry(replica.to_owned());
        let other = other.or_insert_with(|| Other {
            link,
            ledger: Ledger::default(),
            trusts: Trusts::default(),
            until: None,
        });
        other.link = link;
    }

    /// Takes over a report; whether it counts.
    pub(super) fn report(
        &mut self,
        (replica, link): (&str, u64),
        report: ReportRequest,
        now: Duration,
    ) -> bool {
        let other = self.others.get(replica);
        let Some(other) = other.filter(|other| other.link == link) else {
            return false;
        };
        let gateways: Vec<Name> = other.ledger.gateways().cloned().collect();
        self.missed
            .add(members::leaving(&other.ledger, &report), now);
        self.losing(&gateways, now, |standing| {
            let Some(other) = standing.others.get_mut(replica) else {
                return;
            };
            if !report.replica.is_empty() {
                // The first one of a link says everything.
                other.ledger = Ledger::default();
                other.until = None;
            }
            other.trusts = Trusts {
                bundle_version: report.bundle_version,
                issuer: report.issuer.clone(),
                workers: Vec::new(),
            };
            let pods = other.ledger.take(report);
            standing.pods_changed(pods);
        });
        true
    }

    /// The link is lost.
    pub(super) fn unlink(&mut self, (replica, link): (&str, u64), now: Duration) {
        let other = self.others.get_mut(replica);
        if let Some(other) = other.filter(|other| other.link == link) {
            other.until = Some(now + HELD);
        }
        self.forget(now);
    }

    /// Forgets replicas that do not count any more.
    fn forget(&mut self, now: Duration) {
        let is_known = |other: &Other| other.until.is_none_or(|until| now < until);
        self.others.retain(|_, other| is_known(other));
    }
}
