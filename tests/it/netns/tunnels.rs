//! Tunnels to pods that workers serve, and pods that reach each other through them.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, atomic::Ordering::SeqCst, mpsc},
    thread,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::Receiver,
    time::timeout,
};
use weft_proxy::node::Fed;
use weft_tests::netns::{PATIENCE, can_make_namespaces};
use weft_tunnel::{OpenError, Stream, StreamError};

use super::{
    authority::{Client, MeshAuthority},
    pair::Pair,
    running::{Running, roster},
    workers::{ask, echo},
};

const DOMAIN: &str = "cluster.local";

/// One pod that is served, and another one from which it is called.
struct World {
    client: Client,
    mesh: Arc<MeshAuthority>,
    running: Running,
    pair: Pair,
}

impl World {
    fn new() -> Self {
        Self::of(MeshAuthority::new(DOMAIN))
    }

    fn of(mesh: Arc<MeshAuthority>) -> Self {
        let pair = Pair::running();
        let (supply, _fed) = mesh.supply(&[&pair.cart]);
        let members = [(&pair.cart, "shop", true)];
        let mut running = Running::supplied(&pair.node, roster(&members), supply);
        running.captures(1);
        Self {
            client: Client::new(&pair.web),
            mesh,
            running,
            pair,
        }
    }

    /// Opens a stream as the account of the pod that calls.
    fn open(&self, to: SocketAddr) -> Result<Stream, OpenError> {
        let identity = self.mesh.member(&self.pair.web.identity, &[]);
        self.client.open(&identity, to, &self.pair.cart.identity)
    }

    /// Says something through a stream, ends its direction, and hears the answer.
    fn ask(&self, stream: Stream) -> std::io::Result<()> {
        self.client.runtime.block_on(async {
            let said = vec![7; 300_000];
            let (mut reader, mut writer) = tokio::io::split(stream);
            let writing = async {
                writer.write_all(&said).await?;
                writer.shutdown().await
            };
            let mut heard = Vec::new();
            tokio::try_join!(writing, reader.read_to_end(&mut heard))?;
            assert_eq!(heard.len(), said.len(), "everything comes back");
            Ok(())
        })
    }
}

/// An application that does something with each of its connections.
fn app<T: Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (says, hears) = mpsc::sync_channel(64);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            if says.send(serve(stream)).is_err() {
                return;
            }
        }
    });
    hears
}

/// Resets a connection.
fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).expect("it is open");
}

#[test]
fn streams_reach_the_application_from_who_opened_them() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let (web, cart) = (&world.pair.web, &world.pair.cart);
    for (from, to) in web.ips().into_iter().zip(cart.ips()) {
        let to = SocketAddr::new(to, 80);
        let mut called = echo(cart.listen_at(to));
        for _ in 0..3 {
            let stream = world.open(to).expect("it is served");
            world.ask(stream).expect("the end of each direction is one");
            let called = called.blocking_recv().expect("the application was called");
            assert_eq!(called.ip(), from, "the application sees who called");
        }
    }
    let asked = world.mesh.asked.lock().expect("nobody panicked");
    let asked: Vec<_> = asked
        .iter()
        .map(|it| (&*it.identity, &*it.pod_uid))
        .collect();
    assert_eq!(
        asked,
        [(cart.identity.as_str(), cart.uid.as_str())],
        "one certificate, of the pod's account"
    );
}

#[test]
fn a_server_may_speak_first() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let _served = app(world.pair.cart.listen(25), |mut stream| {
        let _said = stream.write_all(b"220 ready");
        stream
    });
    let mut stream = world.open(world.pair.cart.at(25)).expect("it is served");
    let mut heard = [0; 9];
    let heard = world.client.runtime.block_on(async {
        stream.read_exact(&mut heard).await.expect("it speaks");
        heard
    });
    assert_eq!(&heard, b"220 ready", "and nothing was said before");
}

#[test]
fn what_leads_nowhere_is_refused() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let (web, cart) = (&world.pair.web, &world.pair.cart);
    let identity = world.mesh.member(&web.identity, &[]);
    let at = cart.at(15008);
    for (row, to, reason) in [
        ("nobody listens", cart.at(81), "tunnel_app_unavailable"),
        ("another pod", web.at(80), "tunnel_not_served"),
        ("loopback", ([127, 0, 0, 1], 80).into(), "tunnel_not_served"),
        ("a port of the mesh", cart.at(15001), "tunnel_not_served"),
        ("the tunnel itself", cart.at(15008), "tunnel_not_served"),
    ] {
        let opened = world.client.open_at(&identity, (at, to), &cart.identity);
        let error = opened.map(drop).expect_err(row);
        assert_eq!(error.reason(), reason, "{row}: {error}");
    }
}

#[test]
fn nobody_is_served_whom_the_mesh_does_not_know() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let (web, cart) = (&world.pair.web, &world.pair.cart);
    let mut called = echo(cart.listen(80));
    let (elsewhere, same_name) = (
        MeshAuthority::new("elsewhere.example"),
        MeshAuthority::new(DOMAIN),
    );
    let foreign = "spiffe://elsewhere.example/ns/shop/sa/web".parse();
    let foreign = elsewhere.member(&foreign.expect("an identity"), &[&world.mesh]);
    let forged = same_name.member(&web.identity, &[&same_name]);
    let own = world.mesh.member(&web.identity, &[]);
    for (row, identity, expected, reason) in [
        ("another trust domain", &foreign, cart, "tls_peer_refused"),
        ("another authority", &forged, cart, "peer_issuer_unknown"),
        (
            "another pod is expected",
            &own,
            web,
            "peer_identity_mismatch",
        ),
    ] {
        let opened = world.client.open(identity, cart.at(80), &expected.identity);
        let error = opened.map(drop).expect_err(row);
        assert_eq!(error.reason(), reason, "{row}: {error}");
    }
    assert!(called.try_recv().is_err(), "the application heard of none");
}

#[test]
fn what_breaks_on_one_side_breaks_on_the_other() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let cart = &world.pair.cart;
    let _served = app(cart.listen(80), |mut stream| {
        let _heard = stream.read(&mut [0; 5]);
        reset(stream);
    });
    let mut stream = world.open(cart.at(80)).expect("it is served");
    let heard = world.client.runtime.block_on(async {
        stream.write_all(b"hello").await.expect("it is open");
        timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await
    });
    let error = heard.expect("in time").expect_err("no end in order");
    let error = StreamError::of(&error).map(StreamError::reason);
    assert_eq!(error, Some("tunnel_reset"), "the application broke off");

    let heard = app(cart.listen(81), |mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).map_err(|error| error.kind())
    });
    let mut stream = world.open(cart.at(81)).expect("it is served");
    world.client.runtime.block_on(async {
        stream.write_all(b"hello").await.expect("it is open");
        stream.reset();
    });
    let heard = heard.recv_timeout(PATIENCE).expect("it hears of it");
    assert_eq!(heard, Err(ErrorKind::ConnectionReset), "the client did");
}

#[test]
fn callers_wait_for_a_pod_that_is_becoming_somebody() {
    if !can_make_namespaces() {
        return;
    }
    let mesh = MeshAuthority::new(DOMAIN);
    mesh.is_away.store(true, SeqCst);
    let world = World::of(mesh);
    let cart = &world.pair.cart;
    let _called = echo(cart.listen(80));
    let mesh = Arc::clone(&world.mesh);
    thread::scope(|scope| {
        scope.spawn(move || mesh.is_away.store(false, SeqCst));
        let stream = world.open(cart.at(80)).expect("it is served in time");
        world.ask(stream).expect("as any other");
    });
}

#[test]
fn streams_go_on_while_their_pod_leaves_and_no_longer_than_they_may() {
    if !can_make_namespaces() {
        return;
    }
    let mut world = World::new();
    let _called = echo(world.pair.cart.listen(80));
    let goes_on = world.open(world.pair.cart.at(80)).expect("it is served");
    let mut lingers = world.open(world.pair.cart.at(80)).expect("it is served");
    world
        .running
        .roster
        .send_replace(Some(Arc::new(roster(&[]))));
    world.running.captures(0);
    world.ask(goes_on).expect("it comes to its end");
    let heard = world.client.runtime.block_on(async {
        lingers.write_all(b"hello").await.expect("it is open");
        // The drain of the node, and what it takes to notice.
        timeout(PATIENCE + PATIENCE, lingers.read_to_end(&mut Vec::new())).await
    });
    let error = heard.expect("in time").expect_err("no end in order");
    assert!(StreamError::of(&error).is_some(), "it was cut: {error}");
}

/// Waits until a worker has its configuration.
fn is_fed(fed: &mut Receiver<Fed>) {
    while let Some(fed) = fed.blocking_recv() {
        if matches!(fed, Fed::Settled(..)) {
            return;
        }
    }
    panic!("the worker has no configuration");
}

#[test]
fn members_reach_each_other_as_if_there_were_no_mesh() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let mesh = MeshAuthority::new(DOMAIN);
    let (supply, mut fed) = mesh.supply(&[&pair.web, &pair.cart]);
    // Plaintext is refused, so that whatever arrives has come through a tunnel.
    let members = [(&pair.web, "shop", true), (&pair.cart, "shop", true)];
    let mut running = Running::supplied(&pair.node, roster(&members), supply);
    running.captures(2);
    is_fed(&mut fed);
    for (from, to) in pair.web.ips().into_iter().zip(pair.cart.ips()) {
        let to = SocketAddr::new(to, 80);
        let mut called = echo(pair.cart.listen_at(to));
        for _ in 0..3 {
            let stream = pair.web.dial(to).expect("it is carried");
            ask(stream).expect("the end of each direction is one");
            let called = called.blocking_recv().expect("the application was called");
            assert_eq!(called.ip(), from, "the application sees who called");
        }
    }
    let _served = app(pair.cart.listen(25), |mut stream| {
        let _said = stream.write_all(b"220 ready");
        let _ended = stream.shutdown(Shutdown::Write);
    });
    let mut heard = String::new();
    let mut stream = pair.web.dial(pair.cart.at(25)).expect("it is carried");
    stream.read_to_string(&mut heard).expect("it ends in order");
    assert_eq!(heard, "220 ready", "a server may speak first");
    let closed = pair.web.dial(pair.cart.at(81)).and_then(ask);
    let kind = closed.expect_err("nobody listens").kind();
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(kinds.contains(&kind), "a connection is reset: {kind}");
}
