//! The parent against a worker that says anything.

use weft_wire::{
    Assembler, Identity,
    proto::config::{Ack, Hello as Asking, Role},
};

use super::*;
use crate::{
    channel::{Heartbeat, Hello, Metrics, Report, VERSION},
    child,
};

const LIFE: u64 = 7;

fn core() -> Core {
    let identity = Identity {
        role: Role::Gateway,
        name: "edge".to_owned(),
        namespace: "infra".to_owned(),
        instance: String::new(),
    };
    let subscriber = Subscriber::new(identity, Assembler::default());
    let (saved, view) = (watch::channel(None).0, watch::channel(View::default()).0);
    Core::new(subscriber, saved, view, Clock::system())
}

fn hello(version: &str, protocol_version: u32) -> Report {
    let asking = Asking {
        protocol_version,
        ..Asking::default()
    };
    Report::Hello(Hello {
        version: version.to_owned(),
        config: Some(said(client_message::Message::Hello(asking))),
    })
}

fn said(message: client_message::Message) -> ClientMessage {
    ClientMessage {
        message: Some(message),
    }
}

fn ack(nonce: u64, generation: u64) -> Report {
    let ack = client_message::Message::Ack(Ack { nonce, generation });
    Report::Answer(said(ack))
}

/// Whether a worker that says this is kept.
fn is_kept(reports: Vec<Report>) -> bool {
    let mut core = core();
    let (orders, waiting) = tokio::sync::mpsc::channel(8);
    let started = child::Happened::Started { life: LIFE, orders };
    core.handle(Event::Worker(started));
    for report in reports {
        let said = child::Happened::Said { life: LIFE, report };
        core.handle(Event::Worker(said));
    }
    !waiting.is_closed()
}

#[test]
fn a_worker_that_makes_no_sense_is_ended() {
    let metrics = Report::Metrics(Metrics {
        number: u64::MAX,
        text: "nobody asked".to_owned(),
    });
    let heartbeat = Report::Heartbeat(Heartbeat {
        connections: u64::MAX,
        exchanges: u64::MAX,
    });
    for (what, kept, reports) in [
        ("a Hello", true, vec![hello(VERSION, 1)]),
        ("unasked metrics", true, vec![hello(VERSION, 1), metrics]),
        ("a heartbeat before Hello", true, vec![heartbeat]),
        ("another version", false, vec![hello("0.0.0", 1)]),
        ("another protocol", false, vec![hello(VERSION, 2)]),
        ("an answer before Hello", false, vec![ack(1, 1)]),
        (
            "an answer to nothing",
            false,
            vec![hello(VERSION, 1), ack(1, 1)],
        ),
        (
            "an empty Hello",
            false,
            vec![Report::Hello(Hello {
                version: VERSION.to_owned(),
                config: None,
            })],
        ),
        (
            "an answer that is none",
            false,
            vec![
                hello(VERSION, 1),
                Report::Answer(ClientMessage { message: None }),
            ],
        ),
    ] {
        assert_eq!(is_kept(reports), kept, "{what}");
    }
}

#[test]
fn what_an_earlier_worker_said_does_not_end_the_present_one() {
    let mut core = core();
    let (orders, waiting) = tokio::sync::mpsc::channel(8);
    let started = child::Happened::Started { life: LIFE, orders };
    core.handle(Event::Worker(started));
    let life = LIFE - 1;
    let report = ack(9, 9);
    core.handle(Event::Worker(child::Happened::Said { life, report }));
    let why = "it ended".to_owned();
    core.handle(Event::Worker(child::Happened::Ended { life, why }));
    assert!(!waiting.is_closed(), "the present worker is kept");
}
