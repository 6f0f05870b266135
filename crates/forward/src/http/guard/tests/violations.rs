//! Every violation, one row per way to commit it.

use super::{Row, Seen, Violation, check};

const VIOLATIONS: &[Row] = &[
    (
        "LF in the request line",
        b"GET / HTTP/1.1\n",
        Seen::Bad(Violation::BareLineEnd),
        0,
    ),
    (
        "LF in a field",
        b"GET / HTTP/1.1\r\nx: 1\n",
        Seen::Bad(Violation::BareLineEnd),
        0,
    ),
    (
        "LF for an empty line",
        b"GET / HTTP/1.1\r\nx: 1\r\n\n",
        Seen::Bad(Violation::BareLineEnd),
        0,
    ),
    (
        "CR in a field",
        b"GET / HTTP/1.1\r\nx: 1\r2\r\n",
        Seen::Bad(Violation::BareLineEnd),
        0,
    ),
    (
        "CR twice",
        b"GET / HTTP/1.1\r\r\n",
        Seen::Bad(Violation::BareLineEnd),
        0,
    ),
    (
        "length, then encoding",
        b"P / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n",
        Seen::Bad(Violation::AmbiguousLength),
        0,
    ),
    (
        "encoding, then length",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n",
        Seen::Bad(Violation::AmbiguousLength),
        0,
    ),
    (
        "two lengths",
        b"P / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n",
        Seen::Bad(Violation::AmbiguousLength),
        0,
    ),
    (
        "two encodings",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        Seen::Bad(Violation::AmbiguousLength),
        0,
    ),
    (
        "a list of lengths",
        b"P / HTTP/1.1\r\ncontent-length: 1, 1\r\n",
        Seen::Bad(Violation::BadLength),
        0,
    ),
    (
        "a sign",
        b"P / HTTP/1.1\r\ncontent-length: +1\r\n",
        Seen::Bad(Violation::BadLength),
        0,
    ),
    (
        "no length",
        b"P / HTTP/1.1\r\ncontent-length:\r\n",
        Seen::Bad(Violation::BadLength),
        0,
    ),
    (
        "a length that overflows",
        b"P / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n",
        Seen::Bad(Violation::BadLength),
        0,
    ),
    (
        "another encoding",
        b"P / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n",
        Seen::Bad(Violation::BadEncoding),
        0,
    ),
    (
        "an empty element",
        b"P / HTTP/1.1\r\ntransfer-encoding: ,chunked\r\n",
        Seen::Bad(Violation::BadEncoding),
        0,
    ),
    (
        "space behind a size",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3 \r\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "no size",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n;a\r\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "a size of seventeen digits",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n00000000000000001\r\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "LF behind a size",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "CR in an extension",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;\ra\r\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "a chunk longer than its size",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        Seen::Bad(Violation::BadChunk),
        1,
    ),
    (
        "a length in the trailers",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n",
        Seen::Bad(Violation::FramingInTrailers),
        1,
    ),
    (
        "a host in the trailers",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: b\r\n",
        Seen::Bad(Violation::FramingInTrailers),
        1,
    ),
    (
        "LF in the trailers",
        b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: 1\n",
        Seen::Bad(Violation::BareLineEnd),
        1,
    ),
    (
        "in a second request",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n",
        Seen::Bad(Violation::BareLineEnd),
        1,
    ),
];

#[test]
fn every_violation_stops_the_stream() {
    check(VIOLATIONS);
}
