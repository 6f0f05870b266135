//! Pods of the suite: each serves the same ports, and writes down what arrives.
//!
//! | port | what it does |
//! |---|---|
//! | 8080, 8090, 7070 | HTTP/1.1, or HTTP/2 to those who begin with its preface; gRPC inside it |
//! | 9090 | sends the first bytes back |
//! | 6666 | answers every request with bytes that are no HTTP |
//! | 1 | nobody listens |
//!
//! A request may ask for something else than 200, by the field `x-do`: a status code; `close`, to
//! be cut off without an answer; `never`, to get none.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    Family, Mesh,
    manifests::{Manifests, full_name},
};
use crate::{
    body::{Body, full, with_trailers},
    wait::Expected,
};

/// Ports that speak HTTP.
const HTTP: [u16; 3] = [8080, 8090, 7070];
const OPAQUE: u16 = 9090;
const BROKEN: u16 = 6666;
const CLOSED: u16 = 1;

/// What arrived at a pod.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Name of the pod without its namespace.
    pub pod: String,
    /// Method of the request; `TCP` for bytes.
    pub method: String,
    /// Path and query as they arrived; for bytes, their text.
    pub target: String,
    /// Host or authority, once.
    pub host: String,
    /// Fields of the request.
    pub headers: HeaderMap,
}

type Log = Arc<Mutex<Vec<Arrival>>>;

/// The pods of a world. Dropping them closes their sockets.
#[derive(Debug, Default)]
pub struct Pods {
    sockets: BTreeMap<(String, Family, u16), SocketAddr>,
    log: Log,
    serving: JoinSet<()>,
}

impl Pods {
    /// Starts the pods of `manifests` that do not run yet.
    ///
    /// # Panics
    /// When a socket says no address.
    pub async fn start(&mut self, manifests: &Manifests, mesh: &impl Mesh) {
        for pod in manifests.of_kind("Pod") {
            let name = full_name(pod);
            if self.families(&name).next().is_some() {
                continue;
            }
            let written = pod["metadata"]["annotations"]["families"]
                .as_str()
                .unwrap_or("IPv4");
            for family in [Family::IPv4, Family::IPv6] {
                if written.contains(&format!("{family:?}")) {
                    self.start_one(&name, family, mesh).await;
                }
            }
        }
    }

    async fn start_one(&mut self, name: &str, family: Family, mesh: &impl Mesh) {
        let short = name.rsplit('/').next().unwrap_or_default().to_owned();
        for port in HTTP.into_iter().chain([OPAQUE, BROKEN]) {
            let listener = mesh.listen(name, family).await;
            let address = listener.local_addr().expected("the address of a pod");
            self.sockets
                .insert((name.to_owned(), family, port), address);
            let (short, log) = (short.clone(), Arc::clone(&self.log));
            self.serving.spawn(serve(listener, port, short, log));
        }
        let closed = mesh.nobody(name, family);
        self.sockets
            .insert((name.to_owned(), family, CLOSED), closed);
    }

    /// Families in which a pod has an address.
    pub fn families(&self, pod: &str) -> impl Iterator<Item = Family> + use<> {
        let of_pod = self.sockets.keys().filter(|(name, ..)| name == pod);
        let families: BTreeSet<Family> = of_pod.map(|(_, family, _)| *family).collect();
        families.into_iter()
    }

    /// Where a pod serves a port.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn address(&self, pod: &str, family: Family, port: u16) -> SocketAddr {
        let found = self.sockets.get(&(pod.to_owned(), family, port));
        *found.unwrap_or_else(|| panic!("{pod} has no port {port} in {family:?}"))
    }

    /// The address of a pod.
    ///
    /// # Panics
    /// When it has none in that family.
    #[must_use]
    pub fn ip(&self, pod: &str, family: Family) -> IpAddr {
        self.address(pod, family, HTTP[0]).ip()
    }

    /// What arrived since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something arrived at each of these pods since [`Pods::take`].
    #[must_use]
    pub fn has_reached(&self, pods: &[String]) -> bool {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        pods.iter().all(|pod| log.iter().any(|it| it.pod == *pod))
    }
}

fn note(log: &Log, arrival: Arrival) {
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(arrival);
}

async fn serve(listener: TcpListener, port: u16, pod: String, log: Log) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _peer) = listener.accept().await.expected("accept");
        stream.set_nodelay(true).expected("a socket that is open");
        let (pod, log) = (pod.clone(), Arc::clone(&log));
        connections.spawn(async move {
            // However a connection ends, the client of the row sees it.
            let _ended = match port {
                OPAQUE => send_back(stream, pod, &log).await,
                BROKEN => answer_nonsense(stream).await,
                _ => speak_http(stream, pod, log).await,
            };
        });
    }
}

async fn send_back(mut stream: TcpStream, pod: String, log: &Log) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await?;
    if read == 0 {
        return Ok(());
    }
    let arrival = Arrival {
        pod,
        method: "TCP".to_owned(),
        target: String::from_utf8_lossy(&buffer[..read]).into_owned(),
        host: String::new(),
        headers: HeaderMap::new(),
    };
    note(log, arrival);
    stream.write_all(&buffer[..read]).await?;
    stream.shutdown().await
}

async fn answer_nonsense(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let _request = stream.read(&mut buffer).await?;
    stream.write_all(b"no HTTP at all\r\n\r\n").await?;
    stream.shutdown().await?;
    // What is left unread would turn the end into a reset, which is another failure.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

/// Asked to close the connection; hyper does when a service fails.
#[derive(Debug)]
struct Close;

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request asked to be cut off")
    }
}

impl std::error::Error for Close {}

async fn speak_http(stream: TcpStream, pod: String, log: Log) -> io::Result<()> {
    let mut first = [0; 3];
    while stream.peek(&mut first).await? < first.len() {
        tokio::task::yield_now().await;
    }
    let service = service_fn(move |request| answer(pod.clone(), Arc::clone(&log), request));
    let io = TokioIo::new(stream);
    let ended = if &first == b"PRI" {
        let builder = http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
    ended.map_err(io::Error::other)
}

async fn answer(
    pod: String,
    log: Log,
    request: Request<Incoming>,
) -> Result<Response<Body>, Close> {
    let (parts, body) = request.into_parts();
    let _content = body.collect().await;
    let of_fields = parts.headers.get(header::HOST);
    let of_fields = of_fields.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let arrival = Arrival {
        pod: pod.clone(),
        method: parts.method.to_string(),
        target: target.to_owned(),
        host: of_fields
            .or_else(|| parts.uri.authority().map(ToString::to_string))
            .unwrap_or_default(),
        headers: parts.headers.clone(),
    };
    note(&log, arrival);
    let asked = parts
        .headers
        .get("x-do")
        .and_then(|asked| asked.to_str().ok());
    let status = match asked {
        Some("close") => return Err(Close),
        Some("never") => std::future::pending().await,
        Some(code) => code.parse().expected("a status that a row asks for"),
        None => StatusCode::OK,
    };
    let is_grpc = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it == "application/grpc");
    let mut response = match is_grpc {
        true => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Response::new(with_trailers(pod, trailers))
        }
        false => Response::new(full(pod)),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("x-pod", HeaderValue::from_static("says this"));
    if is_grpc {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
    }
    Ok(response)
}
