//! Heads of answers as peers write them.

use super::{Head, Parsed, parse};

#[test]
fn heads_are_read_once_complete() {
    let whole = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 1024\r\n\r\n";
    let head = |body_bytes, closes| {
        let (status, head_bytes) = (200, whole.len());
        Parsed::Head(Head {
            status,
            head_bytes,
            body_bytes,
            closes,
        })
    };
    for (name, bytes, expected) in [
        ("nothing", "", Parsed::More),
        (
            "cut in the empty line",
            &whole[..whole.len() - 1],
            Parsed::More,
        ),
        ("complete", whole, head(Some(1024), false)),
        ("no status", "HTTP/1.1 OK\r\n\r\n", Parsed::Broken),
        ("no HTTP", "ERR\r\n\r\n", Parsed::Broken),
        (
            "length that is none",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            Parsed::Broken,
        ),
    ] {
        assert_eq!(parse(bytes.as_bytes()), expected, "{name}");
    }
}

#[test]
fn a_closing_answer_says_so() {
    let text = "HTTP/1.1 302 Found\r\nCONNECTION: Close\r\nlocation: /\r\n\r\nrest";
    let expected = Head {
        status: 302,
        head_bytes: text.len() - "rest".len(),
        body_bytes: None,
        closes: true,
    };
    assert_eq!(parse(text.as_bytes()), Parsed::Head(expected));
}
