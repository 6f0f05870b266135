//! The sender's half of the protocol, for one subscriber.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    Difference, Key, Problem, Snapshot, diff, limits,
    proto::config::{self as message, client_message, server_message},
};

/// Version of the protocol this version speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Identifies a stream among those of one subscriber; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub(crate) u64);

/// What one subscriber has, what it is being sent, and what it should have.
///
/// A state machine without IO: the owner of the streams tells it what happens, asks
/// [`Publisher::next`] for what to send, and does so until there is nothing. It outlives the streams
/// of its subscriber; what is said of an older stream than the present one has no effect.
///
/// At most one delta is unanswered. Configurations that arrive meanwhile replace each other, so that
/// a slow subscriber skips what it would only have to undo, and costs one reference each.
///
/// Times are measured from any one moment, the same for all calls, and do not go back.
#[derive(Debug, Default)]
pub struct Publisher {
    session: u64,
    link: Option<Link>,
    latest: Option<Target>,
    /// The last generation that the subscriber has taken, in whatever stream.
    acked: Option<u64>,
    problems: BTreeMap<(String, String), Problem>,
}

/// The present stream.
#[derive(Debug)]
struct Link {
    held: Held,
    nonce: u64,
    flight: Option<Flight>,
    /// The subscriber is told once per stream that it has everything, even if nothing changed.
    is_greeted: bool,
}

/// What the subscriber holds.
#[derive(Debug)]
enum Held {
    /// What it says.
    Versions(BTreeMap<Key, u64>),
    /// What it was sent in this stream.
    Snapshot(Arc<Snapshot>),
}

#[derive(Clone, Debug)]
struct Target {
    generation: u64,
    snapshot: Arc<Snapshot>,
}

/// A change on its way.
#[derive(Debug)]
struct Flight {
    target: Target,
    /// Deltas that are not sent yet.
    rest: VecDeque<message::Delta>,
    since: Duration,
}

/// What a subscriber has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last generation it has applied; `None` before the first.
    pub generation: Option<u64>,
    /// What it does not understand of what it has, in the order of type and name.
    pub problems: Vec<Problem>,
}

/// What a subscriber said against the protocol. The stream has to be ended; the next one starts
/// afresh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriberError {
    /// The first message is no `Hello`, or a later one is.
    #[error("the subscriber sent {0} out of turn; a stream opens with Hello, and with one only")]
    OutOfTurn(&'static str),
    /// It speaks another version of the protocol.
    #[error(
        "the subscriber speaks version {0} of the protocol, this is {PROTOCOL_VERSION}; upgrade the \
         older side"
    )]
    Protocol(u32),
    /// It answers what is not in flight.
    #[error(
        "the subscriber answers delta {nonce} of generation {generation}, which awaits no answer"
    )]
    Unasked {
        /// Nonce of the answer.
        nonce: u64,
        /// Generation of the answer.
        generation: u64,
    },
}

impl Publisher {
    /// A publisher of a subscriber that never called and should have nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream was opened with this message. It replaces the one before, if that still lives.
    ///
    /// # Errors
    /// [`SubscriberError::Protocol`]; the stream before stays then. Who the subscriber is has been
    /// checked by the caller.
    pub fn connect(&mut self, hello: &message::Hello) -> Result<Session, SubscriberError> {
        if hello.protocol_version != PROTOCOL_VERSION {
            return Err(SubscriberError::Protocol(hello.protocol_version));
        }
        self.session += 1;
        // A type that is not known here is held in vain: it is of a newer version.
        let held = hello.have.iter().filter_map(|held| {
            let key = Key::parse(&held.r#type, &held.name).ok()?;
            Some((key, held.version))
        });
        self.link = Some(Link {
            held: Held::Versions(held.collect()),
            nonce: 0,
            flight: None,
            is_greeted: false,
        });
        Ok(Session(self.session))
    }

    /// A stream ended. Has no effect if a newer one was opened meanwhile.
    pub fn disconnect(&mut self, session: Session) {
        if session.0 == self.session {
            self.link = None;
        }
    }

    /// What the subscriber should have from now on. Generations grow.
    pub fn publish(&mut self, generation: u64, snapshot: Arc<Snapshot>) {
        self.latest = Some(Target {
            generation,
            snapshot,
        });
    }

    /// The next message to the subscriber, if it is its turn. `now` is when it is sent.
    pub fn next(&mut self, now: Duration) -> Option<message::ServerMessage> {
        let link = self.link.as_mut()?;
        if link.flight.is_some() {
            return None;
        }
        let target = self.latest.clone()?;
        let difference = match &link.held {
            Held::Versions(have) => target.snapshot.since(have),
            Held::Snapshot(held) => diff(held, &target.snapshot),
        };
        if difference.is_empty() && link.is_greeted {
            link.held = Held::Snapshot(target.snapshot);
            self.acked = Some(target.generation);
            return None;
        }
        let mut rest = deltas(&difference, target.generation);
        let first = rest.pop_front();
        link.flight = Some(Flight {
            target,
            rest,
            since: now,
        });
        first.map(|delta| link.send(delta))
    }

    /// An answer arrived on a stream; returns what to send next, like [`Publisher::next`]. Answers of
    /// an older stream have no effect.
    ///
    /// # Errors
    /// [`SubscriberError`] if the answer is to nothing that was asked.
    pub fn answer(
        &mut self,
        session: Session,
        answer: message::ClientMessage,
        now: Duration,
    ) -> Result<Option<message::ServerMessage>, SubscriberError> {
        if session.0 != self.session {
            return Ok(None);
        }
        let Some(link) = &mut self.link else {
            return Ok(None);
        };
        let (nonce, generation, errors) = match answer.message {
            Some(client_message::Message::Ack(ack)) => (ack.nonce, ack.generation, Vec::new()),
            Some(client_message::Message::Nack(nack)) => (nack.nonce, nack.generation, nack.errors),
            Some(client_message::Message::Hello(_)) => {
                return Err(SubscriberError::OutOfTurn("Hello"));
            }
            // Whoever carries the stream takes these out; they concern no configuration.
            Some(client_message::Message::Trusts(_)) => {
                return Err(SubscriberError::OutOfTurn("Trusts"));
            }
            Some(client_message::Message::Pods(_)) => {
                return Err(SubscriberError::OutOfTurn("PodReport"));
            }
            None => return Err(SubscriberError::OutOfTurn("an empty or unknown message")),
        };
        let nonce_sent = link.nonce;
        let answered =
            |flight: &mut Flight| nonce == nonce_sent && generation == flight.target.generation;
        let Some(mut flight) = link.flight.take_if(answered) else {
            return Err(SubscriberError::Unasked { nonce, generation });
        };
        if let Some(delta) = flight.rest.pop_front() {
            flight.since = now;
            link.flight = Some(flight);
            return Ok(Some(link.send(delta)));
        }
        self.landed(flight.target, errors);
        Ok(self.next(now))
    }

    /// How long the subscriber has owed an answer; `None` if it owes none. A caller that drops
    /// subscribers above some limit keeps them from holding old configurations in memory.
    pub fn overdue(&self, now: Duration) -> Option<Duration> {
        let flight = self.link.as_ref()?.flight.as_ref()?;
        Some(now.saturating_sub(flight.since))
    }

    /// Whether a stream is open.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// What the subscriber has taken, as far as it has said so.
    pub fn standing(&self) -> Standing {
        Standing {
            generation: self.acked,
            problems: self.problems.values().cloned().collect(),
        }
    }

    /// The subscriber has everything of a target, apart from errors.
    fn landed(&mut self, target: Target, errors: Vec<message::ResourceError>) {
        let Some(link) = &mut self.link else { return };
        // What was not sent in this change is as it was; what was sent is said anew.
        let difference = match &link.held {
            Held::Versions(have) => target.snapshot.since(have),
            Held::Snapshot(held) => diff(held, &target.snapshot),
        };
        if !link.is_greeted {
            // What it did not understand in an earlier stream, it was sent again in this one.
            self.problems.clear();
        }
        let sent = difference.upserts.iter().map(|resource| resource.key());
        for key in sent.chain(&difference.removed) {
            let key = (key.kind.as_str().to_owned(), key.name.to_string());
            self.problems.remove(&key);
        }
        for error in errors.into_iter().take(limits::ERRORS) {
            let (kind, name) = (error.r#type, error.name);
            let mut message = error.message;
            message.truncate(message.floor_char_boundary(limits::ERROR_BYTES));
            let problem = Problem {
                kind: kind.clone(),
                name: name.clone(),
                message,
            };
            self.problems.insert((kind, name), problem);
        }
        link.held = Held::Snapshot(target.snapshot);
        link.is_greeted = true;
        self.acked = Some(target.generation);
    }
}

impl Link {
    fn send(&mut self, mut delta: message::Delta) -> message::ServerMessage {
        self.nonce += 1;
        delta.nonce = self.nonce;
        message::ServerMessage {
            message: Some(server_message::Message::Delta(delta)),
        }
    }
}

/// The messages of a difference: at least one, none much larger than [`limits::DELTA_BYTES`].
fn deltas(difference: &Difference, generation: u64) -> VecDeque<message::Delta> {
    let open = || message::Delta {
        generation,
        ..message::Delta::default()
    };
    let (mut deltas, mut last, mut bytes) = (VecDeque::new(), open(), 0);
    let mut room_for = |size: usize, last: &mut message::Delta| {
        if bytes > 0 && bytes + size > limits::DELTA_BYTES {
            deltas.push_back(std::mem::replace(last, open()));
            bytes = 0;
        }
        bytes += size;
    };
    for key in &difference.removed {
        let key = message::Key {
            r#type: key.kind.as_str().to_owned(),
            name: key.name.to_string(),
        };
        room_for(key.name.len() + 32, &mut last);
        last.removed.push(key);
    }
    for resource in &difference.upserts {
        let resource = resource.to_message();
        room_for(resource.body.len() + resource.name.len() + 48, &mut last);
        last.upserts.push(resource);
    }
    last.end_of_snapshot = true;
    deltas.push_back(last);
    deltas
}
