//! Answers to changes, and what is added to them on their way.

use weft_wire::{
    limits,
    proto::config::{Ack, ClientMessage, Nack, ResourceError, client_message::Message},
};

/// The answer with further errors: an `Ack` becomes a `Nack`.
pub(crate) fn with(answer: ClientMessage, errors: Vec<ResourceError>) -> ClientMessage {
    if errors.is_empty() {
        return answer;
    }
    let mut nack = match answer.message {
        Some(Message::Nack(nack)) => nack,
        Some(Message::Ack(Ack { nonce, generation })) => Nack {
            nonce,
            generation,
            ..Nack::default()
        },
        other => return ClientMessage { message: other },
    };
    for mut error in errors {
        if nack.errors.len() == limits::ERRORS {
            nack.omitted += 1;
            continue;
        }
        let end = error.message.floor_char_boundary(limits::ERROR_BYTES);
        error.message.truncate(end);
        if !nack.errors.contains(&error) {
            nack.errors.push(error);
        }
    }
    ClientMessage {
        message: Some(Message::Nack(nack)),
    }
}
