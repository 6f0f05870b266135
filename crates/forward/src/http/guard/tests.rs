//! The guard over raw streams: what passes, what stops it, and that neither depends on how the bytes
//! are cut into reads.

use proptest::prelude::{Strategy, prop_assert_eq, proptest};

use super::{Guard, Stop, Violation};

mod violations;

/// How a stream ended for the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Between two requests.
    Between,
    /// Inside a head.
    InHead,
    /// Inside a body.
    InBody,
    /// Behind a request for an upgrade.
    Undecided,
    /// Stopped.
    Bad(Violation),
}

/// Runs a stream that arrives in these pieces through a guard; counts the heads too.
fn watch<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Seen, u32) {
    let mut guard = Guard::new();
    for piece in pieces {
        match guard.inspect(piece) {
            Ok(()) => {}
            Err((passed, Stop::Violation(violation))) => {
                assert!(passed <= piece.len(), "{passed} of {} bytes", piece.len());
                return (Seen::Bad(violation), guard.requests());
            }
            Err((_, Stop::Undecided)) => return (Seen::Undecided, guard.requests()),
        }
    }
    let seen = if guard.is_undecided() {
        Seen::Undecided
    } else if guard.in_head() {
        Seen::InHead
    } else if guard.in_body() {
        Seen::InBody
    } else {
        Seen::Between
    };
    (seen, guard.requests())
}

/// A row: what it shows, the stream, what the guard sees at its end and how many heads.
type Row = (&'static str, &'static [u8], Seen, u32);

/// Compares whole streams, then every cut into two reads, then byte by byte.
fn check(rows: &[Row]) {
    for (name, stream, seen, requests) in rows {
        let expected = (*seen, *requests);
        assert_eq!(watch([*stream]), expected, "{name}");
        assert_eq!(
            watch(stream.chunks(1)),
            expected,
            "{name}, one byte at a time"
        );
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(watch([first, second]), expected, "{name}, cut at {at}");
        }
    }
}

const FRAMING: &[Row] = &[
    ("nothing", b"", Seen::Between, 0),
    ("empty lines", b"\r\n\r\n", Seen::Between, 0),
    (
        "a request",
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        Seen::Between,
        1,
    ),
    (
        "behind empty lines",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        Seen::Between,
        1,
    ),
    ("a begun line", b"GET / HT", Seen::InHead, 0),
    (
        "a head without its end",
        b"GET / HTTP/1.1\r\nhost: a\r\n",
        Seen::InHead,
        0,
    ),
    (
        "two requests",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        Seen::Between,
        2,
    ),
    (
        "a length of 0",
        b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        Seen::Between,
        1,
    ),
    (
        "a body",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
        Seen::Between,
        1,
    ),
    (
        "half a body",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab",
        Seen::InBody,
        1,
    ),
    (
        "a body that looks like a head",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\n\r\n",
        Seen::Between,
        2,
    ),
    (
        "any case and space around values",
        b"POST / HTTP/1.1\r\nConTent-LENGTH: \t 3 \t\r\n\r\nabc",
        Seen::Between,
        1,
    ),
    (
        "names that only begin alike",
        b"POST / HTTP/1.1\r\ncontent-length-x: 9\r\ntransfer-encodings: gzip\r\n\r\n",
        Seen::Between,
        1,
    ),
];

#[test]
fn requests_end_where_their_framing_says() {
    check(FRAMING);
}

#[test]
fn chunks_are_followed() {
    check(&[
        (
            "no chunk yet",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            Seen::InBody,
            1,
        ),
        (
            "a chunk",
            b"POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n",
            Seen::InBody,
            1,
        ),
        (
            "the last chunk",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\nc\r\n0\r\n\r\n",
            Seen::Between,
            1,
        ),
        (
            "extensions",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;a=\"b c\";d\r\nabc\r\n0;e\r\n\r\n",
            Seen::Between,
            1,
        ),
        (
            "hexadecimal of either case, zeros in front",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
            Seen::Between,
            1,
        ),
        (
            "trailers",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: 1\r\ny: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            Seen::Between,
            2,
        ),
        (
            "trailers without their end",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: 1\r\n",
            Seen::InBody,
            1,
        ),
    ]);
}

#[test]
fn behind_a_request_for_an_upgrade_nothing_is_judged() {
    check(&[
        (
            "an upgrade",
            b"GET / HTTP/1.1\r\nupgrade: x\r\n\r\n",
            Seen::Undecided,
            1,
        ),
        (
            "early bytes",
            b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n\n\xff\n",
            Seen::Undecided,
            1,
        ),
        (
            "an upgrade with a body",
            b"POST / HTTP/1.1\r\nupgrade: x\r\ncontent-length: 2\r\n\r\nab\n",
            Seen::Undecided,
            1,
        ),
        (
            "an upgrade with chunks",
            b"POST / HTTP/1.1\r\nupgrade: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\n",
            Seen::Undecided,
            1,
        ),
        (
            "within that body",
            b"POST / HTTP/1.1\r\nupgrade: x\r\ncontent-length: 2\r\n\r\na",
            Seen::InBody,
            1,
        ),
    ]);
}

#[test]
fn an_upgrade_that_is_not_taken_leaves_http() {
    let mut guard = Guard::new();
    let asked = b"GET / HTTP/1.1\r\nupgrade: x\r\n\r\nGET";
    let Err((passed, Stop::Undecided)) = guard.inspect(asked) else {
        panic!("the rest is undecided")
    };
    assert_eq!(
        passed,
        asked.len() - 3,
        "the request itself is for HTTP to read"
    );
    guard.stays_http();
    assert_eq!(
        guard.inspect(b"GET / HTTP/1.1\r\n\r\n"),
        Ok(()),
        "the next request"
    );
    assert!(!guard.is_undecided(), "which asks for no upgrade");
    let bare = guard.inspect(b"GET / HTTP/1.1\n");
    assert_eq!(
        bare,
        Err((0, Stop::Violation(Violation::BareLineEnd))),
        "judged as ever"
    );
}

#[test]
fn heads_are_bounded_by_line_and_in_sum() {
    let line = |length: usize| format!("x: {}\r\n", "v".repeat(length - 5));
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n", "p".repeat(length - 16));
    let rows = [
        ("the longest line", format!("{}\r\n", target(8192)), None),
        (
            "a longer target",
            target(8193),
            Some(Violation::TargetTooLong),
        ),
        (
            "a target without an end",
            "G".repeat(8193),
            Some(Violation::TargetTooLong),
        ),
        (
            "the longest field",
            format!("{}{}\r\n", target(20), line(8192)),
            None,
        ),
        (
            "a longer field",
            format!("{}{}", target(20), line(8193)),
            Some(Violation::HeadTooLarge),
        ),
        (
            "the largest head",
            format!("{}{}\r\n", target(8190), line(8192).repeat(7)),
            None,
        ),
        (
            "a larger head",
            format!("{}{}\r\n", target(8191), line(8192).repeat(7)),
            Some(Violation::HeadTooLarge),
        ),
    ];
    for (name, stream, violation) in rows {
        let expected = violation.map_or((Seen::Between, 1), |bad| (Seen::Bad(bad), 0));
        assert_eq!(watch([stream.as_bytes()]), expected, "{name}");
        assert_eq!(
            watch(stream.as_bytes().chunks(1)),
            expected,
            "{name}, one byte at a time"
        );
    }
}

#[test]
fn endless_chunk_lines_and_trailers_are_bounded() {
    let head = "P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let too_large = (Seen::Bad(Violation::HeadTooLarge), 1);
    let extension = format!("{head}1;{}", "e".repeat(9000));
    assert_eq!(watch([extension.as_bytes()]), too_large, "an extension");
    let trailers = format!("{head}0\r\n{}", "x: 1\r\n".repeat(20_000));
    assert_eq!(watch([trailers.as_bytes()]), too_large, "trailers");
    let chunks = format!("{head}{}0\r\n\r\n", "1;e\r\nx\r\n".repeat(20_000));
    assert_eq!(
        watch([chunks.as_bytes()]),
        (Seen::Between, 1),
        "many chunks are no head"
    );
}

#[test]
fn statuses_of_violations() {
    let rows = [
        (Violation::BareLineEnd, 400),
        (Violation::AmbiguousLength, 400),
        (Violation::BadLength, 400),
        (Violation::BadEncoding, 400),
        (Violation::BadChunk, 400),
        (Violation::FramingInTrailers, 400),
        (Violation::HeadTooLarge, 431),
        (Violation::TargetTooLong, 414),
    ];
    for (violation, status) in rows {
        assert_eq!(violation.status(), status, "{violation:?}");
    }
}

/// Pieces that streams are made of, good and bad ones.
const FRAGMENTS: [&[u8]; 18] = [
    b"GET / HTTP/1.1\r\n",
    b"host: a\r\n",
    b"\r\n",
    b"content-length: 4\r\n",
    b"transfer-encoding: chunked\r\n",
    b"upgrade: x\r\n",
    b"4\r\n",
    b"0\r\n",
    b"abcd",
    b"\n",
    b"\r",
    b"x",
    b"3;e\r\n",
    b"content-length: 1, 1\r\n",
    b"ffffffffffffffff\r\n",
    b" ",
    b":",
    b"\0\xff",
];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let fragments = proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..24);
    fragments.prop_map(|fragments| fragments.concat())
}

proptest! {
    /// Reads end where the network pleases; no verdict may hang on it.
    #[test]
    fn the_verdict_does_not_depend_on_the_cuts(stream in stream(), cut in 1_usize..7) {
        let whole = watch([stream.as_slice()]);
        prop_assert_eq!(watch(stream.chunks(1)), whole);
        prop_assert_eq!(watch(stream.chunks(cut)), whole);
    }
}
