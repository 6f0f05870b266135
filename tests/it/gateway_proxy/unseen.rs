//! Requests that an endpoint says it will do nothing about: another one gets them, also those that may
//! be made only once.

use http::Request;
use weft_tests::{
    backend::{Backend, Speaks},
    body::full,
    client::{ask2, http2, tcp},
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    scripted::{Peer, Scripted},
    world::World,
};

use super::{ROUTE, on};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const NONE: [u8; 4] = [0; 4];

/// A frame without flags.
fn frame(kind: u8, stream: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    [&[0, 0, length, kind, 0], &stream[..], payload].concat()
}

/// Reads requests of HTTP/2 and says about each what `verdict` makes of its stream.
async fn refuse(mut peer: Peer, verdict: Verdict) {
    const PREFACE: usize = 24;
    peer.read(PREFACE).await;
    peer.write(frame(SETTINGS, NONE, &[])).await;
    loop {
        let head = peer.read(9).await;
        let &[a, b, c, kind, _, s, t, u, v] = head.as_slice() else {
            return;
        };
        let length = u32::from_be_bytes([0, a, b, c]);
        peer.read(length as usize).await;
        if kind == HEADERS {
            peer.write(verdict([s, t, u, v])).await;
        }
    }
}

/// What is said about a stream.
type Verdict = fn([u8; 4]) -> Vec<u8>;

#[tokio::test]
async fn what_an_endpoint_refuses_goes_to_another() {
    let verdicts: [(&str, Verdict); 2] = [
        ("REFUSED_STREAM", |stream| {
            frame(RST_STREAM, stream, &REFUSED_STREAM)
        }),
        // No stream at all was looked at, and nothing is wrong.
        ("GOAWAY", |_stream| {
            frame(GOAWAY, NONE, &[NONE, NONE].concat())
        }),
    ];
    for (name, verdict) in verdicts {
        let refusing = Scripted::start(move |peer| refuse(peer, verdict)).await;
        let good = Backend::echo("good", Speaks::H2c).await;
        let control_plane = ControlPlane::start().await;
        let _proxy = Proxy::start(&control_plane);
        let port = free_port();
        let listener = format!("{{name: http, port: {port}, protocol: HTTP}}");
        let endpoints = [refusing.address, good.address];
        let world = World::bare()
            .gateway("infra/edge", &listener)
            .service_port("shop/web", "appProtocol: kubernetes.io/h2c", &endpoints)
            .route("shop/web", ROUTE);
        control_plane.publish_and_wait(&world).await;
        let mut client = http2(tcp(on(port)).await).await;
        for number in 0..40 {
            let request = Request::builder()
                .method("POST")
                .uri("http://shop.example/");
            let request = request.body(full("order")).expect("a request");
            let answer = ask2(&mut client, request).await;
            let text = answer.text();
            assert_eq!(answer.status, 200, "{name}: request {number}: {text}");
            assert!(text.ends_with("order"), "{name}: with its body: {text}");
        }
        assert!(refusing.connections() > 0, "{name}: it was asked");
        assert_eq!(good.requests(), 40, "{name}: each was made once");
    }
}
