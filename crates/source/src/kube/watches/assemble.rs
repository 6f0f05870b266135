//! From changes of single kinds to updates of the whole: newest state per object, findings sorted,
//! and whether everything is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;
use weft_api::{Kind, ObjectRef};

use super::super::known::Delta;
use super::super::named::References;
use super::Update;
use crate::finding::Finding;
use crate::loader::Event;

/// Objects that may wait for an update to be taken; with so many, no more changes are taken in.
const PENDING_MAX: usize = 8_192;

/// What waits to be told, and what holds now.
pub(super) struct Assembly {
    pending: BTreeMap<ObjectRef, Event>,
    /// Objects whose newest version cannot be read.
    bad: BTreeMap<ObjectRef, Finding>,
    /// Kinds that cannot be read; first, that nobody knows which there are.
    troubles: BTreeMap<Option<Kind>, Finding>,
    /// Kinds that were not listed yet.
    unsettled: BTreeSet<Kind>,
    referred: u64,
    references: watch::Receiver<References>,
    findings: Arc<[Finding]>,
    findings_changed: bool,
    /// Whether there is anything to tell.
    is_news: bool,
}

impl Assembly {
    pub(super) fn new(kinds: &[Kind], references: watch::Receiver<References>) -> Self {
        Self {
            pending: BTreeMap::new(),
            bad: BTreeMap::new(),
            troubles: BTreeMap::new(),
            unsettled: kinds.iter().copied().collect(),
            referred: 0,
            references,
            findings: Arc::default(),
            findings_changed: false,
            is_news: false,
        }
    }

    /// Takes what is there, then tells it: alone it goes at once, a burst goes together.
    pub(super) async fn run(mut self, mut deltas: Receiver<Vec<Delta>>, updates: Sender<Update>) {
        loop {
            tokio::select! {
                biased;
                taken = deltas.recv(), if self.pending.len() < PENDING_MAX => {
                    let Some(taken) = taken else { return };
                    for delta in taken {
                        self.take(delta);
                    }
                }
                permit = updates.reserve(), if self.is_news => {
                    let Ok(permit) = permit else { return };
                    permit.send(self.update());
                }
            }
        }
    }

    fn take(&mut self, delta: Delta) {
        match delta {
            Delta::Apply(object) => {
                let reference = object.reference();
                if self.is_wanted(&reference) {
                    self.cured(&reference);
                    self.event(reference, Event::Apply(object));
                }
            }
            Delta::Delete(reference) => {
                self.cured(&reference);
                self.event(reference.clone(), Event::Delete(reference));
            }
            Delta::Bad(reference, finding) => {
                if self.is_wanted(&reference) && self.bad.get(&reference) != Some(&finding) {
                    tracing::warn!("{finding}");
                    self.bad.insert(reference, finding);
                    self.findings_changed = true;
                    self.is_news = true;
                }
            }
            Delta::Settled(kind) => {
                // The last kind is news even if it has no objects.
                self.is_news |= self.unsettled.remove(&kind) && self.unsettled.is_empty();
            }
            Delta::Trouble(kind, finding) => {
                let before = match finding {
                    Some(finding) => self.troubles.insert(kind, finding.clone()) == Some(finding),
                    None => self.troubles.remove(&kind).is_none(),
                };
                if !before {
                    self.findings_changed = true;
                    self.is_news = true;
                }
            }
            Delta::Referred(set) => {
                self.referred = set;
                self.is_news = true;
            }
        }
    }

    /// What is read by name may come late, when nobody refers to it any more.
    fn is_wanted(&self, reference: &ObjectRef) -> bool {
        !matches!(reference.kind, Kind::Secret | Kind::ConfigMap)
            || self.references.borrow().objects.contains(reference)
    }

    fn event(&mut self, reference: ObjectRef, event: Event) {
        self.pending.insert(reference, event);
        self.is_news = true;
    }

    fn cured(&mut self, reference: &ObjectRef) {
        self.findings_changed |= self.bad.remove(reference).is_some();
    }

    fn update(&mut self) -> Update {
        self.is_news = false;
        if std::mem::take(&mut self.findings_changed) {
            let troubles = self.troubles.values();
            self.findings = troubles.chain(self.bad.values()).cloned().collect();
        }
        Update {
            events: std::mem::take(&mut self.pending).into_values().collect(),
            findings: Arc::clone(&self.findings),
            synced: self.unsettled.is_empty(),
            referred: self.referred,
        }
    }
}
