//! Which fields pass a hop.

use http::{HeaderMap, HeaderName};

use super::{strip_hop_by_hop, strip_own, strip_trailers, to_client};

fn fields(rows: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::try_from(*name).expect("a name");
        (name, value.parse().expect("a value"))
    };
    rows.iter().map(pair).collect()
}

/// What a row shows, the fields before, and the names after.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// Runs `change` over fields and compares the names that are left.
fn check(change: impl Fn(&mut HeaderMap), rows: &[Row<'_>]) {
    for (name, before, after) in rows {
        let mut headers = fields(before);
        change(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, *after, "{name}");
    }
}

#[test]
fn fields_of_one_hop_go() {
    check(
        strip_hop_by_hop,
        &[
            ("nothing special", &[("x", "1")], &["x"]),
            (
                "the fixed ones (RFC 9110 section 7.6.1)",
                &[
                    ("connection", "close"),
                    ("keep-alive", "timeout=5"),
                    ("proxy-connection", "close"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "x"),
                ],
                &[],
            ),
            (
                "those that are listed",
                &[
                    ("connection", "x-a , X-B,x-c"),
                    ("x-a", "1"),
                    ("x-b", "2"),
                    ("x-c", "3"),
                    ("x-d", "4"),
                ],
                &["x-d"],
            ),
            (
                "those of every connection field",
                &[
                    ("connection", "x-a"),
                    ("connection", "x-b"),
                    ("connection", "x-c"),
                    ("x-a", "1"),
                    ("x-b", "2"),
                    ("x-c", "3"),
                ],
                &[],
            ),
            (
                "framing and host stay though listed",
                &[
                    ("connection", "content-length, host"),
                    ("content-length", "3"),
                    ("host", "a"),
                ],
                &["content-length", "host"],
            ),
            (
                "what is no name is skipped",
                &[("connection", "a b, ,x-a"), ("x-a", "1")],
                &[],
            ),
        ],
    );
}

#[test]
fn answers_are_framed_once() {
    check(
        to_client,
        &[
            ("a length", &[("content-length", "3")], &["content-length"]),
            (
                "a length beside an encoding",
                &[("content-length", "3"), ("transfer-encoding", "chunked")],
                &[],
            ),
        ],
    );
}

#[test]
fn trailers_hold_nothing_of_a_head() {
    check(
        |trailers| {
            strip_trailers(trailers);
        },
        &[
            (
                "ordinary ones",
                &[("grpc-status", "0"), ("x", "1")],
                &["grpc-status", "x"],
            ),
            (
                "framing, routing, connection control",
                &[
                    ("connection", "x"),
                    ("content-length", "1"),
                    ("host", "b"),
                    ("keep-alive", "x"),
                    ("te", "x"),
                    ("trailer", "x"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "x"),
                    ("x", "1"),
                ],
                &["x"],
            ),
        ],
    );
}

#[test]
fn nobody_speaks_for_weft() {
    check(
        strip_own,
        &[(
            "own fields of a client",
            &[
                ("x-weft-identity", "me"),
                ("X-Weft-Other", "1"),
                ("x-wefty", "2"),
            ],
            &["x-wefty"],
        )],
    );
}
