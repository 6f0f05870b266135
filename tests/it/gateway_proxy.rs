//! `weft-proxy gateway` as a process: parent and worker, a control plane over real TLS, real clients.

mod absence;
mod authorities;
mod confined;
mod ending;
mod killed;
mod members;
mod memory;
mod rolling;
mod serving;
mod unseen;

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};
use weft_tests::{backend::Backend, world::World};

/// A Gateway on that port with one route, to one back-end.
fn world(port: u16, backend: &Backend) -> World {
    let listener = format!("{{name: http, port: {port}, protocol: HTTP}}");
    World::bare()
        .gateway("infra/edge", &listener)
        .service("shop/web", &[backend.address])
        .route("shop/web", ROUTE)
}

const ROUTE: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";

fn on(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What became of a request on a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// An answer with this status and body.
    Answered(u16, String),
    /// Nobody listened.
    Refused,
    /// The connection ended without an answer.
    Lost,
}

async fn ask(address: SocketAddr) -> Fate {
    ask_for("shop.example", address).await
}

async fn ask_for(host: &str, address: SocketAddr) -> Fate {
    let get = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let Ok(mut tcp) = TcpStream::connect(address).await else {
        return Fate::Refused;
    };
    let mut answer = Vec::new();
    if tcp.write_all(get.as_bytes()).await.is_err() || tcp.read_to_end(&mut answer).await.is_err() {
        return Fate::Lost;
    }
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Fate::Lost;
    };
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    status.map_or(Fate::Lost, |status| Fate::Answered(status, body.to_owned()))
}

fn said(name: &str) -> Fate {
    Fate::Answered(200, name.to_owned())
}

/// Clients that ask over and over, each request on a connection of its own.
struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<Vec<Fate>>,
    answered: watch::Sender<u64>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (answered, _) = watch::channel(0);
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (stopped, answered) = (stopped.clone(), answered.clone());
            running.spawn(async move {
                let mut fates = Vec::new();
                while !*stopped.borrow() {
                    let fate = ask(address).await;
                    if matches!(fate, Fate::Answered(200, _)) {
                        answered.send_modify(|count| *count += 1);
                    }
                    fates.push(fate);
                }
                fates
            });
        }
        Self {
            stop,
            clients: running,
            answered,
        }
    }

    /// Waits for that many more good answers.
    async fn more(&self, count: u64) {
        let mut answered = self.answered.subscribe();
        let goal = *answered.borrow_and_update() + count;
        let reached = answered.wait_for(|now| *now >= goal);
        let reached = weft_tests::wait::soon("requests are answered", reached).await;
        assert!(reached.is_ok(), "the clients run");
    }

    /// Ends the clients; what became of their requests.
    async fn stop(self) -> Vec<Fate> {
        self.stop.send_replace(true);
        self.clients.join_all().await.concat()
    }
}

/// How many fates are other than a good answer, by class.
fn failures(fates: &[Fate]) -> std::collections::BTreeMap<&Fate, usize> {
    let mut classes = std::collections::BTreeMap::new();
    for fate in fates
        .iter()
        .filter(|it| !matches!(it, Fate::Answered(200, _)))
    {
        *classes.entry(fate).or_default() += 1;
    }
    classes
}
