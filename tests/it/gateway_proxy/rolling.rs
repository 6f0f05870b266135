//! Back-ends that end at once while they are replaced, one after the other, under load.
//!
//! They are processes that are killed, so that the system closes their sockets as it does for a
//! container: the listening one at once, connections with a reset if something was left to read. The
//! control plane hears of it later.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use tokio::{sync::watch, task::JoinSet};
use weft_tests::{
    binary,
    body::{Body, empty, full},
    client::{Whole, ask1, ask2, http1, http2, tcp},
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

use super::on;

/// Back-ends that serve at a time.
const REPLICAS: usize = 3;
/// Back-ends that are killed.
const KILLS: usize = 9;
/// From the end of a back-end to the news of it.
const NEWS: Duration = Duration::from_millis(100);
/// Requests of each kind between two kills.
const REQUESTS: u64 = 50;
/// Clients of each kind.
const CLIENTS: usize = 3;

/// A process that answers, and is killed when it is dropped.
struct Replica {
    process: Child,
    address: SocketAddr,
}

impl Replica {
    async fn start() -> Self {
        let port = free_port();
        let process = Command::new(binary::directory().join("weft"))
            .args(["echo", &format!("replica={port}")])
            .stdout(Stdio::null())
            .spawn()
            .expected("`weft echo` starts");
        let listens = || std::net::TcpStream::connect(on(port)).is_ok();
        eventually(PATIENCE, "the back-end listens", listens).await;
        let address = on(port);
        Self { process, address }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It ends in no other way.
        let _killed = self.process.kill();
        let _status = self.process.wait();
    }
}

fn world(port: u16, replicas: &[Replica]) -> World {
    let addresses: Vec<_> = replicas.iter().map(|it| it.address).collect();
    World::bare()
        .gateway(
            "infra/edge",
            &format!("{{name: http, port: {port}, protocol: HTTP}}"),
        )
        .service("shop/web", &addresses)
        .route("shop/web", super::ROUTE)
}

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Get,
    GetEachOnItsOwn,
    GetHttp2,
    /// Idempotent, with a body.
    Put,
    /// May be made once only.
    Post,
    /// Likewise, over HTTP/2 to the back-end.
    GrpcUnary,
}

const KINDS: [Kind; 6] = [
    Kind::Get,
    Kind::GetEachOnItsOwn,
    Kind::GetHttp2,
    Kind::Put,
    Kind::Post,
    Kind::GrpcUnary,
];

impl Kind {
    /// Whether a request that a back-end had in its hands may be made again.
    fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::GrpcUnary)
    }

    fn request(self) -> Request<Body> {
        let (method, path, body) = match self {
            Self::Get | Self::GetEachOnItsOwn | Self::GetHttp2 => (Method::GET, "/", empty()),
            Self::Put => (Method::PUT, "/", full("content")),
            Self::Post => (Method::POST, "/", full("content")),
            // An empty message: no flag, no length.
            Self::GrpcUnary => (
                Method::POST,
                "/weft.echo.v1.Echo/Say",
                full(Bytes::from_static(&[0; 5])),
            ),
        };
        let request = Request::builder().method(method);
        let request = match self {
            Self::GetHttp2 => request.uri(format!("http://shop.example{path}")),
            Self::GrpcUnary => request
                .uri(format!("http://shop.example{path}"))
                .header(CONTENT_TYPE, "application/grpc")
                .header("te", "trailers"),
            _ => request.uri(path).header("host", "shop.example"),
        };
        request.body(body).expect("a request")
    }

    /// Asks until it is told to stop; counts what came of it.
    async fn ask(
        self,
        address: SocketAddr,
        stop: watch::Receiver<bool>,
        good: watch::Sender<u64>,
    ) -> Fates {
        let mut fates = Fates::new();
        let mut old = http1(tcp(address).await).await;
        let mut new = http2(tcp(address).await).await;
        while !*stop.borrow() {
            let answer = match self {
                Self::GetHttp2 | Self::GrpcUnary => ask2(&mut new, self.request()).await,
                Self::Get | Self::Put | Self::Post => ask1(&mut old, self.request()).await,
                Self::GetEachOnItsOwn => {
                    let mut own = http1(tcp(address).await).await;
                    ask1(&mut own, self.request()).await
                }
            };
            let fate = self.fate(&answer);
            good.send_modify(|count| *count += u64::from(fate == GOOD));
            *fates.entry(fate).or_default() += 1;
        }
        fates
    }

    fn fate(self, answer: &Whole) -> String {
        let status = answer.status.as_u16();
        match answer.grpc_status() {
            _ if status != 200 => format!("{status} {}", answer.text()),
            None if self == Self::GrpcUnary => "no grpc-status".to_owned(),
            Some(code) if code != "0" => format!("grpc-status {code}"),
            _ => GOOD.to_owned(),
        }
    }
}

const GOOD: &str = "good";

/// How many requests ended in each way.
type Fates = BTreeMap<String, usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_ends_that_end_at_once_cost_no_request() {
    let control_plane = ControlPlane::start().await;
    let _proxy = Proxy::start(&control_plane);
    let port = free_port();
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Replica::start().await);
    }
    control_plane
        .publish_and_wait(&world(port, &replicas))
        .await;

    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    let mut good = Vec::new();
    for kind in KINDS {
        let (count, counted) = watch::channel(0);
        good.push(counted);
        for _ in 0..CLIENTS {
            let (stopped, count) = (stopped.clone(), count.clone());
            clients.spawn(async move { (kind, kind.ask(on(port), stopped, count).await) });
        }
    }
    for _ in 0..KILLS {
        more(&mut good).await;
        replicas.push(Replica::start().await);
        control_plane
            .publish_and_wait(&world(port, &replicas))
            .await;
        more(&mut good).await;
        drop(replicas.remove(0));
        tokio::time::sleep(NEWS).await;
        control_plane
            .publish_and_wait(&world(port, &replicas))
            .await;
    }
    more(&mut good).await;
    stop.send_replace(true);

    let mut all: BTreeMap<Kind, Fates> = BTreeMap::new();
    for (kind, fates) in soon("the clients stop", clients.join_all()).await {
        let sum = all.entry(kind).or_default();
        for (fate, count) in fates {
            *sum.entry(fate).or_default() += count;
        }
    }
    eprintln!("{KILLS} back-ends killed: {all:?}");
    for (kind, fates) in &all {
        let lost: usize = fates
            .iter()
            .filter(|(fate, _)| *fate != GOOD)
            .map(|(_, count)| count)
            .sum();
        // What a back-end has read may have been done: that is for the client to decide.
        let allowed = if kind.is_idempotent() { 0 } else { KILLS };
        assert!(lost <= allowed, "{kind:?}: {fates:?}");
    }
}

/// Waits until every kind of request was answered so many times more.
async fn more(good: &mut [watch::Receiver<u64>]) {
    for counted in good {
        let goal = *counted.borrow_and_update() + REQUESTS;
        let reached = counted.wait_for(|count| *count >= goal);
        let reached = soon("requests are answered", reached).await;
        assert!(reached.is_ok(), "the clients run");
    }
}
