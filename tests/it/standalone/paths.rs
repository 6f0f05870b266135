//! Paths on their way through: one normal form, matched and forwarded, and what is refused.

use weft_tests::rawclient::RawClient;

use super::validation::{ANY, BY_PATH, gateway};

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
