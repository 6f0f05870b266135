//! What the CNI plugin asks, and when it is answered.

use std::{sync::Arc, time::Duration};

use weft_intercept::{NetnsId, handoff::Reply};

use super::{
    Action, Core, PATIENCE, Question, Sandbox, Sighting, Ticket, UNKNOWN,
    grace::Grace,
    sandbox::{Entry, Goal},
};
use crate::node::roster::{Member, Standing};

/// A question without an answer yet.
#[derive(Debug)]
pub(super) struct Pending<N> {
    pub(super) until: Duration,
    about: About<N>,
}

/// What the answer depends on.
#[derive(Debug)]
enum About<N> {
    /// Whether the pod is one of the mesh's.
    Unknown(Box<Sighting<N>>),
    /// That it is captured.
    Start(Sandbox),
    /// That it has been verified more often than so.
    Check(Sandbox, u64),
    /// That it is gone.
    End(Sandbox),
}

/// What is known of a pod that starts.
enum Verdict {
    Member(Arc<Member>),
    Foreign,
    NotYet,
}

impl<N: Clone, L: Clone> Core<N, L> {
    pub(super) fn asked(&mut self, ticket: Ticket, question: Question<N>) {
        let about = match question {
            Question::Add(sighting) => About::Unknown(Box::new(sighting)),
            Question::Check { uid, namespace } => match self.check(&uid, &namespace) {
                Ok(about) => about,
                Err(reply) => return self.reply(ticket, reply),
            },
            Question::Del {
                uid,
                container,
                netns,
            } => match self.end(&uid, &container, netns) {
                Some(sandbox) => About::End(sandbox),
                None => return self.reply(ticket, Reply::Ok {}),
            },
        };
        let patience = match about {
            About::Unknown(_) => UNKNOWN,
            About::Start(_) | About::Check(..) | About::End(_) => PATIENCE,
        };
        let until = self.now + patience;
        self.questions.insert(ticket, Pending { until, about });
        self.reconsider();
    }

    /// Looks again at pods of which it was not known whose they are.
    pub(super) fn reconsider(&mut self) {
        let is_unknown = |pending: &Pending<N>| matches!(pending.about, About::Unknown(_));
        let unknown = self.questions.extract_if(.., |_, it| is_unknown(it));
        for (ticket, pending) in unknown.collect::<Vec<_>>() {
            let Pending {
                until,
                about: About::Unknown(sighting),
            } = pending
            else {
                continue;
            };
            let pending = match self.judge(&sighting) {
                Verdict::Foreign => {
                    self.reply(ticket, Reply::Ok {});
                    continue;
                }
                Verdict::NotYet => Pending {
                    until,
                    about: About::Unknown(sighting),
                },
                Verdict::Member(member) => Pending {
                    until: self.now + PATIENCE,
                    about: About::Start(self.admit(&member, *sighting)),
                },
            };
            self.questions.insert(ticket, pending);
        }
    }

    fn judge(&self, sighting: &Sighting<N>) -> Verdict {
        let standing = self.roster.as_ref().map(|it| it.pods.get(&sighting.uid));
        let is_meshed = self.namespaces.as_ref();
        let is_meshed = is_meshed.map(|it| it.contains(&sighting.namespace));
        match (standing, is_meshed) {
            (Some(Some(Standing::Member(member))), _) => Verdict::Member(Arc::clone(member)),
            (Some(Some(Standing::Outside)), _) | (_, Some(false)) => Verdict::Foreign,
            (Some(None) | None, Some(true) | None) => Verdict::NotYet,
        }
    }

    /// Takes a pod that starts into the table. The runtime knows best which namespace is whose.
    fn admit(&mut self, member: &Arc<Member>, sighting: Sighting<N>) -> Sandbox {
        let is_same = |it: &Entry<N, L>| {
            let container = it.container.as_ref();
            it.goal != Goal::Gone
                && it.uid() == sighting.uid
                && it.id == sighting.id
                && container.is_none_or(|it| *it == sighting.container)
        };
        let mut known = self.sandboxes.iter_mut().filter(|(_, it)| is_same(it));
        if let Some((sandbox, entry)) = known.next() {
            entry.container = Some(sighting.container);
            entry.grace = Grace::Over;
            if !sighting.ips.is_empty() {
                entry.ips = sighting.ips;
            }
            entry.turn(Goal::In);
            return *sandbox;
        }
        for entry in self.sandboxes.values_mut() {
            let is_older = entry.uid() == sighting.uid || entry.id == sighting.id;
            if is_older && entry.goal != Goal::Gone {
                entry.turn(Goal::Gone);
            }
        }
        let sandbox = Sandbox(self.number());
        let entry = Entry::starting(member, sighting);
        self.sandboxes.insert(sandbox, entry);
        sandbox
    }

    fn check(&mut self, uid: &str, namespace: &str) -> Result<About<N>, Reply> {
        let now = self.now;
        let is_it = |it: &Entry<N, L>| it.uid() == uid && it.goal == Goal::In;
        let mut found = self.sandboxes.iter_mut().filter(|(_, it)| is_it(it));
        if let Some((sandbox, entry)) = found.next() {
            entry.verify_at = now;
            return Ok(About::Check(*sandbox, entry.verified));
        }
        let is_member = self
            .roster
            .as_ref()
            .is_some_and(|it| it.member(uid).is_some());
        let is_meshed = self.namespaces.as_ref();
        let is_unknown = self.roster.is_none() && is_meshed.is_none_or(|it| it.contains(namespace));
        if is_member || is_unknown {
            let reason = "it has not been captured yet";
            return Err(Reply::Retry(reason.to_owned()));
        }
        Err(Reply::Ok {})
    }

    /// A pod is gone. Its runtime says so of one sandbox, perhaps late: a later one of the same pod is
    /// another matter.
    fn end(&mut self, uid: &str, container: &str, netns: Option<NetnsId>) -> Option<Sandbox> {
        let is_of = |about: &About<N>| match about {
            About::Unknown(sighting) => sighting.container == container,
            About::Start(_) | About::Check(..) | About::End(_) => false,
        };
        let asked = self.questions.extract_if(.., |_, it| is_of(&it.about));
        for ticket in asked.map(|(ticket, _)| ticket).collect::<Vec<_>>() {
            self.reply(ticket, Reply::Retry(REMOVED.to_owned()));
        }
        let is_it = |it: &Entry<N, L>| match &it.container {
            Some(known) => it.uid() == uid && known == container,
            None => it.uid() == uid && netns == Some(it.id),
        };
        let mut found = self.sandboxes.iter_mut().filter(|(_, it)| is_it(it));
        let (sandbox, entry) = found.next()?;
        if entry.goal != Goal::Gone {
            entry.turn(Goal::Gone);
        }
        Some(*sandbox)
    }

    /// Answers what can be answered now.
    pub(super) fn answer(&mut self) {
        let now = self.now;
        let sandboxes = &self.sandboxes;
        let judge = |pending: &Pending<N>| {
            let is_late = now >= pending.until;
            let is_told = |entry: &Entry<N, L>| is_late || entry.is_told(now);
            pending
                .about
                .answer(|it| sandboxes.get(&it), is_told, is_late)
        };
        let mut replies = Vec::new();
        self.questions.retain(|ticket, pending| {
            let reply = judge(pending);
            let is_open = reply.is_none();
            replies.extend(reply.map(|reply| Action::Reply(*ticket, reply)));
            is_open
        });
        self.actions.append(&mut replies);
    }

    /// Answers everything: another supervisor is asked from now on.
    pub(super) fn dismiss(&mut self) {
        for ticket in std::mem::take(&mut self.questions).into_keys() {
            let reason = "the node agent is being replaced";
            self.reply(ticket, Reply::Retry(reason.to_owned()));
        }
    }

    fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.actions.push(Action::Reply(ticket, reply));
    }
}

const REMOVED: &str = "the pod is being removed";

impl<N> About<N> {
    /// The answer, if there is one already, or time is over.
    fn answer<'e, L: 'e>(
        &self,
        entry: impl Fn(Sandbox) -> Option<&'e Entry<N, L>>,
        is_told: impl Fn(&Entry<N, L>) -> bool,
        is_late: bool,
    ) -> Option<Reply>
    where
        N: 'e,
    {
        let retry = |reason: &str| Some(Reply::Retry(reason.to_owned()));
        match self {
            Self::Unknown(_) if is_late => {
                retry("the control plane has not told this node about the pod yet")
            }
            Self::Unknown(_) => None,
            Self::End(sandbox) => match entry(*sandbox) {
                None => Some(Reply::Ok {}),
                Some(_) if is_late => retry("what served the pod has not let go of it yet"),
                Some(_) => None,
            },
            Self::Start(sandbox) => match entry(*sandbox) {
                None => retry(REMOVED),
                Some(entry) => start(entry, is_told(entry), is_late),
            },
            Self::Check(sandbox, verified) => match entry(*sandbox) {
                None => retry(REMOVED),
                Some(entry) if entry.goal != Goal::In => retry(REMOVED),
                Some(entry) => match &entry.problem {
                    Some(problem) => Some(Reply::Error(problem.clone())),
                    None if entry.verified > *verified => Some(Reply::Ok {}),
                    None if is_late => retry("it has not been verified in time"),
                    None => None,
                },
            },
        }
    }
}

fn start<N, L>(entry: &Entry<N, L>, is_told: bool, is_late: bool) -> Option<Reply> {
    let retry = |reason: &str| Some(Reply::Retry(reason.to_owned()));
    match (entry.goal, &entry.problem) {
        (Goal::Gone, _) => retry(REMOVED),
        // It has left the mesh meanwhile, so there is nothing to wait for.
        (Goal::Out, _) => Some(Reply::Ok {}),
        (Goal::In, _) if entry.is_served() => is_told.then_some(Reply::Ok {}),
        (Goal::In, Some(problem)) => retry(problem),
        (Goal::In, None) if is_late => retry("the proxy of its namespace has not taken it yet"),
        (Goal::In, None) => None,
    }
}
