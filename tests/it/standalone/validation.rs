//! What no request may be, in raw bytes: everything that hyper and h2 leave to their users
//! (RFC 9112, RFC 9113, and the routing rules on paths and hosts).

use weft_tests::{
    backend::{Backend, Speaks},
    gateway::Weft,
    rawclient::RawClient,
    world::World,
};

pub(super) const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
pub(super) const BY_PATH: &str = "rules: [{matches: [{path: {type: PathPrefix, value: /shop}}], \
                       backendRefs: [{name: web, port: 80}]}]";

/// A Gateway with one route, and the back-end behind it.
pub(super) async fn gateway(route: &str) -> (Weft, Backend) {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", route);
    (Weft::start(&world), backend)
}

/// Sends heads (lines of text) and compares the status; only what is answered with 200 reaches the
/// back-end.
async fn check<L: AsRef<str>>(rows: &[(&str, L, u16)]) {
    let (weft, backend) = gateway(ANY).await;
    for (name, lines, expected) in rows {
        let before = backend.requests();
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client.ask(lines.as_ref()).await;
        assert_eq!(answer.status, *expected, "{name}: {}", answer.text());
        let reached = backend.requests() - before;
        assert_eq!(
            reached,
            usize::from(*expected == 200),
            "{name}: requests at the back-end"
        );
    }
}

const FRAMING: &[(&str, &str, u16)] = &[
    ("a plain request", "GET / HTTP/1.1\nhost: a", 200),
    (
        "length and encoding",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 5\ntransfer-encoding: chunked",
        400,
    ),
    (
        "encoding and length",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ncontent-length: 5",
        400,
    ),
    (
        "two lengths that differ",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 5\ncontent-length: 6",
        400,
    ),
    (
        "two equal lengths",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 0\ncontent-length: 0",
        400,
    ),
    (
        "a list of lengths",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 0, 0",
        400,
    ),
    (
        "a signed length",
        "POST / HTTP/1.1\nhost: a\ncontent-length: +0",
        400,
    ),
    (
        "a negative length",
        "POST / HTTP/1.1\nhost: a\ncontent-length: -1",
        400,
    ),
    (
        "a hexadecimal length",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 0x0",
        400,
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\nhost: a\ncontent-length:",
        400,
    ),
    (
        "a length that overflows",
        "POST / HTTP/1.1\nhost: a\ncontent-length: 18446744073709551616",
        400,
    ),
    (
        "two encodings",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ntransfer-encoding: chunked",
        400,
    ),
    (
        "a list that ends in chunked",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: gzip, chunked",
        400,
    ),
    (
        "an empty element",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: ,chunked",
        400,
    ),
    (
        "chunked twice in one",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked, chunked",
        400,
    ),
    (
        "identity",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: identity",
        400,
    ),
    (
        "a misspelt encoding",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: xchunked",
        400,
    ),
    (
        "an encoding with a parameter",
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked;a=b",
        400,
    ),
    (
        "an encoding in HTTP/1.0",
        "POST / HTTP/1.0\nhost: a\ntransfer-encoding: chunked",
        400,
    ),
    (
        "a space before the colon",
        "GET / HTTP/1.1\nhost: a\ncontent-length : 0",
        400,
    ),
    ("a folded field", "GET / HTTP/1.1\nhost: a\nx: 1\n 2", 400),
    ("NUL in a value", "GET / HTTP/1.1\nhost: a\nx: a\0b", 400),
    ("CR in a value", "GET / HTTP/1.1\nhost: a\nx: a\rb", 400),
    ("HTTP/0.9", "GET /", 400),
    ("an unknown version", "GET / HTTP/3.0\nhost: a", 400),
    ("two spaces", "GET  / HTTP/1.1\nhost: a", 400),
];

#[tokio::test]
async fn heads_that_two_parsers_could_read_differently_are_refused() {
    check(FRAMING).await;
}

#[tokio::test]
async fn line_ends_are_crlf_or_nothing() {
    let rows: [(&str, &[u8], u16); 5] = [
        ("LF alone", b"GET / HTTP/1.1\nhost: a\n\n", 400),
        (
            "LF after a field",
            b"GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
            400,
        ),
        (
            "LF for the empty line",
            b"GET / HTTP/1.1\r\nhost: a\r\n\n",
            400,
        ),
        (
            "CR in the request line",
            b"GET /\r HTTP/1.1\r\nhost: a\r\n\r\n",
            400,
        ),
        (
            "empty lines before a request",
            b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            200,
        ),
    ];
    let (weft, _backend) = gateway(ANY).await;
    for (name, bytes, expected) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client.send(bytes).await;
        assert_eq!(client.answer().await.status, expected, "{name}");
    }
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    check(&[
        ("no host", "GET / HTTP/1.1", 400),
        ("no host in HTTP/1.0", "GET / HTTP/1.0", 400),
        ("HTTP/1.0 with a host", "GET / HTTP/1.0\nhost: a", 200),
        ("two hosts", "GET / HTTP/1.1\nhost: a\nhost: b", 400),
        (
            "the same host twice",
            "GET / HTTP/1.1\nhost: a\nhost: a",
            400,
        ),
        ("an empty host", "GET / HTTP/1.1\nhost:", 400),
        (
            "an absolute target for the host",
            "GET http://a/ HTTP/1.1\nhost: a",
            200,
        ),
        (
            "an absolute target for another host",
            "GET http://b/ HTTP/1.1\nhost: a",
            400,
        ),
        (
            "an absolute target without host",
            "GET http://a/ HTTP/1.1",
            400,
        ),
        (
            "an absolute target with another port",
            "GET http://a:1/ HTTP/1.1\nhost: a",
            400,
        ),
        ("userinfo", "GET / HTTP/1.1\nhost: user@a", 400),
        (
            "userinfo in an absolute target",
            "GET http://user@a/ HTTP/1.1\nhost: a",
            400,
        ),
        ("a path in the host", "GET / HTTP/1.1\nhost: a/b", 400),
        ("a space in the host", "GET / HTTP/1.1\nhost: a b", 400),
        ("two hosts in one", "GET / HTTP/1.1\nhost: a, b", 400),
        ("a port that is none", "GET / HTTP/1.1\nhost: a:80x", 400),
        ("an address literal", "GET / HTTP/1.1\nhost: [::1]:80", 200),
        ("an open literal", "GET / HTTP/1.1\nhost: [::1", 400),
        ("upper case", "GET / HTTP/1.1\nhost: A.Example", 200),
    ])
    .await;
}

#[tokio::test]
async fn methods_and_fields_that_may_pass_and_those_that_may_not() {
    check(&[
        ("CONNECT", "CONNECT a:443 HTTP/1.1\nhost: a:443", 405),
        (
            "an authority as target",
            "GET a:80 HTTP/1.1\nhost: a:80",
            400,
        ),
        ("a server-wide OPTIONS", "OPTIONS * HTTP/1.1\nhost: a", 200),
        ("the asterisk for GET", "GET * HTTP/1.1\nhost: a", 400),
        ("an unknown method", "BREW / HTTP/1.1\nhost: a", 200),
        ("a method that is no token", "G(T / HTTP/1.1\nhost: a", 400),
        (
            "an underscore in a name",
            "GET / HTTP/1.1\nhost: a\nx_y: 1",
            200,
        ),
        (
            "bytes above ASCII in a value",
            "GET / HTTP/1.1\nhost: a\nx: \u{fc}",
            200,
        ),
        (
            "a field without a name",
            "GET / HTTP/1.1\nhost: a\n: 1",
            400,
        ),
        (
            "a line that is no field",
            "GET / HTTP/1.1\nhost: a\nnonsense",
            400,
        ),
        (
            "a length named in connection",
            "GET / HTTP/1.1\nhost: a\nconnection: content-length",
            200,
        ),
    ])
    .await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let fields = |count: usize, length: usize| -> String {
        let value = "v".repeat(length);
        (0..count)
            .map(|number| format!("\nx-{number}: {value}"))
            .collect()
    };
    check(&[
        (
            "a hundred fields",
            format!("GET / HTTP/1.1\nhost: a{}", fields(99, 1)),
            200,
        ),
        (
            "a hundred and one",
            format!("GET / HTTP/1.1\nhost: a{}", fields(100, 1)),
            431,
        ),
        (
            "a long field",
            format!("GET / HTTP/1.1\nhost: a{}", fields(1, 8000)),
            200,
        ),
        (
            "too long a field",
            format!("GET / HTTP/1.1\nhost: a{}", fields(1, 8200)),
            431,
        ),
        (
            "a large head",
            format!("GET / HTTP/1.1\nhost: a{}", fields(8, 7900)),
            200,
        ),
        (
            "too large a head",
            format!("GET / HTTP/1.1\nhost: a{}", fields(9, 7900)),
            431,
        ),
        (
            "a long target",
            format!("GET /{} HTTP/1.1\nhost: a", "p".repeat(8000)),
            200,
        ),
        (
            "too long a target",
            format!("GET /{} HTTP/1.1\nhost: a", "p".repeat(8200)),
            414,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let (weft, _backend) = gateway(ANY).await;
    let mut clients = Vec::new();
    for begun in ["P", "PRI * HTTP/2", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client.send(begun).await;
        clients.push((begun, client));
    }
    for (begun, mut client) in clients {
        assert_eq!(
            client.answer().await.status,
            408,
            "{begun:?} and then silence"
        );
        assert_eq!(client.rest().await, b"", "{begun:?}: closed");
    }
}
