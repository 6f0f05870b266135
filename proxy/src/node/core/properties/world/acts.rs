//! What happens in the node in memory, each by itself.

use std::{collections::BTreeSet, sync::Arc};

use weft_intercept::{NetnsId, capture};

use super::{
    super::super::{Event, Job, OfWorker, Outcome, Question, Seen, Sighting, Ticket, Verdict},
    Made, Netns, Space, World, id, netns_of, shard, uid,
};
use crate::node::roster::{Member, Shard, Standing};

impl World {
    pub(super) fn ask(&mut self, pod: Option<usize>, question: Question<Netns>) {
        let ticket = Ticket(self.fresh());
        self.open.insert(ticket, pod);
        self.tell(Event::Asked(ticket, question));
    }

    pub(super) fn add(&mut self, pod: usize, made: &Made) {
        let sighting = Sighting {
            uid: uid(pod),
            namespace: shard(pod).as_str().to_owned(),
            container: made.container.clone(),
            id: id(&made.netns),
            netns: Arc::clone(&made.netns),
            ips: Vec::new(),
        };
        self.ask(Some(pod), Question::Add(sighting));
    }

    pub(super) fn del(&mut self, pod: usize, container: String, netns: Option<NetnsId>) {
        let uid = uid(pod);
        let question = Question::Del {
            uid,
            container,
            netns,
        };
        self.ask(None, question);
    }

    pub(super) fn remove(&mut self, pod: usize) {
        let Some(made) = self.made.remove(&pod) else {
            return;
        };
        for asked in self.open.values_mut().filter(|it| **it == Some(pod)) {
            *asked = None;
        }
        self.past.insert(pod, made.container.clone());
        self.del(pod, made.container, Some(id(&made.netns)));
    }

    pub(super) fn start(&mut self, pod: usize, reuses: bool) {
        let old = self.made.get(&pod).map(|made| Arc::clone(&made.netns));
        // A runtime that has lost a sandbox makes another without a word.
        self.past
            .extend(self.made.remove(&pod).map(|it| (pod, it.container)));
        for asked in self.open.values_mut().filter(|it| **it == Some(pod)) {
            *asked = None;
        }
        let netns = old.filter(|_| reuses).unwrap_or_else(|| {
            let netns = Arc::new(self.fresh());
            self.spaces.insert(*netns, Space::default());
            self.all.push(Arc::clone(&netns));
            netns
        });
        let container = format!("container-{}", self.fresh());
        let made = Made {
            netns,
            container,
            runs: false,
        };
        self.made.insert(pod, made.clone());
        self.add(pod, &made);
    }

    pub(super) fn enlist(&mut self, pod: usize, as_what: u8) {
        let member = || Member {
            namespace: shard(pod).as_str().to_owned(),
            pod: format!("pod-{pod}"),
            uid: uid(pod),
            identity: "spiffe://cluster.local/ns/shop/sa/web"
                .parse()
                .expect("an identity"),
            ips: Vec::new(),
            probes: BTreeSet::new(),
            shard: shard(pod),
            is_strict: true,
            capture: capture::Settings::default(),
            drain: None,
        };
        match as_what {
            0 => drop(self.roster.pods.remove(&uid(pod))),
            1 => drop(self.roster.pods.insert(uid(pod), Standing::Outside)),
            _ => {
                let standing = Standing::Member(Arc::new(member()));
                self.roster.pods.insert(uid(pod), standing);
            }
        }
        self.enlist_again();
    }

    pub(super) fn job(&mut self, which: usize, succeeds: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let (sandbox, job) = self.jobs.swap_remove(which % self.jobs.len());
        let space = self.spaces.get_mut(&**netns_of(&job)).expect("it is made");
        let result = match job {
            _ if !succeeds => Err("no".to_owned()),
            Job::Listen(_) if space.listeners.upgrade().is_some() => Err("in use".to_owned()),
            Job::Listen(netns) => {
                let listeners = Arc::new(*netns);
                space.listeners = Arc::downgrade(&listeners);
                Ok(Outcome::Listening(listeners, space.is_captured))
            }
            Job::Capture(_) => {
                space.is_captured = true;
                Ok(Outcome::InForce(Verdict::default()))
            }
            Job::Stop(_) => {
                space.is_captured = false;
                Ok(Outcome::Stopped)
            }
            Job::Remove(_) => {
                space.is_captured = false;
                Ok(Outcome::Removed)
            }
        };
        self.tell(Event::Done(sandbox, result));
    }

    pub(super) fn look(&mut self) {
        if self.is_asked_to_look && self.looked.is_none() {
            let runs = self.made.iter().filter(|(_, made)| made.runs);
            let seen = runs.map(|(pod, made)| Seen {
                uid: uid(*pod),
                id: id(&made.netns),
                netns: Arc::clone(&made.netns),
            });
            self.looked = Some(seen.collect());
        }
    }

    pub(super) fn report(&mut self) {
        if let Some(seen) = self.looked.take() {
            self.is_asked_to_look = false;
            self.tell(Event::Scanned(seen));
        }
    }

    pub(super) fn act(&mut self, shard: &Shard) {
        let Some(worker) = self.workers.get_mut(shard) else {
            return;
        };
        if worker.orders.is_empty() {
            return;
        }
        let (life, hold, is_assigned) = worker.orders.remove(0);
        let given = worker.given.get(&hold).cloned();
        if worker.life != Some(life) {
            worker.given.remove(&hold);
            return;
        }
        let what = match (is_assigned, given) {
            (true, Some(listeners)) => {
                worker.has.insert(hold.sandbox, listeners);
                OfWorker::Taken(hold)
            }
            _ => {
                worker.has.remove(&hold.sandbox);
                OfWorker::Released(hold)
            }
        };
        worker.given.remove(&hold);
        self.said.push((shard.clone(), life, what));
    }

    pub(super) fn kill(&mut self, shard: &Shard) {
        let Some(worker) = self.workers.get_mut(shard) else {
            return;
        };
        if let Some(life) = worker.life.take() {
            worker.has.clear();
            worker.given.clear();
            worker.orders.clear();
            self.said.push((shard.clone(), life, OfWorker::Gone));
        }
    }

    pub(super) fn spawn(&mut self, shard: &Shard) {
        let life = self.fresh();
        let Some(worker) = self.workers.get_mut(shard) else {
            return;
        };
        if worker.is_wanted && worker.life.is_none() {
            worker.life = Some(life);
            self.said.push((shard.clone(), life, OfWorker::Ready));
        }
    }

    pub(super) fn hear(&mut self, which: usize) {
        if !self.said.is_empty() {
            let (shard, life, what) = self.said.remove(which % self.said.len());
            self.tell(Event::Worker(shard, life, what));
        }
    }
}
