//! The channel against a peer that says anything.

use std::{io::Write, os::fd::AsFd};

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn frame(length: u32, body: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes()[..], body].concat()
}

/// What the parent makes of these bytes of its worker.
fn heard(bytes: &[u8]) -> Result<Option<FromWorker>, ChannelError> {
    let (parent, mut worker) = net::UnixStream::pair().expect("a socket pair");
    worker.write_all(bytes).expect("the bytes fit");
    drop(worker);
    runtime().block_on(async {
        let (_outlet, mut intake) = open::<FromWorker>(parent, 0).expect("a channel");
        intake.next().await
    })
}

#[test]
fn hostile_bytes_end_the_channel_and_nothing_else() {
    let too_long = u32::try_from(FRAME_BYTES + 1).expect("it fits");
    for (what, bytes) in [
        ("a length beyond the limit", frame(too_long, b"")),
        ("the longest length", frame(u32::MAX, b"")),
        ("no protobuf", frame(3, b"\xff\xff\xff")),
        (
            "text that is no UTF-8",
            frame(6, b"\x22\x04\x12\x02\xff\xfe"),
        ),
        ("a group that never ends", frame(2, b"\x0b\x0b")),
    ] {
        assert!(heard(&bytes).is_err(), "{what} is refused");
    }
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("half a length", vec![0, 0]),
        ("half a message", frame(100, b"abc")),
    ] {
        let heard = heard(&bytes);
        assert!(matches!(heard, Ok(None)), "{what} is the end: {heard:?}");
    }
    let unknown = heard(&frame(2, b"\x78\x01")).expect("a field of a newer version");
    assert_eq!(unknown, Some(FromWorker { report: None }));
}

#[test]
fn descriptors_nobody_asked_for_end_the_channel() {
    let (parent, worker) = net::UnixStream::pair().expect("a socket pair");
    weft_intercept::send(&worker, &frame(0, b""), &[worker.as_fd()]).expect("it is sent");
    let heard = runtime().block_on(async {
        let (_outlet, mut intake) = open::<FromWorker>(parent, 0).expect("a channel");
        intake.next().await
    });
    assert!(matches!(heard, Err(ChannelError::Descriptors(1, 0))));
}

#[test]
fn long_messages_and_their_sockets_arrive_whole() {
    let (parent, worker) = net::UnixStream::pair().expect("a socket pair");
    let sockets = ToWorker {
        order: Some(Order::Sockets(Sockets {
            addresses: vec!["m".repeat(FRAME_BYTES - 100)],
        })),
    };
    runtime().block_on(async {
        let (mut outlet, _intake) = open::<FromWorker>(parent, 0).expect("a channel");
        let (_outlet, mut intake) = open::<ToWorker>(worker, 1).expect("a channel");
        let (pipe, _writer) = io::pipe().expect("a pipe");
        let lent = [pipe.as_fd()];
        let (sent, came) = tokio::join!(outlet.send(&sockets, &lent), intake.next());
        sent.expect("it is sent");
        assert_eq!(came.expect("it arrives"), Some(sockets.clone()));
        assert_eq!(intake.descriptors(2).len(), 1);
    });
}

#[test]
fn a_message_beyond_the_limit_is_not_sent() {
    let (parent, _worker) = net::UnixStream::pair().expect("a socket pair");
    let metrics = FromWorker {
        report: Some(Report::Metrics(Metrics {
            number: 1,
            text: "m".repeat(FRAME_BYTES),
        })),
    };
    let refused = runtime().block_on(async {
        let (mut outlet, _intake) = open::<ToWorker>(parent, 0).expect("a channel");
        outlet.send(&metrics, &[]).await
    });
    assert!(matches!(refused, Err(ChannelError::TooLong(_))));
}
