//! gRPC servers that die in the middle of an answer: what the client sees, and who answers instead.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tokio::{sync::Notify, time::Instant};
use weft_forward::limits::CALL_HELD;
use weft_tests::{
    body::{Body, fed, full},
    client::{http2, tcp},
    gateway::Weft,
    rawcalls::{Call, CallServer},
    scripted::Scripted,
    wait::{Expected, soon},
    world::World,
};

const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";
const ROUTE: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";

/// Where in the answer a server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    BeforeHead,
    AfterHead,
    InMessage,
    /// When the client has the message, or when it is held back.
    AfterMessage,
    AfterEnd,
}

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// An answer of Weft's own.
    Unavailable,
    /// The beginning of an answer, of so many bytes, and UNAVAILABLE in trailers.
    Cut(usize),
    /// An answer of the server that was asked first.
    Answer,
    /// An answer of the other server.
    AnotherAnswer,
}

use Dies::{AfterEnd, AfterHead, AfterMessage, BeforeHead, InMessage};
use Gets::{AnotherAnswer, Answer, Cut, Unavailable};

/// Who may be asked twice, and what the worker knows of the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Once,
    Twice,
    /// And the method was seen to answer with one message.
    TwiceAndUnary,
}

const DEATHS: &[(Dies, Route, Gets)] = &[
    (BeforeHead, Route::Once, Unavailable),
    (BeforeHead, Route::Twice, AnotherAnswer),
    (BeforeHead, Route::TwiceAndUnary, AnotherAnswer),
    (AfterHead, Route::Once, Cut(0)),
    (AfterHead, Route::Twice, AnotherAnswer),
    (AfterHead, Route::TwiceAndUnary, AnotherAnswer),
    (InMessage, Route::Once, Cut(6)),
    (InMessage, Route::Twice, AnotherAnswer),
    (InMessage, Route::TwiceAndUnary, AnotherAnswer),
    (AfterMessage, Route::Once, Cut(7)),
    (AfterMessage, Route::Twice, Cut(7)),
    (AfterMessage, Route::TwiceAndUnary, AnotherAnswer),
    (AfterEnd, Route::Once, Answer),
    (AfterEnd, Route::Twice, Answer),
    (AfterEnd, Route::TwiceAndUnary, Answer),
];

/// What servers and client of one call share.
struct Plan {
    dies: Dies,
    /// The call that the server dies of, counted from 0.
    at: usize,
    /// Death waits for this after the message.
    seen: Option<Notify>,
    asked: Mutex<Vec<&'static str>>,
}

impl Plan {
    /// The number of this call.
    fn asks(&self, name: &'static str) -> usize {
        let mut asked = self.asked.lock().expect("no server panics");
        asked.push(name);
        asked.len() - 1
    }
}

async fn server(name: &'static str, plan: &Arc<Plan>) -> Scripted {
    let plan = Arc::clone(plan);
    Scripted::start(move |peer| {
        let plan = Arc::clone(&plan);
        async move {
            let Some(mut server) = CallServer::begin(peer).await else {
                return;
            };
            while let Some(call) = server.asked().await {
                if plan.asks(name) == plan.at {
                    return die(server, call, name, &plan).await;
                }
                server.head(call, name).await;
                server.data(call, MESSAGE).await;
                server.end(call).await;
            }
        }
    })
    .await
}

/// Answers up to the point of death.
async fn die(mut server: CallServer, call: Call, name: &str, plan: &Plan) {
    if plan.dies == BeforeHead {
        return;
    }
    server.head(call, name).await;
    match plan.dies {
        BeforeHead | AfterHead => {}
        InMessage => server.data(call, &MESSAGE[..6]).await,
        AfterMessage => {
            server.data(call, MESSAGE).await;
            if let Some(seen) = &plan.seen {
                seen.notified().await;
            }
        }
        AfterEnd => {
            server.data(call, MESSAGE).await;
            server.end(call).await;
        }
    }
}

fn world(kind: &str, twice: bool, servers: &[&Scripted]) -> World {
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let annotation = if twice {
        ", annotations: {weft.dev/idempotent: \"true\"}"
    } else {
        ""
    };
    World::new()
        .service_port("shop/web", "appProtocol: kubernetes.io/h2c", &addresses)
        .with(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, \
             metadata: {{name: web, namespace: shop{annotation}}}, \
             spec: {{parentRefs: [{{name: edge, namespace: infra}}], {ROUTE}}}}}"
        ))
}

async fn call(client: &mut SendRequest<Body>, body: Body) -> Response<Incoming> {
    let request = Request::post("http://a/s/m")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    soon("a ready connection", client.ready())
        .await
        .expected("a connection");
    soon("a head", client.send_request(request))
        .await
        .expected("a head")
}

/// Calls, and says which server's name stood in the head, how long the content was and the status.
async fn outcome(
    client: &mut SendRequest<Body>,
    seen: Option<&Notify>,
) -> (Option<String>, usize, String) {
    let (head, mut body) = call(client, full(MESSAGE)).await.into_parts();
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    let mut status = head.headers.get("grpc-status").map(text);
    let mut length = 0;
    while let Some(frame) = soon("a frame", body.frame()).await {
        let frame = frame.expected("a stream that is not reset");
        length += frame.data_ref().map_or(0, bytes::Bytes::len);
        if let (true, Some(seen)) = (frame.is_data(), seen) {
            seen.notify_one();
        }
        if let Some(trailers) = frame.trailers_ref() {
            status = trailers.get("grpc-status").map(text);
        }
    }
    let name = head.headers.get("x-name").map(text);
    (name, length, status.expect("a status, wherever it stands"))
}

async fn check(kind: &str, dies: Dies, route: Route, gets: Gets) {
    let said = format!("{kind}: dies {dies:?}, to be asked {route:?}");
    let at = usize::from(route == Route::TwiceAndUnary);
    let plan = Arc::new(Plan {
        dies,
        at,
        seen: (at == 0).then(Notify::new),
        asked: Mutex::default(),
    });
    let servers = [server("one", &plan).await, server("two", &plan).await];
    let world = world(kind, route != Route::Once, &servers.each_ref());
    let weft = Weft::start_with(&world, 1);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    for _before in 0..at {
        let (_name, _length, status) = outcome(&mut client, None).await;
        assert_eq!(status, "0", "{said}: the call before");
    }
    let (name, length, status) = outcome(&mut client, plan.seen.as_ref()).await;
    let asked = plan.asked.lock().expect("no server panics").split_off(at);
    let one = |index: usize| asked.get(index).map(ToString::to_string);
    let expected = match gets {
        Unavailable => (None, 0, "14"),
        Cut(length) => (one(0), length, "14"),
        Answer => (one(0), MESSAGE.len(), "0"),
        AnotherAnswer => (one(1), MESSAGE.len(), "0"),
    };
    assert_eq!((name, length, status.as_str()), expected, "{said}");
    let attempts = if gets == AnotherAnswer { 2 } else { 1 };
    assert_eq!(asked.len(), attempts, "{said}: asked {asked:?}");
    if let [died, answered] = asked[..] {
        assert_ne!(died, answered, "{said}: another server");
    }
    let count = |labels: &[&str]| weft.metric("weft_requests_total", labels);
    let failed = f64::from(u8::from(matches!(gets, Unavailable | Cut(_))));
    let counted = count(&["grpc", "class=\"error\"", "\"14\""]);
    assert!(counted == failed, "{said}: {counted} counted as failed");
    let successes = f64::from(u8::try_from(at).expect("a few")) + 1.0 - failed;
    let counted = count(&["grpc", "class=\"success\""]);
    assert!(
        counted == successes,
        "{said}: {counted} counted as answered"
    );
}

#[tokio::test]
async fn a_call_whose_server_dies_is_answered_elsewhere_or_has_a_status() {
    for kind in ["GRPCRoute", "HTTPRoute"] {
        for &(dies, route, gets) in DEATHS {
            check(kind, dies, route, gets).await;
        }
    }
}

/// The time to the first of something in the fastest of ten calls; a machine may be slow at times.
async fn fastest<F: Future<Output = Duration>>(mut measured: impl FnMut() -> F) -> Duration {
    let mut fastest = Duration::MAX;
    for _call in 0..10 {
        fastest = fastest.min(measured().await);
    }
    fastest
}

type Begins<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A server of streams: they begin with a head or a message, and go on when the client has it.
async fn streaming(
    begins: fn(&mut CallServer, Call) -> Begins<'_>,
    goes_on: Arc<Notify>,
) -> Scripted {
    Scripted::start(move |peer| {
        let goes_on = Arc::clone(&goes_on);
        async move {
            let Some(mut server) = CallServer::begin(peer).await else {
                return;
            };
            while let Some(call) = server.called().await {
                begins(&mut server, call).await;
                goes_on.notified().await;
                server.data(call, MESSAGE).await;
                server.end(call).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_may_begin_with_one_message_on_a_route_that_may_be_asked_twice() {
    fn begins(server: &mut CallServer, call: Call) -> Begins<'_> {
        Box::pin(async move {
            server.asked().await;
            server.head(call, "one").await;
            server.data(call, MESSAGE).await;
        })
    }
    let goes_on = Arc::new(Notify::new());
    let server = streaming(begins, Arc::clone(&goes_on)).await;
    let weft = Weft::start_with(&world("GRPCRoute", true, &[&server]), 1);
    let client = http2(tcp(weft.gateway(8080)).await).await;
    let taken = fastest(|| {
        let (mut client, goes_on) = (client.clone(), Arc::clone(&goes_on));
        async move {
            let started = Instant::now();
            let mut answer = call(&mut client, full(MESSAGE)).await.into_body();
            let first = soon("the first message", answer.frame()).await;
            first.expect("a frame").expected("a frame");
            let taken = started.elapsed();
            goes_on.notify_one();
            let rest = soon("the rest", answer.collect()).await.expected("an end");
            assert_eq!(rest.to_bytes(), MESSAGE, "the second message");
            taken
        }
    });
    assert!(taken.await < CALL_HELD, "the first message is not held");
}

#[tokio::test]
async fn a_client_that_has_more_to_say_gets_the_head_at_once() {
    fn begins(server: &mut CallServer, call: Call) -> Begins<'_> {
        Box::pin(async move {
            server.head(call, "one").await;
            server.asked().await;
        })
    }
    let goes_on = Arc::new(Notify::new());
    let server = streaming(begins, Arc::clone(&goes_on)).await;
    let weft = Weft::start_with(&world("GRPCRoute", true, &[&server]), 1);
    let client = http2(tcp(weft.gateway(8080)).await).await;
    let taken = fastest(|| {
        let (mut client, goes_on) = (client.clone(), Arc::clone(&goes_on));
        async move {
            let started = Instant::now();
            let (feed, body) = fed();
            let answer = call(&mut client, body).await;
            let taken = started.elapsed();
            feed.data(MESSAGE).await;
            drop(feed);
            goes_on.notify_one();
            let rest = soon("the rest", answer.into_body().collect()).await;
            assert_eq!(rest.expected("an end").to_bytes(), MESSAGE);
            taken
        }
    });
    assert!(taken.await < CALL_HELD, "the head is not held");
}

#[tokio::test]
async fn what_is_not_the_answer_of_a_call_is_still_reset() {
    let seen = Arc::new(Notify::new());
    let dies = Arc::clone(&seen);
    let server = Scripted::start(move |peer| {
        let dies = Arc::clone(&dies);
        async move {
            if let Some(mut server) = CallServer::begin(peer).await
                && let Some(call) = server.asked().await
            {
                server.head(call, "one").await;
                server.data(call, MESSAGE).await;
                dies.notified().await;
            }
        }
    })
    .await;
    let weft = Weft::start(&world("HTTPRoute", true, &[&server]));
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let request = Request::post("http://a/s/m").body(full("x"));
    let answer = client.send_request(request.expect("a request"));
    let mut answer = soon("a head", answer).await.expected("a head").into_body();
    let first = soon("the message", answer.frame()).await;
    first.expect("a frame").expected("a message");
    seen.notify_one();
    let broken = soon("the break", answer.collect()).await;
    assert!(broken.is_err(), "no end is made up");
}
