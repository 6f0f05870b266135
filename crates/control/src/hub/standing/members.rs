//! Who has to follow when the roots change: proxies with their workers, and replicas.

use std::{collections::BTreeMap, time::Duration};

use weft_ir::Name;
use weft_wire::proto::{config::Trusts, replicas::ReportRequest};

use super::{Other, Standing};
use crate::hub::{ledger::Ledger, whose};

/// So long a proxy counts that has lost its stream. One that is alive calls again within seconds, and may
/// hold what nobody else has any more; one that is gone must not keep a root for ever.
const MISSED: Duration = Duration::from_secs(60);

/// Proxies that have lost their streams: what they said last, and until when they count.
#[derive(Debug, Default)]
pub(super) struct Missed(BTreeMap<(Name, String), (Trusts, Duration)>);

impl Missed {
    /// Proxies of other Gateways do not count any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&Name) -> bool) {
        self.0.retain(|(gateway, _), _| is_there(gateway));
    }

    /// These have lost their streams, or are about to say whether they have.
    pub(super) fn add(&mut self, lost: Vec<Said>, now: Duration) {
        self.0.retain(|_, (_, until)| *until > now);
        let until = now + MISSED;
        let lost = lost.into_iter();
        self.0
            .extend(lost.map(|(proxy, trusts)| (proxy, (trusts, until))));
    }
}

/// A proxy by Gateway or node and instance, with whom it trusts as far as it has said so.
type Said = ((Name, String), Trusts);

/// Those of them that a report may say to be gone.
pub(super) fn leaving(ledger: &Ledger, report: &ReportRequest) -> Vec<Said> {
    // The first one of a link says everything.
    let is_whole = !report.replica.is_empty();
    let is_gone = |(gateway, instance): (&Name, &str)| {
        let mut proxies = report.proxies.iter();
        proxies.any(|it| {
            it.gone
                && it.instance == instance
                && (&*it.namespace, &*it.gateway) == (&*gateway.namespace, &*gateway.name)
        })
    };
    if !is_whole && report.proxies.iter().all(|proxy| !proxy.gone) {
        return Vec::new();
    }
    let heard = ledger.members().filter(|(_, _, trusts)| trusts.is_some());
    let leaving = heard.filter(|(gateway, instance, _)| is_whole || is_gone((gateway, instance)));
    leaving.map(said).collect()
}

/// One proxy, as it leaves.
pub(super) fn of(ledger: &Ledger, (gateway, instance): (&Name, &str)) -> Vec<Said> {
    let trusts = ledger.trusted(gateway, instance);
    let said = trusts.map(|trusts| said((gateway, instance, Some(trusts))));
    said.into_iter().collect()
}

fn said((gateway, instance, trusts): (&Name, &str, Option<&Trusts>)) -> Said {
    let proxy = (gateway.clone(), instance.to_owned());
    (proxy, trusts.cloned().unwrap_or_default())
}

impl Standing {
    /// Every proxy and every other replica, by a name for people, with whom it trusts as far as it has
    /// said so; `None` while not everybody has had time to call.
    pub(in crate::hub) fn members(&self, now: Duration) -> Option<BTreeMap<String, Trusts>> {
        if self.settled_at.is_none_or(|at| now < at) {
            return None;
        }
        let counts = |other: &&Other| other.until.is_none_or(|until| now < until);
        let others = self.others.values().filter(counts);
        let ledgers = others.map(|other| &other.ledger).chain([&self.own]);
        // Of a proxy that is known twice, the word it gave here counts.
        let connected: BTreeMap<_, _> = ledgers.flat_map(Ledger::members).map(said).collect();
        let missed = self.missed.0.iter();
        let missed =
            missed.filter(|(proxy, (_, until))| now < *until && !connected.contains_key(*proxy));
        let shown = |(gateway, instance): &(Name, String)| {
            format!("{} proxy {instance}", whose::shown(gateway))
        };
        let mut members = BTreeMap::new();
        for (proxy, (trusts, _)) in missed {
            let name = format!("{}, which has no stream now,", shown(proxy));
            members.insert(name, trusts.clone());
        }
        members.extend(
            connected
                .iter()
                .map(|(proxy, it)| (shown(proxy), it.clone())),
        );
        for (replica, other) in &self.others {
            if other.until.is_none() {
                members.insert(format!("replica {replica}"), other.trusts.clone());
            }
        }
        Some(members)
    }
}
