//! The connections of a worker to other nodes.
//!
//! One lock guards the table; it is held for look-ups only, never while something is waited for. A key
//! that has no connection is connected to once, by a task of its own, and all who want it wait for the
//! same outcome, a failure included.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;
use weft_certs::Clock;

use crate::{
    error::{ConnectFailure, Lost, OpenError},
    head::Connect,
    key::{Key, Source, Target},
    line::{Berth, Dial, Handshakes, Line, Opened},
    shared::Shared,
    wire::Timing,
};

/// Further connections that one `CONNECT` is tried on, when its connection goes away under it.
const RETRIES: u32 = 2;

/// Connections under one key. Enough for 25,600 streams; a node that takes few or none on each would
/// otherwise be given one after the other.
const MOST_LINES: usize = 256;

/// What became of an attempt to connect; `None` while it is under way.
type Outcome = Option<Result<Arc<Shared>, Arc<ConnectFailure>>>;

/// The connections of one worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    timing: Timing,
    handshakes: Option<Arc<dyn Handshakes>>,
    /// Look-ups only; no await is inside.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Connections that take no more streams and still have some.
    leaving: Vec<Leaving>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Entry {
    lines: Vec<Line>,
    connecting: Option<Connecting>,
}

#[derive(Debug)]
struct Connecting {
    outcome: watch::Receiver<Outcome>,
    /// Dropped with the entry, which ends the attempt.
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Leaving {
    key: Key,
    shared: Arc<Shared>,
    /// Monotonic time at which what is left is cut, and what is then said.
    ends: (Duration, Lost),
}

/// How much a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Connections that new streams may use.
    pub connections: usize,
    /// Connections that only serve the streams they have.
    pub leaving: usize,
    /// Streams on all of them.
    pub streams: usize,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(clock: Clock, timing: Timing) -> Self {
        Self::with(clock, timing, None)
    }

    /// An empty pool whose handshakes are heard of.
    #[must_use]
    pub fn counted(clock: Clock, timing: Timing, handshakes: Arc<dyn Handshakes>) -> Self {
        Self::with(clock, timing, Some(handshakes))
    }

    fn with(clock: Clock, timing: Timing, handshakes: Option<Arc<dyn Handshakes>>) -> Self {
        Self(Arc::new(Inner {
            clock,
            timing,
            handshakes,
            state: Mutex::default(),
        }))
    }

    /// Opens a stream to `connect.destination`, on a connection of `source` to `target`.
    ///
    /// When the connection goes away before the answer, or takes no more streams, another one is
    /// tried: nothing has been sent by then that could be sent twice.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open<D: Dial>(
        &self,
        source: &Source<D>,
        target: &Target,
        connect: &Connect,
    ) -> Result<Opened, OpenError> {
        let request = connect.request()?;
        let key = Key::new(source, target);
        let mut retries = RETRIES;
        loop {
            let error = match self.berth(&key, source, target).await {
                Ok(berth) => {
                    let shared = Arc::clone(berth.shared());
                    match berth.open(request.clone(), self.0.timing.answer).await {
                        Ok(opened) => return Ok(opened),
                        Err(error) if error.spends_connection() => {
                            self.0.retire_spent(&key, &shared);
                            error
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if retries == 0 || !error.is_worth_another() {
                return Err(error);
            }
            retries -= 1;
        }
    }

    async fn berth<D: Dial>(
        &self,
        key: &Key,
        source: &Source<D>,
        target: &Target,
    ) -> Result<Berth, OpenError> {
        let given_up = || Arc::new(ConnectFailure::GivenUp(target.endpoint())).into();
        loop {
            let mut outcome = {
                let mut state = self.0.lock();
                if state.is_closed {
                    return Err(given_up());
                }
                if let Some(berth) = self.0.find(&mut state, key, source) {
                    return Ok(berth);
                }
                let entry = state.entries.entry(key.clone()).or_default();
                match entry.under_way() {
                    Some(outcome) => outcome,
                    None if entry.lines.len() >= MOST_LINES => {
                        return Err(OpenError::StreamRefused(h2::Reason::REFUSED_STREAM));
                    }
                    None => entry.start(&self.0, key, source, target),
                }
            };
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Err(failure))) => return Err(Arc::clone(failure).into()),
                // Over before anybody could use it: the other side has refused us, or is leaving.
                Ok(Some(Ok(made))) if let Some(lost) = made.fate() => {
                    return Err(lost.clone().into());
                }
                Ok(_) => {}
                Err(_gone) => return Err(given_up()),
            }
        }
    }

    /// Sweeps now and then; whoever owns the pool runs this beside it.
    pub async fn keep(&self) -> Infallible {
        let mut ticks = interval(self.0.timing.ping_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep();
        }
    }

    /// Lets go of connections that have ended, are idle, or rest on certificates that have ended.
    pub fn sweep(&self) {
        let now = self.0.clock.read().monotonic;
        let idle = self.0.timing.idle;
        let mut state = self.0.lock();
        let past = |line: &mut Line| {
            let is_idle = line.shared.streams() == 0;
            line.idle_since = is_idle.then(|| line.idle_since.unwrap_or(now));
            let is_left = line.idle_since.is_some_and(|since| now - since >= idle);
            is_left || line.shared.fate().is_some() || now >= line.term.fresh_until
        };
        self.0.retire(&mut state, |_| true, past, None);
        state.leaving.retain(|leaving| {
            let (end, lost) = &leaving.ends;
            if now >= *end {
                leaving.shared.cut(lost.clone());
            }
            leaving.shared.streams() > 0 && leaving.shared.fate().is_none()
        });
    }

    /// Takes no more streams on connections with such keys: new ones are made when they are needed,
    /// and streams have [`Timing::drain`] to end. For an endpoint, identity or policy that has changed.
    pub fn drain(&self, matches: impl Fn(&Key) -> bool) {
        let now = self.0.clock.read().monotonic;
        let end = (now + self.0.timing.drain, Lost::Cut);
        let mut state = self.0.lock();
        self.0.retire(&mut state, &matches, |_| true, Some(&end));
        for leaving in &mut state.leaving {
            if matches(&leaving.key) && leaving.ends.0 > end.0 {
                leaving.ends = end.clone();
            }
        }
        state.entries.retain(|key, _| !matches(key));
    }

    /// Ends connections with such keys at once, with their streams. For a peer that is revoked.
    pub fn cut(&self, matches: impl Fn(&Key) -> bool) {
        let mut state = self.0.lock();
        let lines = state.entries.extract_if(|key, _| matches(key));
        for line in lines.flat_map(|(_, entry)| entry.lines) {
            line.shared.cut(Lost::Cut);
        }
        for leaving in state.leaving.iter().filter(|leaving| matches(&leaving.key)) {
            leaving.shared.cut(Lost::Cut);
        }
    }

    /// Closes connections nobody uses, which is the cheapest memory to give back.
    pub fn shed_idle(&self) {
        let mut state = self.0.lock();
        let idle = |line: &mut Line| line.shared.streams() == 0;
        self.0.retire(&mut state, |_| true, idle, None);
    }

    /// Drains everything and opens nothing more.
    pub fn close(&self) {
        self.0.lock().is_closed = true;
        self.drain(|_| true);
    }

    /// How much it holds.
    #[must_use]
    pub fn census(&self) -> Census {
        let state = self.0.lock();
        let lines = || state.entries.values().flat_map(|entry| &entry.lines);
        let used = lines().map(|line| &line.shared);
        let left = state.leaving.iter().map(|leaving| &leaving.shared);
        Census {
            connections: lines().count(),
            leaving: state.leaving.len(),
            streams: used.chain(left).map(|shared| shared.streams()).sum(),
        }
    }
}

impl Inner {
    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is still what `source` would make today, with room.
    fn find<D>(&self, state: &mut State, key: &Key, source: &Source<D>) -> Option<Berth> {
        let now = self.clock.read().monotonic;
        let entry = state.entries.get(key)?;
        let is_usable = |line: &Line| {
            line.shared.fate().is_none() && line.term.is_current(source.identity(), now)
        };
        if entry.lines.iter().all(is_usable) {
            return entry.lines.iter().find_map(Line::berth);
        }
        let of_key = |other: &Key| other == key;
        self.retire(state, of_key, |line| !is_usable(line), None);
        let entry = state.entries.get(key)?;
        entry.lines.iter().find_map(Line::berth)
    }

    /// Takes a connection out that has refused a stream or is going away.
    fn retire_spent(&self, key: &Key, shared: &Arc<Shared>) {
        let is_spent = |line: &mut Line| Arc::ptr_eq(&line.shared, shared);
        self.retire(&mut self.lock(), |other| other == key, is_spent, None);
    }

    /// Takes connections out, so that no more streams are opened on them. What they still carry lives
    /// on until `end`, or without it for [`Timing::drain`] after their certificates have ended.
    fn retire(
        &self,
        state: &mut State,
        matches: impl Fn(&Key) -> bool,
        mut past: impl FnMut(&mut Line) -> bool,
        end: Option<&(Duration, Lost)>,
    ) {
        let State {
            entries, leaving, ..
        } = state;
        for (key, entry) in entries.iter_mut().filter(|(key, _)| matches(key)) {
            let past = entry.lines.extract_if(.., |line| past(line));
            for line in past.filter(|line| line.shared.streams() > 0) {
                let by_term = (line.term.ends + self.timing.drain, Lost::Expired);
                leaving.push(Leaving {
                    key: key.clone(),
                    shared: line.shared,
                    ends: end.cloned().map_or(by_term.clone(), |end| {
                        if end.0 < by_term.0 { end } else { by_term }
                    }),
                });
            }
        }
        entries.retain(|_, entry| !entry.lines.is_empty() || entry.connecting.is_some());
    }

    fn connected(&self, key: &Key, made: Result<Line, ConnectFailure>) -> Outcome {
        let mut state = self.lock();
        // Gone if it has been drained meanwhile, and then so is this task.
        let entry = state.entries.get_mut(key)?;
        entry.connecting = None;
        Some(match made {
            Ok(line) => {
                let shared = Arc::clone(&line.shared);
                entry.lines.push(line);
                Ok(shared)
            }
            Err(failure) => {
                if entry.lines.is_empty() {
                    state.entries.remove(key);
                }
                Err(Arc::new(failure))
            }
        })
    }
}

impl Entry {
    /// The attempt that is under way. One that died without an outcome is none.
    fn under_way(&self) -> Option<watch::Receiver<Outcome>> {
        let outcome = &self.connecting.as_ref()?.outcome;
        let is_alive = outcome.has_changed().is_ok() || outcome.borrow().is_some();
        is_alive.then(|| outcome.clone())
    }

    fn start<D: Dial>(
        &mut self,
        pool: &Arc<Inner>,
        key: &Key,
        source: &Source<D>,
        target: &Target,
    ) -> watch::Receiver<Outcome> {
        let (sender, outcome) = watch::channel(None);
        let (pool, key) = (Arc::clone(pool), key.clone());
        let (source, target) = (source.clone(), target.clone());
        let task = tokio::spawn(async move {
            let heard = (&pool.clock, pool.handshakes.as_deref());
            let made = Line::connect(&source, &target, pool.timing, heard).await;
            sender.send_replace(pool.connected(&key, made));
        });
        self.connecting = Some(Connecting {
            outcome: outcome.clone(),
            _task: AbortOnDropHandle::new(task),
        });
        outcome
    }
}
