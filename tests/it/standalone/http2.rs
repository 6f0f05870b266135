//! HTTP/2 heads that no library would send: the same rules as for HTTP/1, and those of RFC 9113.

use weft_tests::{
    rawclient::RawClient,
    rawh2::{Fate, fate_of},
};

use super::validation::{ANY, gateway};

/// A field of an HTTP/2 header list.
type Field<'a> = (&'a str, &'a [u8]);

/// Sends HTTP/2 header lists on connections of their own.
async fn check_h2(rows: &[(&str, &[Field<'_>], Fate)]) {
    let (weft, backend) = gateway(ANY).await;
    for (name, fields, expected) in rows {
        let before = backend.requests();
        let client = RawClient::connect(weft.gateway(8080)).await;
        assert_eq!(fate_of(client, fields).await, *expected, "{name}");
        let reached = backend.requests() - before;
        let expected = usize::from(*expected == Fate::Status(200));
        assert_eq!(reached, expected, "{name}: requests at the back-end");
    }
}

const GET: Field<'_> = (":method", b"GET");
const HTTP: Field<'_> = (":scheme", b"http");
const ROOT: Field<'_> = (":path", b"/");
const A: Field<'_> = (":authority", b"a");
const CONNECT: Field<'_> = (":method", b"CONNECT");
const WEBSOCKET: Field<'_> = (":protocol", b"websocket");

const HTTP2: &[(&str, &[Field<'_>], Fate)] = &[
    ("a plain request", &[GET, HTTP, ROOT, A], Fate::Status(200)),
    (
        "host instead of authority",
        &[GET, HTTP, ROOT, ("host", b"a")],
        Fate::Status(200),
    ),
    (
        "host equal to authority",
        &[GET, HTTP, ROOT, A, ("host", b"a")],
        Fate::Status(200),
    ),
    (
        "host unlike authority",
        &[GET, HTTP, ROOT, A, ("host", b"b")],
        Fate::Status(400),
    ),
    (
        "two hosts",
        &[GET, HTTP, ROOT, ("host", b"a"), ("host", b"a")],
        Fate::Status(400),
    ),
    ("neither", &[GET, HTTP, ROOT], Fate::Status(400)),
    (
        "userinfo",
        &[GET, HTTP, ROOT, (":authority", b"u@a")],
        Fate::Status(400),
    ),
    (
        "a space before a value",
        &[GET, HTTP, ROOT, A, ("x", b" 1")],
        Fate::Status(400),
    ),
    (
        "a space behind a value",
        &[GET, HTTP, ROOT, A, ("x", b"1 ")],
        Fate::Status(400),
    ),
    (
        "a tab behind a value",
        &[GET, HTTP, ROOT, A, ("x", b"1\t")],
        Fate::Status(400),
    ),
    (
        "bytes above ASCII",
        &[GET, HTTP, ROOT, A, ("x", b"\xfc")],
        Fate::Status(200),
    ),
    (
        "a backslash",
        &[GET, HTTP, (":path", b"/a\\b"), A],
        Fate::Status(400),
    ),
    (
        "a broken escape",
        &[GET, HTTP, (":path", b"/%zz"), A],
        Fate::Status(400),
    ),
    (
        "CONNECT",
        &[(":method", b"CONNECT"), (":authority", b"a:443")],
        Fate::Status(405),
    ),
    (
        "CONNECT that says gRPC",
        &[CONNECT, A, ("content-type", b"application/grpc")],
        Fate::Status(405),
    ),
    (
        "a protocol outside of CONNECT",
        &[GET, WEBSOCKET, HTTP, ROOT, A],
        Fate::Reset,
    ),
    (
        "an extended CONNECT without a path",
        &[CONNECT, WEBSOCKET, HTTP, A],
        Fate::Reset,
    ),
    (
        "an extended CONNECT to another host",
        &[CONNECT, WEBSOCKET, HTTP, ROOT, A, ("host", b"b")],
        Fate::Status(400),
    ),
    (
        "an extended CONNECT to the whole server",
        &[CONNECT, WEBSOCKET, HTTP, (":path", b"*"), A],
        Fate::Status(400),
    ),
    (
        "an extended CONNECT for another protocol",
        &[CONNECT, (":protocol", b"connect-udp"), HTTP, ROOT, A],
        Fate::Status(501),
    ),
    (
        "an extended CONNECT with content",
        &[CONNECT, WEBSOCKET, HTTP, ROOT, A, ("content-length", b"5")],
        Fate::Reset,
    ),
    (
        "an encoding",
        &[GET, HTTP, ROOT, A, ("transfer-encoding", b"chunked")],
        Fate::Reset,
    ),
    (
        "a connection field",
        &[GET, HTTP, ROOT, A, ("connection", b"close")],
        Fate::Reset,
    ),
    (
        "upper case in a name",
        &[GET, HTTP, ROOT, A, ("X", b"1")],
        Fate::Goaway,
    ),
];

#[tokio::test]
async fn http2_heads_obey_the_same_rules() {
    check_h2(HTTP2).await;
}

#[tokio::test]
async fn http2_heads_are_bounded_like_those_of_http1() {
    let long = vec![b'v'; 8200];
    let long_path = [&b"/"[..], &long].concat();
    check_h2(&[
        (
            "too long a field",
            &[GET, HTTP, ROOT, A, ("x", &long)],
            Fate::Status(431),
        ),
        (
            "too long a target",
            &[GET, HTTP, (":path", &long_path), A],
            Fate::Status(414),
        ),
    ])
    .await;
}

#[tokio::test]
async fn http2_heads_have_at_most_a_hundred_fields() {
    let mut fields = vec![GET, HTTP, ROOT, ("host", &b"a"[..])];
    fields.extend(std::iter::repeat_n(("x", &b"1"[..]), 99));
    check_h2(&[("a hundred", &fields, Fate::Status(200))]).await;
    fields.push(("x", b"1"));
    check_h2(&[("a hundred and one", &fields, Fate::Status(431))]).await;
}
