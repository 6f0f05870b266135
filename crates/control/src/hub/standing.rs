//! What the proxies of one Gateway have taken, in terms of its object.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// So long the word of a Gateway's proxies holds after the last of them lost its stream: they serve
/// on what they have, and are about to call again.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Generations of the object that are told apart while nobody acknowledges any.
const MARKS_MAX: usize = 64;

/// The proxies of a Gateway.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// From which generation of the configuration on it holds which generation of the object; both
    /// ascend.
    marks: VecDeque<(u64, i64)>,
    proxies: BTreeMap<String, Proxy>,
    remembered: Option<Remembered>,
}

#[derive(Debug)]
struct Proxy {
    session: u64,
    /// The generation of the configuration it has taken.
    took: Option<u64>,
}

/// What held when nobody was connected any more.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    generation: i64,
    until: Duration,
}

impl Standing {
    /// Of a Gateway that is seen for the first time and whose status says what was programmed, by
    /// this process before it was restarted, or by another one.
    pub(super) fn of(programmed: Option<i64>, now: Duration) -> Self {
        let remembered = programmed.map(|generation| Remembered {
            generation,
            until: now + REMEMBERED,
        });
        Self {
            remembered,
            ..Self::default()
        }
    }

    /// A configuration holds this generation of the object.
    pub(super) fn published(&mut self, configuration: u64, object: i64) {
        if self.marks.back().is_none_or(|(_, last)| *last != object) {
            self.marks.push_back((configuration, object));
            if self.marks.len() > MARKS_MAX {
                self.marks.pop_front();
            }
        }
    }

    /// How many proxies are connected.
    pub(super) fn len(&self) -> usize {
        self.proxies.len()
    }

    pub(super) fn join(&mut self, instance: &str, session: u64) {
        // What it holds is what it says next.
        let proxy = Proxy {
            session,
            took: None,
        };
        self.proxies.insert(instance.to_owned(), proxy);
    }

    pub(super) fn has(&self, instance: &str, session: u64) -> bool {
        let known = self.proxies.get(instance);
        known.is_some_and(|proxy| proxy.session == session)
    }

    /// Whether that makes a difference. A stream that was replaced says nothing any more.
    pub(super) fn took(&mut self, instance: &str, session: u64, configuration: u64) -> bool {
        let proxy = self.proxies.get_mut(instance);
        let Some(proxy) = proxy.filter(|proxy| proxy.session == session) else {
            return false;
        };
        let is_news = proxy.took != Some(configuration);
        proxy.took = Some(configuration);
        if is_news {
            self.prune();
        }
        is_news
    }

    pub(super) fn leave(&mut self, (instance, session): (&str, u64), now: Duration) {
        if !self.has(instance, session) {
            return;
        }
        let before = self.of_connected().or_else(|| self.of_remembered(now));
        self.proxies.remove(instance);
        if self.proxies.is_empty() {
            self.remembered = before.map(|generation| Remembered {
                generation,
                until: now + REMEMBERED,
            });
        }
    }

    /// Newest generation of the object that all of the connected proxies have taken; of those before,
    /// for a while, when there are none. A proxy that has taken nothing yet does not count: it is not
    /// ready, so no request reaches it, and a rollout is no reason to say that a Gateway is not
    /// programmed.
    pub(super) fn acknowledged(&self, now: Duration) -> Option<i64> {
        self.of_connected().or_else(|| self.of_remembered(now))
    }

    /// When what is remembered ends to hold.
    pub(super) fn forgets_at(&self, now: Duration) -> Option<Duration> {
        let remembered = self.remembered?;
        (remembered.until > now).then_some(remembered.until)
    }

    fn of_connected(&self) -> Option<i64> {
        let least = self.least()?;
        let marks = self.marks.iter().rev();
        let mut until = marks.skip_while(|(configuration, _)| *configuration > least);
        until.next().map(|(_, object)| *object)
    }

    /// The oldest configuration that a proxy has.
    fn least(&self) -> Option<u64> {
        self.proxies.values().filter_map(|proxy| proxy.took).min()
    }

    fn of_remembered(&self, now: Duration) -> Option<i64> {
        let remembered = self.remembered.filter(|it| it.until > now);
        remembered.map(|it| it.generation)
    }

    /// Forgets marks that nobody can be at any more.
    fn prune(&mut self) {
        let Some(least) = self.least() else { return };
        while self.marks.get(1).is_some_and(|(next, _)| *next <= least) {
            self.marks.pop_front();
        }
    }
}
