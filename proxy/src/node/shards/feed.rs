//! The configuration of one worker: its part of that of the node, sent as differences by the protocol of
//! `wire`, and what it has taken. Without IO.

use std::{sync::Arc, time::Duration};

use weft_wire::{
    Disassembler, Publisher, Scope, Session, Snapshot, SubscriberError,
    proto::config::{ClientMessage, ResourceError, ServerMessage, client_message::Message},
};

use super::supply::{Revision, Settled};
use crate::node::roster::Shard;

/// What there is for the workers of a shard, one life after the other.
#[derive(Debug)]
pub(super) struct Feed {
    disassembler: Disassembler,
    latest: Option<(u64, Arc<Snapshot>)>,
}

/// What one worker has of it.
#[derive(Debug)]
pub(super) struct Fed {
    publisher: Publisher,
    session: Option<Session>,
    settled: Option<u64>,
}

impl Feed {
    pub(super) fn new(shard: &Shard) -> Self {
        Self {
            disassembler: Disassembler::new(Scope::Shard(shard.as_str().into())),
            latest: None,
        }
    }

    /// Another configuration of the node.
    pub(super) fn update(&mut self, revision: &Revision) {
        let snapshot = self.disassembler.update(&revision.configuration);
        for (key, error) in snapshot.refused() {
            let kind = key.kind.as_str();
            tracing::error!("{kind} {} cannot be handed to a worker: {error}", key.name);
        }
        self.latest = Some((revision.number, Arc::clone(snapshot)));
    }

    /// A worker that has nothing yet.
    pub(super) fn begin(&self) -> Fed {
        let mut fed = Fed {
            publisher: Publisher::new(),
            session: None,
            settled: None,
        };
        fed.offer(self);
        fed
    }

    /// Whether there is anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.latest.is_none()
    }
}

impl Fed {
    /// What is to be in force from now on.
    pub(super) fn offer(&mut self, feed: &Feed) {
        if let Some((number, snapshot)) = &feed.latest {
            self.publisher.publish(*number, Arc::clone(snapshot));
        }
    }

    /// What the worker says about its configuration; what to send it next.
    ///
    /// # Errors
    /// When it makes no sense; nothing is sent to such a worker any more.
    pub(super) fn hear(
        &mut self,
        said: ClientMessage,
        now: Duration,
    ) -> Result<Option<ServerMessage>, SubscriberError> {
        match (said.message, self.session) {
            (Some(Message::Hello(hello)), None) => {
                self.session = Some(self.publisher.connect(&hello)?);
                Ok(self.publisher.next(now))
            }
            (message, Some(session)) => {
                self.publisher
                    .answer(session, ClientMessage { message }, now)
            }
            (_, None) => Err(SubscriberError::OutOfTurn("an answer")),
        }
    }

    /// The next change, if it is its turn.
    pub(super) fn next(&mut self, now: Duration) -> Option<ServerMessage> {
        self.session?;
        self.publisher.next(now)
    }

    /// The revision that the worker has put in force, if it was another before.
    pub(super) fn settled(&mut self) -> Option<Settled> {
        self.session?;
        let standing = self.publisher.standing();
        let revision = standing.generation?;
        if self.settled == Some(revision) {
            return None;
        }
        self.settled = Some(revision);
        let problems = standing.problems.into_iter().map(|problem| ResourceError {
            r#type: problem.kind,
            name: problem.name,
            message: problem.message,
        });
        Some(Settled {
            revision,
            problems: problems.collect(),
        })
    }

    /// Whether a first configuration is in force.
    pub(super) fn has_settled(&self) -> bool {
        self.settled.is_some()
    }
}
