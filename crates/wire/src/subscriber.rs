//! The receiver's half of the protocol.

use std::sync::Arc;

use crate::{
    Applied, Assembler, Difference, Key, PROTOCOL_VERSION, Problem, Resource, Session, limits,
    proto::config::{self as message, client_message, server_message},
};

/// Who a subscriber is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is for.
    pub role: message::Role,
    /// Name of the Gateway or node.
    pub name: String,
    /// Namespace of the Gateway; empty for a node.
    pub namespace: String,
    /// Identifies the process among those of the same name, such as the UID of its pod.
    pub instance: String,
}

/// Receives a configuration and says what became of it. A state machine without IO: the owner of the
/// stream hands in what arrives and sends what comes back.
///
/// It outlives its streams, so that a new one brings differences only; what arrives late from an
/// older stream than the present one has no effect.
#[derive(Debug)]
pub struct Subscriber {
    identity: Identity,
    tunnels: bool,
    assembler: Assembler,
    session: u64,
    gathered: Gathered,
    /// Nonce of the last delta of the present stream.
    nonce: u64,
    generation: Option<u64>,
}

/// The pieces of a change that have arrived.
#[derive(Debug, Default)]
struct Gathered {
    generation: u64,
    difference: Difference,
    problems: Vec<Problem>,
    bytes: usize,
}

/// What became of a message.
#[derive(Debug)]
pub enum Received {
    /// It belongs to an older stream; there is nothing to do.
    Stale,
    /// A piece of a change; send the answer.
    Gathered(message::ClientMessage),
    /// A change was applied; put the configuration in force and send the answer.
    Applied {
        /// To the control plane.
        answer: message::ClientMessage,
        /// The configuration now.
        applied: Applied,
    },
}

/// What a publisher did against the protocol. The stream has to be ended and opened anew; the
/// configuration stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublisherError {
    /// A message of a kind this version does not know.
    #[error("the control plane sent a message of an unknown kind; upgrade this proxy")]
    Unknown,
    /// Deltas are numbered without gaps.
    #[error("the control plane sent delta {found} where {expected} was due")]
    Nonce {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The change exceeds [`limits::CHANGE_BYTES`].
    #[error(
        "the control plane sent a change of more than {} bytes; serve fewer routes by one proxy",
        limits::CHANGE_BYTES
    )]
    TooLarge,
}

impl Subscriber {
    /// A subscriber that holds what the assembler holds: nothing, or what was saved.
    pub fn new(identity: Identity, assembler: Assembler) -> Self {
        Self {
            tunnels: identity.role == message::Role::Node,
            identity,
            assembler,
            session: 0,
            gathered: Gathered::default(),
            nonce: 0,
            generation: None,
        }
    }

    /// The same, of a proxy that reaches members of the mesh through the tunnel. Those of nodes do.
    #[must_use]
    pub fn with_tunnels(mut self) -> Self {
        self.tunnels = true;
        self
    }

    /// A stream is being opened: its session, and its first message. Pieces of a change that was
    /// under way are dropped; the new stream brings them again.
    pub fn connect(&mut self) -> (Session, message::ClientMessage) {
        self.session += 1;
        self.nonce = 0;
        self.gathered = Gathered::default();
        let versions = self.assembler.versions();
        let held = |(key, version): (&Key, &u64)| message::Held {
            r#type: key.kind.as_str().to_owned(),
            name: key.name.to_string(),
            version: *version,
        };
        let have = if versions.len() > limits::HAVE {
            // Too long to list; what is gone meanwhile would not be known either, so start afresh.
            self.assembler = Assembler::default();
            Vec::new()
        } else {
            versions.iter().map(held).collect()
        };
        let Identity {
            role,
            name,
            namespace,
            instance,
        } = self.identity.clone();
        let hello = message::Hello {
            protocol_version: PROTOCOL_VERSION,
            role: role.into(),
            name,
            namespace,
            instance,
            have,
            tunnels: self.tunnels,
        };
        (
            Session(self.session),
            said(client_message::Message::Hello(hello)),
        )
    }

    /// A message arrived on a stream.
    ///
    /// # Errors
    /// [`PublisherError`]; nothing of the change has taken effect.
    pub fn receive(
        &mut self,
        session: Session,
        received: message::ServerMessage,
    ) -> Result<Received, PublisherError> {
        if session.0 != self.session {
            return Ok(Received::Stale);
        }
        let Some(server_message::Message::Delta(delta)) = received.message else {
            return Err(PublisherError::Unknown);
        };
        let expected = self.nonce + 1;
        if delta.nonce != expected {
            let found = delta.nonce;
            return Err(PublisherError::Nonce { expected, found });
        }
        self.nonce = expected;
        let (nonce, is_last) = (delta.nonce, delta.end_of_snapshot);
        self.gathered.add(delta)?;
        let generation = self.gathered.generation;
        if !is_last {
            let ack = message::Ack { nonce, generation };
            return Ok(Received::Gathered(said(client_message::Message::Ack(ack))));
        }
        let Gathered {
            difference,
            problems,
            ..
        } = std::mem::take(&mut self.gathered);
        let mut applied = self.assembler.apply(&difference);
        applied.problems.splice(0..0, problems);
        self.generation = Some(generation);
        Ok(Received::Applied {
            answer: answer(nonce, generation, &applied.problems),
            applied,
        })
    }

    /// The generation that is in force; `None` before the first one of this process arrived.
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// What is held.
    pub fn assembler(&self) -> &Assembler {
        &self.assembler
    }
}

impl Gathered {
    fn add(&mut self, delta: message::Delta) -> Result<(), PublisherError> {
        self.generation = delta.generation;
        for removed in delta.removed {
            // A type that is not known here was never taken.
            if let Ok(key) = Key::parse(&removed.r#type, &removed.name) {
                self.difference.removed.push(key);
            }
        }
        for upsert in delta.upserts {
            self.bytes += upsert.body.len();
            match Resource::from_message(&upsert) {
                Ok(resource) => self.difference.upserts.push(Arc::new(resource)),
                Err(message) => self.problems.push(Problem {
                    kind: upsert.r#type,
                    name: upsert.name,
                    message,
                }),
            }
        }
        if self.bytes > limits::CHANGE_BYTES {
            return Err(PublisherError::TooLarge);
        }
        Ok(())
    }
}

fn said(message: client_message::Message) -> message::ClientMessage {
    message::ClientMessage {
        message: Some(message),
    }
}

/// `Ack`, or `Nack` with what was not understood. One error per resource: what is wrong with one of
/// them is one message.
fn answer(nonce: u64, generation: u64, problems: &[Problem]) -> message::ClientMessage {
    if problems.is_empty() {
        return said(client_message::Message::Ack(message::Ack {
            nonce,
            generation,
        }));
    }
    let mut errors: Vec<message::ResourceError> = Vec::new();
    let mut omitted = 0;
    for problem in problems {
        let is_next = |last: &&mut message::ResourceError| {
            last.r#type == problem.kind && last.name == problem.name
        };
        if let Some(last) = errors.last_mut().filter(is_next) {
            last.message.push_str("; ");
            last.message.push_str(&problem.message);
        } else if errors.len() == limits::ERRORS {
            omitted += 1;
        } else {
            errors.push(message::ResourceError {
                r#type: problem.kind.clone(),
                name: problem.name.clone(),
                message: problem.message.clone(),
            });
        }
    }
    for error in &mut errors {
        let end = error.message.floor_char_boundary(limits::ERROR_BYTES);
        error.message.truncate(end);
    }
    said(client_message::Message::Nack(message::Nack {
        nonce,
        generation,
        errors,
        omitted,
    }))
}
