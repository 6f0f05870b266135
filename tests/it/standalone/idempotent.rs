//! Routes whose owner says that requests may be made twice (`weft.dev/idempotent`): what an endpoint
//! has read before it died goes to another one, whatever its method, and within the same limits.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http2 as server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use weft_tests::{
    body::{Body, fed, full},
    client::{ask2, http2, tcp},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::Expected,
    world::World,
};

/// Who has read a request, in order. The first of them dies of it.
#[derive(Clone, Default)]
struct Readers(Arc<Mutex<Vec<&'static str>>>);

impl Readers {
    /// Whether the reader dies.
    fn add(&self, name: &'static str) -> bool {
        let mut readers = self.0.lock().expect("no reader panics");
        readers.push(name);
        readers.len() == 1
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.lock().expect("no reader panics").clone()
    }
}

/// An endpoint that reads whole requests and says who it is, but for `head` and silence when it dies.
async fn endpoint(name: &'static str, readers: &Readers, head: &'static str) -> Scripted {
    let readers = readers.clone();
    Scripted::start(move |mut peer| {
        let readers = readers.clone();
        async move {
            while let Some(asked) = peer.head().await {
                let length = asked
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().expect("a length"));
                peer.read(length).await;
                if readers.add(name) {
                    peer.write(head).await;
                    return;
                }
                let length = name.len();
                peer.write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}"
                ))
                .await;
            }
        }
    })
    .await
}

/// A world with a route of this kind and, perhaps, the annotation.
fn world(kind: &str, annotation: Option<&str>, protocol: &str, endpoints: &[SocketAddr]) -> World {
    let annotations = annotation.map_or_else(String::new, |value| {
        format!(", annotations: {{weft.dev/idempotent: \"{value}\"}}")
    });
    World::new()
        .service_port("shop/web", protocol, endpoints)
        .with(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, \
             metadata: {{name: web, namespace: shop{annotations}}}, \
             spec: {{parentRefs: [{{name: edge, namespace: infra}}], \
             rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}}}"
        ))
}

const KEPT: usize = 64 * 1024;

/// What is said, method, annotation, length of the body; whether the other endpoint answers.
const REQUESTS: &[(&str, &str, Option<&str>, usize, bool)] = &[
    ("nothing", "POST", None, 5, false),
    ("yes", "POST", Some("true"), 5, true),
    ("yes, without a body", "POST", Some("true"), 0, true),
    (
        "yes, with all that is kept",
        "POST",
        Some("true"),
        KEPT,
        true,
    ),
    (
        "yes, and more than that",
        "POST",
        Some("true"),
        KEPT + 1,
        false,
    ),
    ("no", "POST", Some("false"), 5, false),
    ("what means nothing", "POST", Some("True"), 5, false),
    ("nothing, but by the method", "PUT", None, 5, true),
    ("no, but by the method", "PUT", Some("false"), 5, true),
];

#[tokio::test]
async fn a_request_that_was_read_goes_elsewhere_when_its_route_allows_it() {
    for &(said, method, annotation, length, answered) in REQUESTS {
        let readers = Readers::default();
        let one = endpoint("one", &readers, "").await;
        let two = endpoint("two", &readers, "").await;
        let endpoints = [one.address, two.address];
        let weft = Weft::start(&world("HTTPRoute", annotation, "", &endpoints));
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let lines = format!("{method} / HTTP/1.1\nhost: a\ncontent-length: {length}");
        client.send(head(&lines)).await;
        client.send(vec![b'b'; length]).await;
        let answer = client.answer().await;
        let readers = readers.names();
        if answered {
            assert_eq!(readers.len(), 2, "{said}: read twice, {readers:?}");
            assert_ne!(readers[0], readers[1], "{said}: by another endpoint");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, readers[1]),
                "{said}: and answered"
            );
        } else {
            assert_eq!((answer.status, readers.len()), (503, 1), "{said}: lost");
        }
    }
}

#[tokio::test]
async fn an_answer_that_began_is_not_made_again() {
    let readers = Readers::default();
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun";
    let one = endpoint("one", &readers, begun).await;
    let two = endpoint("two", &readers, begun).await;
    let endpoints = [one.address, two.address];
    let weft = Weft::start(&world("HTTPRoute", Some("true"), "", &endpoints));
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ncontent-length: 0"))
        .await;
    assert_eq!(client.answer_head().await.status, 200);
    assert_eq!(client.rest().await, b"begun", "what there is of it");
    assert_eq!(readers.names().len(), 1, "and nobody else is asked");
}

/// A gRPC server that ends with its connection when it dies.
struct GrpcServer {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl GrpcServer {
    async fn start(name: &'static str, readers: &Readers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expected("a socket");
        let address = listener.local_addr().expect("its address");
        let readers = readers.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _peer)) = listener.accept().await {
                connections.spawn(serve(stream, name, readers.clone()));
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

async fn serve(stream: TcpStream, name: &'static str, readers: Readers) {
    let death = Arc::new(Notify::new());
    let dying = Arc::clone(&death);
    let service = service_fn(move |request: Request<Incoming>| {
        let (readers, dying) = (readers.clone(), Arc::clone(&dying));
        async move {
            let body = request.into_body().collect().await;
            body.expected("a whole message");
            if readers.add(name) {
                dying.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(grpc_answer(name).await)
        }
    });
    let connection =
        server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ended = connection => {}
        () = death.notified() => {}
    }
}

async fn grpc_answer(name: &'static str) -> Response<Body> {
    let (feed, body) = fed();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    tokio::spawn(async move { feed.trailers(trailers).await });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("x-name", HeaderValue::from_static(name));
    response
}

#[tokio::test]
async fn a_call_that_was_read_goes_elsewhere_when_its_route_allows_it() {
    for kind in ["GRPCRoute", "HTTPRoute"] {
        for (annotation, status) in [(None, "14"), (Some("true"), "0")] {
            let said = format!("{kind} that says {annotation:?}");
            let readers = Readers::default();
            let one = GrpcServer::start("one", &readers).await;
            let two = GrpcServer::start("two", &readers).await;
            let (protocol, endpoints) =
                ("appProtocol: kubernetes.io/h2c", [one.address, two.address]);
            let weft = Weft::start(&world(kind, annotation, protocol, &endpoints));
            let mut client = http2(tcp(weft.gateway(8080)).await).await;
            let request = Request::builder()
                .method("POST")
                .uri("http://a/s/m")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(full("\0\0\0\0\0"))
                .expect("a request");
            let answer = ask2(&mut client, request).await;
            assert_eq!(answer.grpc_status(), Some(status), "{said}");
            let readers = readers.names();
            assert_eq!(readers.len(), if status == "0" { 2 } else { 1 }, "{said}");
            if let [died, answered] = readers[..] {
                assert_ne!(died, answered, "{said}: by another endpoint");
                assert_eq!(answer.headers["x-name"], answered, "{said}");
            }
        }
    }
}
