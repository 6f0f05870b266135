//! Which HTTP a client speaks, from its first bytes.

use bytes::{Bytes, BytesMut};

/// The connection preface of HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Preface {
    /// The HTTP/2 preface has begun for certain.
    Http2,
    /// Not HTTP/2.
    Other,
    /// Too few bytes.
    Unclear,
}

/// Looks at the first bytes of a connection. `PRI ` alone could still be an HTTP/1 method.
pub(super) fn preface(bytes: &[u8]) -> Preface {
    const CERTAIN: usize = 14;
    let seen = bytes.len().min(PREFACE.len());
    if PREFACE.get(..seen) != bytes.get(..seen) {
        Preface::Other
    } else if seen >= CERTAIN {
        Preface::Http2
    } else {
        Preface::Unclear
    }
}

/// `more` after `ahead`.
pub(super) fn join(ahead: Bytes, more: &[u8]) -> Bytes {
    if ahead.is_empty() {
        return Bytes::copy_from_slice(more);
    }
    let mut joined = BytesMut::from(ahead);
    joined.extend_from_slice(more);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_told_from_http1_at_the_first_byte_that_differs() {
        let rows: [(&[u8], Preface); 7] = [
            (b"P", Preface::Unclear),
            (b"PRI * HTTP/2.", Preface::Unclear),
            (b"PRI * HTTP/2.0", Preface::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Preface::Http2),
            (b"POST / HTTP/1.1", Preface::Other),
            (b"GET / HTTP/1.1\r\n", Preface::Other),
            (b"PRI * HTTP/2.0\r\n\r\nSX", Preface::Other),
        ];
        for (bytes, expected) in rows {
            assert_eq!(
                preface(bytes),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
