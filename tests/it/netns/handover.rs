//! One process of a node follows another: connections that nobody uses at the time are told in order, and
//! not by their end.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use tokio::{task::block_in_place, time::Instant};
use weft_tests::{
    control_plane::ControlPlane,
    netns::{Agent, DRAIN, Pod, can_make_namespaces},
};
use weft_wire::Configuration;

use super::{
    deaths::members,
    outbound::{application, ask, is_whole, routes, rule},
    pair::Pair,
    world::{World, vip},
};

/// Clients that are connected while the process changes.
const CLIENTS: usize = 20;
/// Longer than clients have who are dismissed.
const A_WHILE: Duration = Duration::from_millis(2500);

/// A client that keeps its connection.
struct Client(TcpStream);

impl Client {
    fn of(pod: &Pod) -> Self {
        let stream = pod.dial(vip(1)).expect("it is carried");
        let mut client = Self(stream);
        let answer = client.ask().expect("it is answered");
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
        client
    }

    /// The head of the answer, in lower case.
    fn ask(&mut self) -> io::Result<String> {
        self.0
            .write_all(b"GET / HTTP/1.1\r\nhost: web\r\nversion: one\r\n\r\n")?;
        let (mut heard, mut room) = (Vec::new(), [0; 4096]);
        while !is_whole(&heard) {
            match self.0.read(&mut room)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => heard.extend(&room[..read]),
            }
        }
        Ok(String::from_utf8_lossy(&heard).to_lowercase())
    }

    /// What there is to read: how its end looks, `WouldBlock` as long as there is nothing.
    fn ended(&mut self, within: Option<Duration>) -> io::Result<usize> {
        self.0.set_nonblocking(within.is_none())?;
        self.0.set_read_timeout(within)?;
        self.0.read(&mut [0; 64])
    }
}

/// How many have ended by now, whatever way.
fn ended(clients: &mut [Client]) -> usize {
    let is_open = |client: &mut Client| {
        let read = client.ended(None);
        client.0.set_nonblocking(false).expect("a setting");
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    clients
        .iter_mut()
        .filter_map(|it| (!is_open(it)).then_some(()))
        .count()
}

/// A node with a client and a Service, which has a route and a member as its endpoint.
struct Here {
    pair: Pair,
    control_plane: ControlPlane,
}

impl Here {
    async fn new() -> Self {
        let pair = Pair::running();
        let control_plane = ControlPlane::start_of_node().await;
        let both = [&pair.web, &pair.cart];
        let world = World::of(&both)
            .service(
                ("web", 1),
                &[pair.cart.at(8081)],
                routes(vec![rule(0, "one", &[("v1", 1)])]),
            )
            .service(("v1", 2), &[pair.cart.at(8081)], None);
        let Configuration {
            workloads,
            namespaces,
            ..
        } = members(&both);
        control_plane.publish_whole(&Configuration {
            workloads,
            namespaces,
            ..world.configuration()
        });
        Self {
            pair,
            control_plane,
        }
    }

    async fn agent(&self, instance: &str) -> Agent {
        let agent = Agent::start_lasting(&self.pair.node, &self.control_plane, instance);
        for name in ["web", "cart"] {
            let captured = format!("weft_pod_captured{{namespace=\"shop\",pod=\"{name}\"}} 1");
            agent.says("/metrics", 200, &captured).await;
        }
        agent
    }

    fn clients(&self) -> Vec<Client> {
        (0..CLIENTS).map(|_| Client::of(&self.pair.web)).collect()
    }
}

/// The goal of an upgrade: no connection is cut before the end of the drain. RFC 9112 section 9.6 for how a
/// client is told.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_outlive_the_process_before_until_its_drain_ends() {
    if !can_make_namespaces() {
        return;
    }
    let here = Here::new().await;
    let _called = application(here.pair.cart.listen(8081), "one");
    let mut old = here.agent("u-1").await;
    let mut asking = block_in_place(|| here.clients());
    let mut waiting = block_in_place(|| here.clients());
    let _new = here.agent("u-2").await;
    old.is_to_end();
    let asked = Instant::now();
    block_in_place(|| {
        let first = waiting[0].ended(Some(A_WHILE));
        let open = first.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(open, "it waits for nobody");
        assert_eq!(ended(&mut asking) + ended(&mut waiting), 0, "cut");
        for client in &mut asking {
            let answer = client.ask().expect("it is answered");
            assert!(answer.starts_with("http/1.1 200"), "{answer}");
            assert!(answer.contains("connection: close"), "{answer}");
            let end = client.ended(Some(A_WHILE)).expect("in order");
            assert_eq!(end, 0, "and it ends then");
        }
        let fresh = ask(&here.pair.web, vip(1), "version: one\r\n").expect("it is answered");
        assert_eq!(
            fresh,
            (200, "one".to_owned()),
            "by the process that follows"
        );
        assert_eq!(ended(&mut waiting), 0, "cut");
        for client in &mut waiting {
            let end = client.ended(Some(DRAIN)).expect("in order");
            assert_eq!(end, 0, "an end and no reset");
        }
    });
    assert!(asked.elapsed() >= DRAIN, "after {:?}", asked.elapsed());
    old.has_ended().await;
}

/// Nobody can connect until it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_up_a_process_that_nobody_follows() {
    if !can_make_namespaces() {
        return;
    }
    let here = Here::new().await;
    let _called = application(here.pair.cart.listen(8081), "one");
    let mut alone = here.agent("u-1").await;
    let mut clients = block_in_place(|| here.clients());
    alone.is_to_end();
    let asked = Instant::now();
    block_in_place(|| {
        for client in &mut clients {
            let end = client.ended(Some(DRAIN)).expect("in order");
            assert_eq!(end, 0, "an end and no reset");
        }
    });
    alone.has_ended().await;
    assert!(asked.elapsed() < DRAIN, "after {:?}", asked.elapsed());
}
