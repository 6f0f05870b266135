//! HTTP/2 by its preface, HTTP/1 by its request line.

use crate::Detection;

/// The request line of the HTTP/2 preface (RFC 9113 §3.4). Its first 14 bytes are enough: no
/// HTTP/1 request has them.
const PREFACE: &[u8; 14] = b"PRI * HTTP/2.0";

/// Longest request line, preceding empty lines included, that is waited for.
pub const MAX_REQUEST_LINE_BYTES: usize = 8 * 1024;

/// Methods of RFC 9110 and RFC 5789. An endless request line is HTTP only if it starts with one.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// Decides about bytes that are not TLS.
pub(crate) fn detect(received: &[u8]) -> Detection {
    if received.starts_with(PREFACE) {
        return Detection::Http2;
    }
    if PREFACE.starts_with(received) {
        return Detection::NeedMore;
    }
    let bounded = &received[..received.len().min(MAX_REQUEST_LINE_BYTES)];
    match request_line(skip_empty_lines(bounded)) {
        Line::Incomplete { method } if bounded.len() == MAX_REQUEST_LINE_BYTES => {
            // HTTP that is too long must meet the limits of the HTTP layer, not slip past it.
            if method.is_some_and(|method| METHODS.contains(&method)) {
                Detection::Http1
            } else {
                Detection::Opaque
            }
        }
        Line::Incomplete { .. } => Detection::NeedMore,
        Line::Request => Detection::Http1,
        Line::Other => Detection::Opaque,
    }
}

/// Servers ignore empty lines before a request (RFC 9112 §2.2), so they must not hide one.
fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[start.unwrap_or(bytes.len())..]
}

enum Line<'a> {
    /// May become a request line. The method is known once a space has followed it.
    Incomplete { method: Option<&'a [u8]> },
    /// Ends like a request line.
    Request,
    /// Cannot become one.
    Other,
}

/// `method SP target SP HTTP/d.d [CR] LF`. The target is anything without control characters,
/// spaces and other bytes that a strict parser refuses later included.
fn request_line(bytes: &[u8]) -> Line<'_> {
    let Some(method_end) = bytes.iter().position(|&byte| !is_token(byte)) else {
        return Line::Incomplete { method: None };
    };
    let (method, rest) = bytes.split_at(method_end);
    if method.is_empty() || rest[0] != b' ' {
        return Line::Other;
    }
    let Some(end) = rest.iter().position(|&byte| is_control(byte)) else {
        return Line::Incomplete {
            method: Some(method),
        };
    };
    let (line, terminator) = rest.split_at(end);
    if !ends_with_version(line) {
        return Line::Other;
    }
    match terminator {
        // A bare LF is for the HTTP layer to refuse; some servers accept it.
        [b'\n', ..] | [b'\r', b'\n', ..] => Line::Request,
        [b'\r'] => Line::Incomplete {
            method: Some(method),
        },
        _ => Line::Other,
    }
}

/// ` HTTP/` and a version of two digits, any two: a wrong version gets an answer that says so.
fn ends_with_version(line: &[u8]) -> bool {
    let Some((_, [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])) =
        line.split_last_chunk::<9>()
    else {
        return false;
    };
    major.is_ascii_digit() && minor.is_ascii_digit()
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_control(byte: u8) -> bool {
    // A tab separates words for lenient parsers; it is left for the strict one to refuse.
    byte.is_ascii_control() && byte != b'\t'
}
