//! What can be got wrong in an echo: framing, and the answers clients calculate themselves.

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    grpc::Messages,
    protobuf::{Message, texts},
    reflection, websocket,
};

/// The example of RFC 6455 section 1.3.
#[test]
fn websocket_key_is_answered_as_the_specification_shows() {
    let answer = websocket::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==").expect("an answer");
    assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/// What a WebSocket client sends and, after the greeting, gets; the masked `Hello` is the example
/// of RFC 6455 section 5.7.
#[tokio::test]
async fn websocket_frames_return_unmasked() {
    let hello = [0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let masked = |head: u8| [&[head, 0x85][..], &hello].concat();
    let plain = |head: u8| [&[head, 5][..], b"Hello"].concat();
    let close = vec![0x88, 0x80, 1, 2, 3, 4];
    let rows = [
        ("text", masked(0x81), plain(0x81)),
        ("fragment", masked(0x01), plain(0x01)),
        ("ping", masked(0x89), plain(0x8a)),
        ("pong", masked(0x8a), vec![]),
        ("unmasked", plain(0x81), vec![0x88, 2, 0x03, 0xea]),
        ("reserved bit", masked(0xc1), vec![0x88, 2, 0x03, 0xea]),
        (
            "too long",
            vec![0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0],
            vec![0x88, 2, 0x03, 0xf1],
        ),
    ];
    for (name, sent, expected) in rows {
        let (mut client, server) = tokio::io::duplex(1024);
        let talking = tokio::spawn(async move { websocket::talk(server, "hi").await });
        client.write_all(&sent).await.expect("sent");
        let closed_by_server = expected.first() == Some(&0x88);
        let mut wanted = [b"\x81\x02hi", &expected[..]].concat();
        if !closed_by_server {
            client.write_all(&close).await.expect("sent");
            wanted.extend([0x88, 0]);
        }
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.expect("all frames");
        assert_eq!(got, wanted, "{name}");
        talking.await.expect("no panic").expect("a clean end");
    }
}

#[test]
fn grpc_messages_are_whole_whatever_the_pieces() {
    let wire = b"\0\0\0\0\x02hi\0\0\0\0\0\0\0\0\0\x01!";
    for size in 1..=wire.len() {
        let (mut messages, mut got) = (Messages::default(), Vec::new());
        for piece in wire.chunks(size) {
            messages.0.put_slice(piece);
            while let Some(message) = messages.next().expect("nothing refused") {
                got.push(message);
            }
        }
        assert_eq!(got, ["hi", "", "!"], "in pieces of {size}");
    }
}

#[test]
fn grpc_messages_that_cannot_be_echoed_are_refused() {
    let rows = [
        ("compressed", &b"\x01\0\0\0\0"[..], "12"),
        ("too long", b"\0\xff\0\0\0", "8"),
    ];
    for (name, wire, status) in rows {
        let refused = Messages(wire.into()).next();
        assert_eq!(refused.expect_err(name).0, status, "{name}");
    }
}

#[test]
fn reflection_finds_what_it_lists_and_nothing_else() {
    let [services, file, error] = [6, 4, 7];
    let rows = [
        ("list", 7, "*", services),
        ("echo", 4, "weft.echo.v1.Echo", file),
        ("method", 4, "grpc.health.v1.Health.Check", file),
        ("file", 3, "grpc/health/v1/health.proto", file),
        ("other service", 4, "shop.Cart", error),
        ("extension", 5, "weft.echo.v1.Words", error),
    ];
    for (name, field, value, expected) in rows {
        for host in ["", "localhost"] {
            let request = Message::default().text(1, host).text(field, value).finish();
            let answer = reflection::answer(request.clone());
            let fields: Vec<_> = texts(answer).collect();
            assert_eq!(fields[0], (2, request), "{name}: the original request");
            let found = fields[1].0;
            assert_eq!(found, expected, "{name}");
        }
    }
    let damaged = reflection::answer(Bytes::from_static(b"\x22\x7f"));
    assert!(!damaged.is_empty(), "a damaged request is answered");
}
