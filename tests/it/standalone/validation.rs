//! What no request may be, in raw bytes: everything that hyper and h2 leave to their users
//! (RFC 9112, RFC 9113, and the routing rules on paths and hosts).

use weft_tests::{
    backend::{Backend, Speaks},
    gateway::Weft,
    rawclient::{RawClient, head},
    rawh2::{Fate, fate_of},
    scripted::Scripted,
    wait::soon,
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
const BY_PATH: &str = "rules: [{matches: [{path: {type: PathPrefix, value: /shop}}], \
                       backendRefs: [{name: web, port: 80}]}]";

/// A Gateway with one route, and the back-end behind it.
async fn gateway(route: &str) -> (Weft, Backend) {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", route);
    (Weft::start(&world), backend)
}

/// Sends heads (lines of text) and compares the status; only what is answered with 200 reaches the
/// back-end.
async fn check(rows: &[(&str, String, u16)]) {
    let (weft, backend) = gateway(ANY).await;
    for (name, lines, expected) in rows {
        let before = backend.requests();
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client.ask(lines).await;
        assert_eq!(answer.status, *expected, "{name}: {}", answer.text());
        let reached = backend.requests() - before;
        assert_eq!(
            reached,
            usize::from(*expected == 200),
            "{name}: requests at the back-end"
        );
    }
}

fn row(name: &'static str, lines: &str, expected: u16) -> (&'static str, String, u16) {
    (name, lines.to_owned(), expected)
}

#[tokio::test]
async fn heads_that_two_parsers_could_read_differently_are_refused() {
    check(&[
        row("a plain request", "GET / HTTP/1.1\nhost: a", 200),
        row(
            "length and encoding",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 5\ntransfer-encoding: chunked",
            400,
        ),
        row(
            "encoding and length",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ncontent-length: 5",
            400,
        ),
        row(
            "two lengths that differ",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 5\ncontent-length: 6",
            400,
        ),
        row(
            "two equal lengths",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 0\ncontent-length: 0",
            400,
        ),
        row(
            "a list of lengths",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 0, 0",
            400,
        ),
        row(
            "a signed length",
            "POST / HTTP/1.1\nhost: a\ncontent-length: +0",
            400,
        ),
        row(
            "a negative length",
            "POST / HTTP/1.1\nhost: a\ncontent-length: -1",
            400,
        ),
        row(
            "a hexadecimal length",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 0x0",
            400,
        ),
        row(
            "an empty length",
            "POST / HTTP/1.1\nhost: a\ncontent-length:",
            400,
        ),
        row(
            "a length that overflows",
            "POST / HTTP/1.1\nhost: a\ncontent-length: 18446744073709551616",
            400,
        ),
        row(
            "two encodings",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ntransfer-encoding: chunked",
            400,
        ),
        row(
            "a list that ends in chunked",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: gzip, chunked",
            400,
        ),
        row(
            "an empty element",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: ,chunked",
            400,
        ),
        row(
            "chunked twice in one",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked, chunked",
            400,
        ),
        row(
            "identity",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: identity",
            400,
        ),
        row(
            "a misspelt encoding",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: xchunked",
            400,
        ),
        row(
            "an encoding with a parameter",
            "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked;a=b",
            400,
        ),
        row(
            "an encoding in HTTP/1.0",
            "POST / HTTP/1.0\nhost: a\ntransfer-encoding: chunked",
            400,
        ),
        row(
            "a space before the colon",
            "GET / HTTP/1.1\nhost: a\ncontent-length : 0",
            400,
        ),
        row("a folded field", "GET / HTTP/1.1\nhost: a\nx: 1\n 2", 400),
        row("NUL in a value", "GET / HTTP/1.1\nhost: a\nx: a\0b", 400),
        row("CR in a value", "GET / HTTP/1.1\nhost: a\nx: a\rb", 400),
        row("HTTP/0.9", "GET /", 400),
        row("an unknown version", "GET / HTTP/3.0\nhost: a", 400),
        row("two spaces", "GET  / HTTP/1.1\nhost: a", 400),
    ])
    .await;
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
        row("no host", "GET / HTTP/1.1", 400),
        row("no host in HTTP/1.0", "GET / HTTP/1.0", 400),
        row("HTTP/1.0 with a host", "GET / HTTP/1.0\nhost: a", 200),
        row("two hosts", "GET / HTTP/1.1\nhost: a\nhost: b", 400),
        row(
            "the same host twice",
            "GET / HTTP/1.1\nhost: a\nhost: a",
            400,
        ),
        row("an empty host", "GET / HTTP/1.1\nhost:", 400),
        row(
            "an absolute target for the host",
            "GET http://a/ HTTP/1.1\nhost: a",
            200,
        ),
        row(
            "an absolute target for another host",
            "GET http://b/ HTTP/1.1\nhost: a",
            400,
        ),
        row(
            "an absolute target without host",
            "GET http://a/ HTTP/1.1",
            400,
        ),
        row(
            "an absolute target with another port",
            "GET http://a:1/ HTTP/1.1\nhost: a",
            400,
        ),
        row("userinfo", "GET / HTTP/1.1\nhost: user@a", 400),
        row(
            "userinfo in an absolute target",
            "GET http://user@a/ HTTP/1.1\nhost: a",
            400,
        ),
        row("a path in the host", "GET / HTTP/1.1\nhost: a/b", 400),
        row("a space in the host", "GET / HTTP/1.1\nhost: a b", 400),
        row("two hosts in one", "GET / HTTP/1.1\nhost: a, b", 400),
        row("a port that is none", "GET / HTTP/1.1\nhost: a:80x", 400),
        row("an address literal", "GET / HTTP/1.1\nhost: [::1]:80", 200),
        row("an open literal", "GET / HTTP/1.1\nhost: [::1", 400),
        row("upper case", "GET / HTTP/1.1\nhost: A.Example", 200),
    ])
    .await;
}

#[tokio::test]
async fn methods_and_fields_that_may_pass_and_those_that_may_not() {
    check(&[
        row("CONNECT", "CONNECT a:443 HTTP/1.1\nhost: a:443", 405),
        row(
            "an authority as target",
            "GET a:80 HTTP/1.1\nhost: a:80",
            400,
        ),
        row("a server-wide OPTIONS", "OPTIONS * HTTP/1.1\nhost: a", 200),
        row("the asterisk for GET", "GET * HTTP/1.1\nhost: a", 400),
        row("an unknown method", "BREW / HTTP/1.1\nhost: a", 200),
        row("a method that is no token", "G(T / HTTP/1.1\nhost: a", 400),
        row(
            "an underscore in a name",
            "GET / HTTP/1.1\nhost: a\nx_y: 1",
            200,
        ),
        row(
            "bytes above ASCII in a value",
            "GET / HTTP/1.1\nhost: a\nx: \u{fc}",
            200,
        ),
        row(
            "a field without a name",
            "GET / HTTP/1.1\nhost: a\n: 1",
            400,
        ),
        row(
            "a line that is no field",
            "GET / HTTP/1.1\nhost: a\nnonsense",
            400,
        ),
        row(
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

/// Paths as they arrive at the back-end; `Err` is the status of a refusal.
async fn check_paths(route: &str, rows: &[(&str, Result<&str, u16>)]) {
    let (weft, _backend) = gateway(route).await;
    for (sent, expected) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client.ask(&format!("GET {sent} HTTP/1.1\nhost: a")).await;
        let text = answer.text();
        let arrived = text.lines().nth(1).and_then(|line| line.split(' ').nth(1));
        let found = match answer.status {
            200 => Ok(arrived.expect("the back-end says what it saw")),
            status => Err(status),
        };
        assert_eq!(found, *expected, "path {sent}");
    }
}

#[tokio::test]
async fn the_path_that_is_matched_is_the_path_that_arrives() {
    let rows = [
        ("/a/b", Ok("/a/b")),
        ("/a/./b", Ok("/a/b")),
        ("/a/../b", Ok("/b")),
        ("/../../b", Ok("/b")),
        ("/a//b", Ok("/a/b")),
        ("/a/..", Ok("/")),
        ("/%61", Ok("/a")),
        ("/%2e%2e/b", Ok("/b")),
        ("/%252e", Ok("/%252e")),
        ("/a%20b", Ok("/a%20b")),
        ("/a?x=/../%zz", Ok("/a?x=/../%zz")),
        ("/a/../b?q", Ok("/b?q")),
        ("/%2f", Ok("/%2F")),
        ("http://a", Ok("/")),
        ("http://a/x/../y?q", Ok("/y?q")),
        ("/a#fragment", Ok("/a")),
        ("/%zz", Err(400)),
        ("/%", Err(400)),
        ("/%4", Err(400)),
        ("/a\\b", Err(400)),
    ];
    check_paths(ANY, &rows).await;
}

#[tokio::test]
async fn encoded_separators_are_refused_where_a_route_restricts_by_path() {
    let rows = [
        ("/shop/a", Ok("/shop/a")),
        ("/shop%2fa", Err(400)),
        ("/shop/%2F", Err(400)),
        ("/shop/%5c", Err(400)),
        ("/shop/%00", Err(400)),
        ("/shop/a?b=%2f", Ok("/shop/a?b=%2f")),
        ("/x/../shop", Ok("/shop")),
        ("/shop/../x", Err(404)),
        ("/%73hop", Ok("/shop")),
    ];
    check_paths(BY_PATH, &rows).await;
}

#[tokio::test]
async fn broken_bodies_are_cut_and_answered_once() {
    let rows: [(&str, &[u8]); 12] = [
        ("a size with a space", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("a size with a tab", b"5\t\r\nhello\r\n0\r\n\r\n"),
        ("a signed size", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", b"\r\nhello\r\n0\r\n\r\n"),
        (
            "a size that overflows",
            b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("LF after a size", b"5\nhello\r\n0\r\n\r\n"),
        ("LF after a chunk", b"5\r\nhello\n0\r\n\r\n"),
        ("a chunk that is too long", b"5\r\nhello!\r\n0\r\n\r\n"),
        (
            "a length in the trailers",
            b"5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
        ),
        (
            "an encoding in the trailers",
            b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "a host in the trailers",
            b"5\r\nhello\r\n0\r\nhost: b\r\n\r\n",
        ),
    ];
    let backend = Scripted::start(|mut peer| async move {
        while peer.head().await.is_some() {
            if !peer.read_until(b"0\r\n\r\n").await {
                return;
            }
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    for (name, body) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client
            .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
            .await;
        client.send(body).await;
        client.send(head("GET /smuggled HTTP/1.1\nhost: a")).await;
        assert_eq!(client.answer().await.status, 400, "{name}");
        let rest = client.rest().await;
        assert_eq!(
            String::from_utf8_lossy(&rest),
            "",
            "{name}: one answer, then the end"
        );
    }
}

#[tokio::test]
async fn chunk_extensions_are_understood_and_not_passed_on() {
    let (weft, _backend) = gateway(ANY).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
        .await;
    client.send("5;a=b;c\r\nhello\r\n0;d\r\n\r\n").await;
    let text = client.answer().await.text();
    assert!(
        text.ends_with("\n\nhello"),
        "the content alone arrives: {text}"
    );
}

#[tokio::test]
async fn an_answer_under_way_is_not_followed_by_a_refusal() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        peer.ended().await;
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
        .await;
    assert_eq!(
        client.answer_head().await.status,
        200,
        "the answer begins before the body ends"
    );
    assert_eq!(
        client.chunk().await.as_deref(),
        Some(&b"first"[..]),
        "its first chunk"
    );
    client.send("x\r\n").await;
    let rest = soon("the end", client.rest()).await;
    assert_eq!(
        String::from_utf8_lossy(&rest),
        "",
        "nothing may look like more of the answer"
    );
}

#[tokio::test]
async fn a_refused_upload_still_reads_its_answer() {
    let (weft, backend) = gateway(BY_PATH).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head(
            "POST /nowhere HTTP/1.1\nhost: a\ncontent-length: 8000000",
        ))
        .await;
    // The client writes on without looking, as simple clients do; its pipe may break.
    let body = vec![b'b'; 8_000_000];
    let _broken_pipe = soon("the upload", client.try_send(&body)).await;
    assert_eq!(
        client.answer().await.status,
        404,
        "the answer is not lost to a reset"
    );
    assert_eq!(backend.requests(), 0, "nothing was sent anywhere");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_the_bad_one() {
    let (weft, backend) = gateway(ANY).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let first = head("GET /first HTTP/1.1\nhost: a");
    let second = head("POST /second HTTP/1.1\nhost: a\ncontent-length: 3") + "abc";
    let bad = "GET /bad HTTP/1.1\nhost: a\n\n";
    client.send(format!("{first}{second}{bad}")).await;
    assert!(
        client.answer().await.text().contains("GET /first "),
        "the first answer"
    );
    assert!(
        client.answer().await.text().ends_with("\n\nabc"),
        "the second answer"
    );
    assert_eq!(client.answer().await.status, 400, "the bad request");
    assert_eq!(client.rest().await, b"", "the end");
    assert_eq!(backend.requests(), 2, "requests at the back-end");
}

/// Sends HTTP/2 header lists on connections of their own.
async fn check_h2(rows: &[(&str, &[(&str, &[u8])], Fate)]) {
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

const GET: (&str, &[u8]) = (":method", b"GET");
const HTTP: (&str, &[u8]) = (":scheme", b"http");
const ROOT: (&str, &[u8]) = (":path", b"/");
const A: (&str, &[u8]) = (":authority", b"a");

#[tokio::test]
async fn http2_heads_obey_the_same_rules() {
    let long = vec![b'v'; 8200];
    let long_path = [&b"/"[..], &long].concat();
    check_h2(&[
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
