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
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{sync::watch, task::JoinSet};
use weft_tests::{
    binary,
    body::{Body, empty, full},
    client::{http1, http2, tcp},
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
            let request = self.request();
            let answer = match self {
                Self::GetHttp2 | Self::GrpcUnary => {
                    soon("an answer", new.send_request(request)).await
                }
                Self::Get | Self::Put | Self::Post => {
                    soon("an answer", old.send_request(request)).await
                }
                Self::GetEachOnItsOwn => {
                    let mut own = http1(tcp(address).await).await;
                    soon("an answer", own.send_request(request)).await
                }
            };
            let fate = match answer {
                Ok(answer) => self.fate(answer).await,
                Err(error) => format!("no answer: {error}"),
            };
            if old.ready().await.is_err() {
                old = http1(tcp(address).await).await;
            }
            good.send_modify(|count| *count += u64::from(fate == GOOD));
            *fates.entry(fate).or_default() += 1;
        }
        fates
    }

    async fn fate(self, answer: Response<Incoming>) -> String {
        let (head, body) = answer.into_parts();
        let Ok(body) = soon("the whole answer", body.collect()).await else {
            return "cut".to_owned();
        };
        let code = body.trailers().unwrap_or(&head.headers).get("grpc-status");
        let is_ok = code.is_some_and(|code| code == "0") || self != Self::GrpcUnary;
        if head.status == StatusCode::OK && is_ok {
            return GOOD.to_owned();
        }
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        format!("{} {text}", head.status)
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
    for (kind, fates) in &all {
        let lost: usize = fates
            .iter()
            .filter(|(fate, _)| *fate != GOOD)
            .map(|(_, count)| count)
            .sum();
        // What a back-end has read may have been done: that is for the client to decide. No more can
        // be in its hands than its clients have given it.
        let in_flight = CLIENTS * KILLS;
        let allowed = if kind.is_idempotent() { 0 } else { in_flight };
        assert!(lost <= allowed, "{kind:?}: {fates:?} of {all:?}");
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
