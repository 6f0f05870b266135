//! One stream, message by message.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::world::{Builder, routes};
use crate::{
    Assembler, Certificate, Configuration, Disassembler, Identity, PROTOCOL_VERSION, Publisher,
    PublisherError, Received, Scope, Session, Snapshot, Subscriber, SubscriberError, limits,
    proto::config::{self as message, client_message, server_message},
};

/// Some moment.
const NOW: Duration = Duration::from_secs(100);

fn subscriber() -> Subscriber {
    let identity = Identity {
        role: message::Role::Gateway,
        name: "gw0".to_owned(),
        namespace: "infra".to_owned(),
        instance: "pod-1".to_owned(),
    };
    Subscriber::new(identity, Assembler::default())
}

fn hello(said: &message::ClientMessage) -> &message::Hello {
    match &said.message {
        Some(client_message::Message::Hello(hello)) => hello,
        other => panic!("a stream opens with Hello, not {other:?}"),
    }
}

fn delta(sent: &message::ServerMessage) -> &message::Delta {
    match &sent.message {
        Some(server_message::Message::Delta(delta)) => delta,
        Some(server_message::Message::Bundle(_)) => panic!("a publisher sends no bundle"),
        None => panic!("an empty message"),
    }
}

fn ack(nonce: u64, generation: u64) -> message::ClientMessage {
    message::ClientMessage {
        message: Some(client_message::Message::Ack(message::Ack {
            nonce,
            generation,
        })),
    }
}

fn snapshot(samples: &[u8]) -> Arc<Snapshot> {
    let configuration = Builder::default().build(&routes(samples));
    Disassembler::new(Scope::Everything)
        .update(&configuration)
        .clone()
}

/// A publisher with an open stream of a subscriber that has nothing.
fn connected() -> (Publisher, Session, Duration) {
    let mut publisher = Publisher::new();
    let (_, said) = subscriber().connect();
    let session = publisher.connect(hello(&said)).expect("the versions agree");
    (publisher, session, NOW)
}

#[test]
fn hello_says_who_and_what_is_held() {
    let mut subscriber = subscriber();
    let (_, said) = subscriber.connect();
    let first = hello(&said);
    assert_eq!(first.protocol_version, PROTOCOL_VERSION);
    assert_eq!(first.role(), message::Role::Gateway);
    assert_eq!(
        (&*first.namespace, &*first.name, &*first.instance),
        ("infra", "gw0", "pod-1")
    );
    assert!(first.have.is_empty());

    let mut publisher = Publisher::new();
    publisher.connect(first).expect("the versions agree");
    publisher.publish(3, snapshot(&[0, 1]));
    let sent = publisher.next(NOW).expect("everything is new");
    subscriber.receive(Session(1), sent).expect("a good delta");
    let (_, said) = subscriber.connect();
    assert_eq!(hello(&said).have.len(), 3, "a Gateway and two routes");

    let mut other = Publisher::new();
    other.connect(hello(&said)).expect("the versions agree");
    other.publish(9, snapshot(&[0, 2]));
    let sent = other.next(NOW).expect("a route is new");
    let names: Vec<_> = delta(&sent)
        .upserts
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["ns0/r1"],
        "another publisher sends the difference only"
    );
}

#[test]
fn a_stream_begins_with_a_delta_even_if_nothing_is_new() {
    let (mut publisher, session, now) = connected();
    assert!(publisher.next(now).is_none(), "nothing is published yet");
    publisher.publish(1, Arc::default());
    let sent = publisher
        .next(now)
        .expect("the subscriber waits for a complete configuration");
    assert!(delta(&sent).end_of_snapshot && delta(&sent).upserts.is_empty());
    publisher
        .answer(session, ack(1, 1), now)
        .expect("an answer was due");
    publisher.publish(2, Arc::default());
    assert!(
        publisher.next(now).is_none(),
        "later, what is the same is not sent"
    );
    assert_eq!(
        publisher.standing().generation,
        Some(2),
        "but counts as taken"
    );
}

#[test]
fn what_arrives_while_an_answer_is_due_replaces_each_other() {
    let (mut publisher, session, now) = connected();
    publisher.publish(1, snapshot(&[0]));
    publisher.next(now).expect("a first delta");
    publisher.publish(2, snapshot(&[1, 2]));
    publisher.publish(3, snapshot(&[0, 2]));
    assert!(publisher.next(now).is_none(), "an answer is due");
    let sent = publisher
        .answer(session, ack(1, 1), now)
        .expect("an answer was due");
    let sent = sent.expect("the newest is sent");
    assert_eq!(delta(&sent).generation, 3);
    assert_eq!(delta(&sent).nonce, 2);
    let names: Vec<_> = delta(&sent)
        .upserts
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["ns0/r1"], "what was undone meanwhile is not sent");
}

#[test]
fn a_subscriber_that_owes_an_answer_is_seen() {
    let (mut publisher, session, now) = connected();
    let later = now + Duration::from_secs(7);
    assert_eq!(publisher.overdue(later), None);
    publisher.publish(1, snapshot(&[0]));
    publisher.next(now).expect("a first delta");
    assert_eq!(publisher.overdue(later), Some(Duration::from_secs(7)));
    publisher
        .answer(session, ack(1, 1), later)
        .expect("an answer was due");
    assert_eq!(publisher.overdue(later), None);
}

#[test]
fn answers_to_nothing_end_the_stream() {
    let (mut publisher, session, now) = connected();
    publisher.publish(1, snapshot(&[0]));
    let unasked = |nonce, generation| Err(SubscriberError::Unasked { nonce, generation });
    assert_eq!(
        publisher.answer(session, ack(1, 1), now),
        unasked(1, 1),
        "before anything was sent"
    );
    publisher.next(now).expect("a first delta");
    assert_eq!(
        publisher.answer(session, ack(2, 1), now),
        unasked(2, 1),
        "another nonce"
    );
    assert_eq!(
        publisher.answer(session, ack(1, 2), now),
        unasked(1, 2),
        "another generation"
    );
    let (_, again) = subscriber().connect();
    assert_eq!(
        publisher.answer(session, again, now),
        Err(SubscriberError::OutOfTurn("Hello"))
    );
    let old = message::Hello::default();
    assert_eq!(publisher.connect(&old), Err(SubscriberError::Protocol(0)));
}

/// A stale disconnect must not clear a newer session, nor may a stale answer count.
#[test]
fn what_is_said_of_an_older_stream_has_no_effect() {
    let (mut publisher, first, now) = connected();
    publisher.publish(1, snapshot(&[0]));
    publisher.next(now).expect("a first delta");
    let (_, said) = subscriber().connect();
    let second = publisher.connect(hello(&said)).expect("the versions agree");
    publisher.next(now).expect("the new stream starts afresh");
    publisher.disconnect(first);
    assert!(publisher.is_connected());
    assert_eq!(publisher.answer(first, ack(1, 1), now), Ok(None));
    assert_eq!(
        publisher.standing().generation,
        None,
        "the second stream has not answered"
    );
    publisher
        .answer(second, ack(1, 1), now)
        .expect("an answer was due");
    assert_eq!(publisher.standing().generation, Some(1));
    publisher.disconnect(second);
    assert!(!publisher.is_connected());
}

/// A stream of a subscriber that has nothing, at both ends.
struct Ends {
    publisher: Publisher,
    server: Session,
    subscriber: Subscriber,
    client: Session,
}

impl Ends {
    fn new() -> Self {
        let (mut subscriber, mut publisher) = (subscriber(), Publisher::new());
        let (client, said) = subscriber.connect();
        let server = publisher.connect(hello(&said)).expect("the versions agree");
        Self {
            publisher,
            server,
            subscriber,
            client,
        }
    }

    /// Publishes routes, and delivers the change with an edit on the way. Returns the names of what
    /// was sent, and what the subscriber does not understand.
    fn publish(
        &mut self,
        generation: u64,
        samples: &[u8],
        edit: impl Fn(&mut message::Delta),
    ) -> (Vec<String>, Vec<String>) {
        self.publisher.publish(generation, snapshot(samples));
        let mut sent = self.publisher.next(NOW).expect("something changed");
        let names = delta(&sent)
            .upserts
            .iter()
            .map(|it| it.name.clone())
            .collect();
        if let Some(server_message::Message::Delta(delta)) = &mut sent.message {
            edit(delta);
        }
        let Ok(Received::Applied { answer, .. }) = self.subscriber.receive(self.client, sent)
        else {
            panic!("the change is applied");
        };
        let next = self.publisher.answer(self.server, answer, NOW);
        assert_eq!(
            next,
            Ok(None),
            "an answer was due, and nothing is left to send"
        );
        let standing = self.publisher.standing();
        assert_eq!(
            standing.generation,
            Some(generation),
            "what is understood was taken"
        );
        let problems = standing.problems.iter().map(ToString::to_string).collect();
        (names, problems)
    }
}

#[test]
fn errors_stand_until_their_resource_is_taken() {
    let mut ends = Ends::new();
    let (_, problems) = ends.publish(1, &[0, 1], |delta| {
        for upsert in &mut delta.upserts {
            if upsert.name == "ns0/r0" {
                upsert.body = Bytes::from_static(&[0xff]);
            }
        }
        delta.upserts.push(message::Resource {
            r#type: "Dream".to_owned(),
            name: "a/b".to_owned(),
            version: 1,
            body: Bytes::new(),
        });
    });
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("Dream a/b: resources of this type are not known"));
    assert!(problems[1].starts_with("HTTPRoute ns0/r0: is ignored: "));

    let (sent, problems) = ends.publish(2, &[0, 2], |_| ());
    assert_eq!(
        sent,
        ["ns0/r1"],
        "what was not understood is not sent again"
    );
    assert_eq!(problems.len(), 2, "and stays an error");

    let (sent, problems) = ends.publish(3, &[3, 2], |_| ());
    assert_eq!(sent, ["ns0/r0"]);
    assert_eq!(
        problems.len(),
        1,
        "until it changes and is understood: {problems:?}"
    );
}

#[test]
fn a_large_change_comes_in_pieces_and_takes_effect_at_once() {
    let mut certificates = crate::Certificates::new();
    for at in 0..5_u8 {
        let certificate = Certificate {
            chain_pem: Bytes::from(vec![at; limits::DELTA_BYTES / 2]),
            key_pem: Bytes::new(),
        };
        certificates.insert(
            weft_ir::Name::new("a", at.to_string()),
            Arc::new(certificate),
        );
    }
    let configuration = Configuration {
        certificates: Arc::new(certificates),
        ..Configuration::default()
    };
    let snapshot = Disassembler::new(Scope::Everything)
        .update(&configuration)
        .clone();
    let mut subscriber = subscriber();
    let (client, said) = subscriber.connect();
    let mut publisher = Publisher::new();
    let server = publisher.connect(hello(&said)).expect("the versions agree");
    let now = NOW;
    publisher.publish(1, snapshot);
    let mut next = publisher.next(now);
    let mut pieces = 0;
    while let Some(sent) = next {
        pieces += 1;
        let size: usize = delta(&sent).upserts.iter().map(|it| it.body.len()).sum();
        assert!(size <= limits::DELTA_BYTES, "a piece has {size} bytes");
        let answer = match subscriber.receive(client, sent).expect("a good delta") {
            Received::Gathered(answer) => {
                let held = subscriber.assembler().configuration();
                assert_eq!(*held, Configuration::default(), "a piece changes nothing");
                answer
            }
            Received::Applied { answer, applied } => {
                assert_eq!(applied.configuration, configuration);
                answer
            }
            Received::Stale => panic!("the stream is the present one"),
        };
        next = publisher
            .answer(server, answer, now)
            .expect("an answer was due");
    }
    assert_eq!(
        pieces, 5,
        "two halves and their frames are more than one whole"
    );
    assert_eq!(publisher.standing().generation, Some(1));
}

#[test]
fn a_publisher_that_loses_count_is_left() {
    let mut subscriber = subscriber();
    let (client, _) = subscriber.connect();
    let gap = message::ServerMessage {
        message: Some(server_message::Message::Delta(message::Delta {
            nonce: 2,
            ..message::Delta::default()
        })),
    };
    let (expected, found) = (1, 2);
    let refused = subscriber
        .receive(client, gap)
        .expect_err("delta 1 was due");
    assert_eq!(refused, PublisherError::Nonce { expected, found });
    let empty = subscriber.receive(client, message::ServerMessage::default());
    assert_eq!(
        empty.expect_err("nothing was said"),
        PublisherError::Unknown
    );
}

#[test]
fn debug_output_shows_no_key() {
    let certificate = Certificate {
        chain_pem: Bytes::from_static(b"PUBLIC"),
        key_pem: Bytes::from_static(b"HIDDEN"),
    };
    let certificates = [(weft_ir::Name::new("a", "b"), Arc::new(certificate))];
    let configuration = Configuration {
        certificates: Arc::new(certificates.into()),
        ..Configuration::default()
    };
    let snapshot = Disassembler::new(Scope::Everything)
        .update(&configuration)
        .clone();
    let (mut publisher, _, now) = connected();
    publisher.publish(1, snapshot.clone());
    let sent = publisher.next(now);
    let shown = format!("{configuration:?} {snapshot:?} {publisher:?} {sent:?}");
    assert!(shown.contains("Certificate a/b"), "{shown}");
    for secret in ["HIDDEN", "72, 73, 68", "48494444"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
