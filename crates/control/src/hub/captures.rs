//! What the proxies of nodes say about the pods there: whether each is captured.
//!
//! The word of a proxy lasts as long as its stream, or that of its replica to this one. What is written
//! into the annotations of pods outlasts both.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
};

use weft_ir::Name;
use weft_wire::proto::{
    config::{Capture, PodReport},
    replicas::PodWord,
};

/// Pods that one proxy may speak of; a node has a few hundred at most.
const PODS_MAX: usize = 4_096;
/// Longest UID that is taken; those of Kubernetes have 36 bytes.
const UID_BYTES_MAX: usize = 64;
/// Longest reason that is kept.
const REASON_BYTES_MAX: usize = 256;
/// Addresses of a pod that are kept; Kubernetes has one for each family.
const ADDRESSES_MAX: usize = 2;

/// A pod by its node and its UID.
pub(crate) type PodOfNode = (Name, String);

/// What is said about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) captured: Capture,
    /// For people.
    pub(crate) reason: String,
    /// When its capture was last repaired, in seconds since 1970; 0: never.
    pub(crate) repaired_unix_s: u64,
    /// What had been damaged then, for people.
    pub(crate) damage: String,
    /// Whether its worker ends again and again.
    pub(crate) is_crashing: bool,
    /// With which it was captured.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The first addresses of these texts; what is none is left out.
fn addresses(texts: &[String]) -> Vec<IpAddr> {
    let addresses = texts.iter().filter_map(|it| it.parse().ok());
    addresses.take(ADDRESSES_MAX).collect()
}

/// What one proxy says about the pods of its node, by UID.
#[derive(Clone, Debug, Default)]
pub(super) struct Captures(BTreeMap<String, Word>);

impl Captures {
    pub(super) fn get(&self, uid: &str) -> Option<&Word> {
        self.0.get(uid)
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Takes over a report; the pods of which something else is said than before. Who speaks of more
    /// pods than a node can have is not heard about the others.
    pub(super) fn take(&mut self, report: PodReport) -> Vec<String> {
        let states = report.pods.into_iter().map(|pod| {
            let captured = pod.captured();
            let word = Word {
                captured,
                reason: pod.reason,
                repaired_unix_s: pod.repaired_unix_s,
                damage: pod.damage,
                is_crashing: pod.is_crashing,
                addresses: addresses(&pod.addresses),
            };
            (pod.uid, word)
        });
        self.take_all(states)
    }

    fn take_all(&mut self, states: impl Iterator<Item = (String, Word)>) -> Vec<String> {
        let mut changed = Vec::new();
        for (uid, mut word) in states.filter(|(uid, _)| uid.len() <= UID_BYTES_MAX) {
            for text in [&mut word.reason, &mut word.damage] {
                text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
            }
            let room = self.0.len() < PODS_MAX || self.make_room();
            match self.0.entry(uid) {
                Entry::Occupied(known) if *known.get() == word => continue,
                Entry::Occupied(mut known) => {
                    changed.push(known.key().clone());
                    known.insert(word);
                }
                Entry::Vacant(free) if room => {
                    changed.push(free.key().clone());
                    free.insert(word);
                }
                Entry::Vacant(_) => {}
            }
        }
        changed
    }

    /// Forgets pods that are over; whether there were any.
    fn make_room(&mut self) -> bool {
        self.0.retain(|_, word| word.captured != Capture::Ended);
        self.0.len() < PODS_MAX
    }

    /// What another replica has to hear that was told `told`, of the proxy of that node and instance.
    /// Of a pod about which nothing is said any more: that.
    pub(super) fn since(&self, told: &Self, (node, instance): (&Name, &str)) -> Vec<PodWord> {
        let word = |uid: &String, word: Option<&Word>| PodWord {
            node: node.name.to_string(),
            instance: instance.to_owned(),
            uid: uid.clone(),
            captured: word.map_or(Capture::Unspecified, |it| it.captured).into(),
            reason: word.map(|it| it.reason.clone()).unwrap_or_default(),
            repaired_unix_s: word.map_or(0, |it| it.repaired_unix_s),
            damage: word.map(|it| it.damage.clone()).unwrap_or_default(),
            is_crashing: word.is_some_and(|it| it.is_crashing),
            addresses: word.map_or_else(Vec::new, |it| {
                it.addresses.iter().map(ToString::to_string).collect()
            }),
        };
        let is_news = |(uid, word): &(&String, &Word)| told.get(uid) != Some(*word);
        let news = self.0.iter().filter(is_news);
        let silent = told.0.keys().filter(|uid| !self.0.contains_key(*uid));
        let news = news.map(|(uid, it)| word(uid, Some(it)));
        news.chain(silent.map(|uid| word(uid, None))).collect()
    }

    /// Takes over one word of another replica; whether it makes a difference.
    pub(super) fn hear(&mut self, word: PodWord) -> bool {
        match Capture::try_from(word.captured).unwrap_or_default() {
            Capture::Unspecified => self.0.remove(&word.uid).is_some(),
            captured => {
                let said = Word {
                    captured,
                    reason: word.reason,
                    repaired_unix_s: word.repaired_unix_s,
                    damage: word.damage,
                    is_crashing: word.is_crashing,
                    addresses: addresses(&word.addresses),
                };
                !self.take_all(std::iter::once((word.uid, said))).is_empty()
            }
        }
    }
}

/// Of several proxies of a node, which there are while one takes over from another, one suffices that
/// has captured a pod.
pub(super) fn best<'a>(words: impl Iterator<Item = &'a Word>) -> Option<&'a Word> {
    words.max_by_key(|word| match word.captured {
        Capture::Done => 4,
        Capture::Failed => 3,
        Capture::Pending => 2,
        Capture::Ended => 1,
        Capture::Unspecified => 0,
    })
}

/// Pods of which something else is said, until somebody asks.
#[derive(Debug, Default)]
pub(super) struct News(BTreeSet<PodOfNode>);

impl News {
    pub(super) fn add(&mut self, pods: impl IntoIterator<Item = PodOfNode>) {
        self.0.extend(pods);
    }

    pub(super) fn take(&mut self) -> BTreeSet<PodOfNode> {
        std::mem::take(&mut self.0)
    }
}
