//! Connections of the proxy and of others between the same addresses and ports: the proxy dials in the name
//! of a peer, whose own ports nobody in the pod knows.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use weft_intercept::{
    capture::{self, Family, Fault, MARK},
    sockets::{self, Listener, Purpose},
};

use super::pair::{
    Pair, Stack, accept, can_make_namespaces, dial, finished, of, round_trip, tool, within,
};

const PORT: u16 = 8080;
/// The port that both choose.
const CHOSEN: u16 = 40_000;

/// The two ends of a connection, and whose it is.
struct Living(&'static str, TcpStream, TcpStream);

/// A pod with an application, and a peer, of one family.
struct Scene {
    pair: Pair,
    family: Family,
    application: TcpListener,
    living: Vec<Living>,
}

impl Scene {
    fn new(family: Family) -> Self {
        let pair = Pair::new(Stack::Dual);
        let application = pair.listener(&pair.pod, family, PORT);
        Self {
            pair,
            family,
            application,
            living: Vec::new(),
        }
    }

    fn to(&self) -> SocketAddr {
        SocketAddr::new(self.pair.pod(self.family), PORT)
    }

    /// The peer's address, with the port that both choose.
    fn chosen(&self) -> SocketAddr {
        SocketAddr::new(self.pair.peer(self.family), CHOSEN)
    }

    /// The peer dials, from the chosen port.
    fn peer_dials(&self) -> io::Result<TcpStream> {
        let connect = || {
            let socket = Socket::new(Domain::for_address(self.to()), Type::STREAM, None)?;
            socket.bind(&self.chosen().into())?;
            finished(&dial(socket, self.to()))
        };
        within(&self.pair.peer, connect)
    }

    /// The peer dials and arrives at the application.
    fn direct(&mut self) {
        let client = self.peer_dials().expect("the application is reached");
        let (server, _) = accept(&self.application).expect("by the peer");
        self.living.push(Living("direct", client, server));
    }

    /// The peer dials and is captured.
    fn captured(&mut self, listeners: &[Listener]) {
        let client = self.peer_dials().expect("the proxy is reached");
        let inbound = of(listeners, Purpose::Inbound, self.family);
        let (server, from) = accept(inbound).expect("by the peer");
        assert_eq!(from, self.chosen(), "{:?}: who dialled", self.family);
        self.living.push(Living("captured", client, server));
    }

    /// The proxy dials in the name of the peer, from the chosen port as well.
    fn proxied(&mut self) {
        let made = sockets::dialling(&self.pair.pod, self.family, 1);
        let socket: OwnedFd = made.expect("sockets can be had").remove(0);
        self.dials(socket.into(), CHOSEN);
    }

    fn dials(&mut self, socket: Socket, port: u16) {
        let family = self.family;
        let source = SocketAddr::new(self.chosen().ip(), port);
        let bound = socket.bind(&source.into());
        bound.expect("an address of somebody else");
        let client = finished(&dial(socket, self.to()));
        let client = client.unwrap_or_else(|error| panic!("{family:?}: the proxy dials: {error}"));
        let (server, from) = accept(&self.application).expect("by the proxy");
        assert_eq!(from.ip(), self.chosen().ip(), "{family:?}: whom it sees");
        self.living.push(Living("proxied", client, server));
    }

    /// Every connection carries bytes, and each its own.
    fn goes_on(&mut self, when: &str) {
        let family = self.family;
        for Living(whose, client, server) in &mut self.living {
            let said = round_trip(client, server).and_then(|()| round_trip(server, client));
            said.unwrap_or_else(|error| panic!("{family:?}, {when}: {whose} connection: {error}"));
        }
    }

    /// Every connection ends, by resets.
    fn ends(&mut self) {
        for Living(_, client, server) in self.living.drain(..) {
            for end in [client, server] {
                let set = SockRef::from(&end).set_linger(Some(Duration::ZERO));
                set.expect("a socket can be set");
            }
        }
        // A program that another test starts may have a duplicate until it runs.
        let filter = format!("-Htn sport = :{CHOSEN} or dport = :{CHOSEN}");
        let is_open = |netns| !tool(netns, "ss", &filter).is_empty();
        let looks = (0..500).find(|_| {
            let is_over = !is_open(&self.pair.pod) && !is_open(&self.pair.peer);
            if !is_over {
                thread::park_timeout(Duration::from_millis(10));
            }
            is_over
        });
        looks.expect("a connection ends that was reset");
    }

    /// An end of the direct connection says something, and the other hears it.
    fn says(&mut self, is_server: bool) {
        let Living(_, client, server) = &mut self.living[0];
        let (from, to) = if is_server {
            (server, client)
        } else {
            (client, server)
        };
        one_way(from, to).expect("it arrives");
    }
}

fn one_way(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    from.write_all(b"said")?;
    to.read_exact(&mut [0; 4])
}

#[test]
fn a_connection_from_before_does_not_share_its_port_with_the_proxy() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        for (row, first) in [
            ("silent since", None),
            ("the peer speaks first", Some(false)),
            ("the application speaks first", Some(true)),
        ] {
            let mut scene = Scene::new(family);
            scene.direct();
            let _listeners = scene.pair.enrol();
            if let Some(is_server) = first {
                scene.says(is_server);
            }
            scene.proxied();
            scene.goes_on(row);
        }
    }
}

#[test]
fn a_connection_that_answers_just_when_it_begins_to_be_tracked_keeps_its_port() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        let mut scene = Scene::new(family);
        scene.direct();
        for command in [
            "add table inet watch",
            "add chain inet watch everything { type filter hook output priority 0 ; }",
            "add rule inet watch everything ct state new counter",
        ] {
            tool(&scene.pair.pod, "nft", command);
        }
        // It is tracked, as if it had been begun by the application.
        scene.says(true);
        let _listeners = scene.pair.enrol();
        scene.proxied();
        scene.goes_on("the wrong way round");
    }
}

#[test]
fn a_captured_connection_does_not_share_its_port_with_the_proxy() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        for is_proxy_first in [false, true] {
            let mut scene = Scene::new(family);
            let listeners = scene.pair.enrol();
            if is_proxy_first {
                scene.proxied();
                scene.captured(&listeners);
            } else {
                scene.captured(&listeners);
                scene.proxied();
            }
            scene.goes_on("captured");
        }
    }
}

#[test]
fn a_connection_past_the_proxy_does_not_share_its_port_with_it() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        let mut scene = Scene::new(family);
        let _listeners = scene.pair.enrol();
        scene.proxied();
        let stopped = capture::stop(&scene.pair.pod, &scene.pair.settings);
        stopped.expect("nobody is captured any more");
        scene.direct();
        scene.goes_on("stopped");
    }
}

#[test]
fn nothing_is_left_of_an_earlier_capture() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        for is_captured in [false, true] {
            for is_removed in [false, true] {
                let mut scene = Scene::new(family);
                let listeners = scene.pair.enrol();
                if is_captured {
                    scene.captured(&listeners);
                } else {
                    scene.proxied();
                }
                if is_removed {
                    capture::remove(&scene.pair.pod).expect("it is removed");
                } else {
                    tool(&scene.pair.pod, "nft", "flush ruleset");
                }
                scene.ends();
                scene.direct();
                scene.pair.apply();
                scene.goes_on("captured again");
                scene.proxied();
                scene.goes_on("and dialled");
            }
        }
    }
}

#[test]
fn connections_of_an_earlier_version_go_on() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        let mut scene = Scene::new(family);
        let listeners = scene.pair.enrol();
        tool(&scene.pair.pod, "nft", "delete table inet weft_dials");
        scene.captured(&listeners);
        let made = sockets::dialling(&scene.pair.pod, family, 1);
        let socket: Socket = made.expect("sockets can be had").remove(0).into();
        socket.set_mark(MARK).expect("root marks it");
        scene.dials(socket, CHOSEN + 1);
        assert_eq!(scene.pair.apply().faults, [Fault::NotApart]);
        scene.goes_on("with the rules of this version");
    }
}

/// How often the pod joins and leaves.
const ROUNDS: usize = 20;

/// Is said when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn requests_are_answered_while_the_pod_joins_and_leaves() {
    if !can_make_namespaces() {
        return;
    }
    for family in Family::ALL {
        let mut scene = Scene::new(family);
        scene.direct();
        let Living(_, mut client, mut server) = scene.living.remove(0);
        let (ends, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while server.read_exact(&mut [0; 4]).is_ok() {
                    // Later than the acknowledgement of the request, so that either end is first.
                    thread::park_timeout(Duration::from_millis(answered.load(SeqCst) as u64 % 3));
                    server.write_all(b"pong").expect("the client is there");
                }
            });
            let asking = scope.spawn(|| {
                while !ends.load(SeqCst) {
                    client.write_all(b"ping").expect("the server is there");
                    let answer = client.read_exact(&mut [0; 4]);
                    answer.unwrap_or_else(|error| panic!("{family:?}: a request hangs: {error}"));
                    answered.fetch_add(1, SeqCst);
                }
                client.shutdown(Shutdown::Both).expect("it is open");
            });
            // Also when a round fails.
            let _ends = Ends(&ends);
            for _ in 0..ROUNDS {
                scene.pair.apply();
                let before = answered.load(SeqCst);
                while answered.load(SeqCst) < before + 2 && !asking.is_finished() {
                    thread::yield_now();
                }
                let stopped = capture::stop(&scene.pair.pod, &scene.pair.settings);
                stopped
                    .and_then(|()| capture::remove(&scene.pair.pod))
                    .expect("it leaves");
            }
            ends.store(true, SeqCst);
        });
        assert!(
            answered.load(SeqCst) > ROUNDS,
            "{family:?}: requests went on"
        );
    }
}
