//! Relays between a local connection and a stream to another node.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    task::JoinHandle,
};

use super::{Ended, Relayed, relay};
use crate::tests::node::{ECHO, NEVER_READS, RESETS, World};

const HOUR: Duration = Duration::from_secs(3600);

/// A local client whose bytes are relayed to a port of the application.
async fn relayed(world: &World, port: u16) -> (DuplexStream, JoinHandle<Relayed>) {
    let mut stream = world.open(port).await.expect("served");
    let (client, local) = duplex(64 * 1024);
    let relaying =
        tokio::spawn(async move { relay(tokio::io::split(local), &mut stream, HOUR).await });
    (client, relaying)
}

/// A local connection that brings so many bytes at a time, if there is room for them, and then its end.
/// It notes how much room there is.
struct Brings {
    bytes: VecDeque<usize>,
    rooms: Vec<usize>,
}

impl AsyncRead for Brings {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.rooms.push(buf.remaining());
        let bytes = self.bytes.pop_front().unwrap_or(0).min(buf.remaining());
        buf.put_slice(&vec![7; bytes]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn who_hurries_gets_more_room_for_as_long() {
    const KIB: usize = 1024;
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    let mut local = Brings {
        bytes: [1, 100, 100, 16, 1, 1].map(|it| it * KIB).into(),
        rooms: Vec::new(),
    };
    let relayed = relay((&mut local, tokio::io::sink()), &mut stream, HOUR).await;
    assert!(matches!(relayed.ended, Ended::Done), "{relayed:?}");
    // With the head of a frame before them they fill whole records of TLS.
    let [little, more] = [16 * KIB - 9, 64 * KIB - 9];
    let sent = KIB + little + more + 16 * KIB + KIB + KIB;
    assert_eq!(relayed.sent, sent as u64, "all that was read is sent");
    let rooms = [little, little, more, more, more, little, little];
    assert_eq!(local.rooms, rooms, "the last one for the end");
}

#[tokio::test]
async fn twelve_megabytes_there_and_back() {
    let world = World::new();
    let (client, relaying) = relayed(&world, ECHO).await;
    let sent: Vec<u8> = (0..12 << 20_u32).map(|at| (at / 251 % 256) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(client);
    let copy = sent.clone();
    let sending = tokio::spawn(async move {
        writer.write_all(&copy).await.expect("open");
        writer.shutdown().await.expect("open");
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.expect("an orderly end");
    sending.await.expect("no panic");
    assert!(back == sent, "all bytes come back in order");
    let relayed = relaying.await.expect("no panic");
    assert!(matches!(relayed.ended, Ended::Done), "{relayed:?}");
    assert_eq!((relayed.sent, relayed.received), (12 << 20, 12 << 20));
}

/// A local connection that takes so many bytes at a time, from as many pieces as they are in.
struct Takes {
    bytes: usize,
    heard: Vec<u8>,
}

impl AsyncWrite for Takes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pieces = bufs.iter().flat_map(|buf| buf.iter().copied());
        let taken: Vec<u8> = pieces.take(self.bytes).collect();
        self.heard.extend_from_slice(&taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_is_written_together_stays_in_order() {
    let sent: Vec<u8> = (0..1 << 20_u32).map(|at| (at / 251 % 256) as u8).collect();
    for bytes in [1 << 20, 100_003, 65_527, 4_099] {
        let world = World::new();
        let mut stream = world.open(ECHO).await.expect("served");
        let heard = Vec::new();
        let mut local = Takes { bytes, heard };
        let relayed = relay((sent.as_slice(), &mut local), &mut stream, HOUR).await;
        assert!(matches!(relayed.ended, Ended::Done), "{relayed:?}");
        assert!(local.heard == sent, "{bytes} at a time: all, in order");
        assert_eq!(relayed.received, 1 << 20, "{bytes} at a time");
    }
}

#[tokio::test]
async fn an_abort_of_the_other_side_ends_a_relay_as_one() {
    let world = World::new();
    let (mut client, relaying) = relayed(&world, RESETS).await;
    client.write_all(b"x").await.expect("open");
    let relayed = relaying.await.expect("no panic");
    let Ended::Tunnel(error) = relayed.ended else {
        panic!("{relayed:?}");
    };
    assert_eq!(error.reason(), "tunnel_reset");
}

/// A local connection that is reset.
struct Aborted;

impl AsyncRead for Aborted {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

#[tokio::test]
async fn an_abort_of_the_local_side_resets_the_stream() {
    let world = World::new();
    let mut stream = world
        .open(crate::tests::node::LISTENS)
        .await
        .expect("served");
    let relayed = relay((Aborted, tokio::io::sink()), &mut stream, HOUR).await;
    assert!(matches!(relayed.ended, Ended::Local(_)), "{relayed:?}");
    world.app.heard_more.notified().await;
    let heard = world.app.heard.lock().expect("no panic holds it").pop();
    assert_eq!(
        heard,
        Some(Err("tunnel_reset")),
        "the application sees an abort, no end"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_relay() {
    let world = World::new();
    let (mut client, relaying) = relayed(&world, NEVER_READS).await;
    for _ in 0..3 {
        tokio::time::sleep(HOUR - Duration::from_secs(600)).await;
        client.write_all(b"x").await.expect("open");
    }
    assert!(!relaying.is_finished(), "a byte now and then keeps it");
    let relayed = relaying.await.expect("no panic");
    assert!(matches!(relayed.ended, Ended::Idle), "{relayed:?}");
}

#[tokio::test]
async fn a_relay_costs_little_while_it_waits() {
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    let stream_bytes = size_of_val(&stream);
    let (_client, local) = duplex(64);
    let relaying = relay(tokio::io::split(local), &mut stream, HOUR);
    let bytes = size_of_val(&relaying) + stream_bytes;
    assert!(bytes <= 1024, "{bytes} bytes of state, and no buffer");
}
