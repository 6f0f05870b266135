//! What a proxy holds of its control plane's configuration, and what the two say about it on one stream
//! after the other. Without IO beyond the queue of what is to be said.

use tokio::sync::mpsc;
use weft_wire::{
    Configuration, Received, Session, Subscriber,
    proto::config::{ClientMessage, ResourceError, ServerMessage, client_message::Message},
};

use super::Stream;
use crate::answer;

/// See the file.
pub(crate) struct Conversation {
    subscriber: Subscriber,
    open: Option<(Session, Stream)>,
}

/// A change that was taken over. The control plane is owed the answer once it is in force.
pub(crate) struct Taken {
    pub(crate) answer: ClientMessage,
    pub(crate) configuration: Configuration,
}

impl Conversation {
    /// Of one that holds what `subscriber` holds, before its first stream.
    pub(crate) fn new(subscriber: Subscriber) -> Self {
        Self {
            subscriber,
            open: None,
        }
    }

    /// The configuration, as far as it has come.
    pub(crate) fn configuration(&self) -> &Configuration {
        self.subscriber.assembler().configuration()
    }

    /// A stream is opened, which wants a Hello first.
    pub(crate) fn begin(&mut self, stream: Stream) {
        let (session, hello) = self.subscriber.connect();
        self.open = Some((session, stream));
        self.answer(hello);
    }

    /// Ends the stream, unless it has ended; another one begins with everything that is held.
    pub(crate) fn end(&mut self) {
        self.open = None;
    }

    /// Takes what the control plane says; the change, if there is one with that.
    pub(crate) fn hear(&mut self, message: ServerMessage) -> Option<Taken> {
        let session = self.open.as_ref()?.0;
        match self.subscriber.receive(session, message) {
            Ok(Received::Stale) => None,
            Ok(Received::Gathered(answer)) => {
                self.answer(answer);
                None
            }
            Ok(Received::Applied { answer, applied }) => {
                for problem in &applied.problems {
                    tracing::warn!("not understood: {problem}");
                }
                Some(Taken {
                    answer,
                    configuration: applied.configuration,
                })
            }
            Err(error) => {
                tracing::error!("{error}");
                self.end();
                None
            }
        }
    }

    /// Answers a change that is in force apart from `errors`; whether the control plane is told that
    /// something of it is not.
    pub(crate) fn settle(&mut self, answer: ClientMessage, errors: Vec<ResourceError>) -> bool {
        let answer = answer::with(answer, errors);
        let mut is_whole = true;
        if let Some(Message::Nack(nack)) = &answer.message {
            is_whole = false;
            for error in &nack.errors {
                tracing::warn!("{} {}: {}", error.r#type, error.name, error.message);
            }
        }
        self.answer(answer);
        !is_whole
    }

    /// Where something is said that nobody has asked for.
    pub(crate) fn outbox(&self) -> Option<&mpsc::Sender<ClientMessage>> {
        self.open.as_ref().map(|(_, stream)| &stream.outbox)
    }

    fn answer(&mut self, answer: ClientMessage) {
        let Some(outbox) = self.outbox() else { return };
        if outbox.try_send(answer).is_err() {
            tracing::warn!(
                "the control plane does not take its answers; the stream is opened anew"
            );
            self.end();
        }
    }
}
