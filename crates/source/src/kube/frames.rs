//! The frames of a WebSocket as a client reads them (RFC 6455 section 5). Pure.

use bytes::{Buf, Bytes, BytesMut};

use super::cluster::ApiError;

/// Longest frame: API servers pass on what a program writes in pieces of some KiB.
const FRAME_MAX_BYTES: u64 = 4 << 20;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Bytes that are not read as frames yet, and a message that has begun.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
    begun: BytesMut,
}

/// A frame, or a message of several.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message, whole.
    Message(Bytes),
    /// To be answered with the same content.
    Ping(Bytes),
    /// Of no concern.
    Other,
}

impl Frame {
    /// What is to be echoed.
    pub(super) fn ping(&self) -> Option<&[u8]> {
        match self {
            Self::Ping(content) => Some(content),
            _ => None,
        }
    }

    /// The channel of a message, and what came on it.
    pub(super) fn message(&self) -> Option<(u8, &[u8])> {
        match self {
            Self::Message(content) => content.split_first().map(|(first, rest)| (*first, rest)),
            _ => None,
        }
    }
}

impl Frames {
    /// More bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The server has closed, or breaks the protocol.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ApiError> {
        let Some((head, length)) = self.head()? else {
            return Ok(None);
        };
        if self.buffer.len() - head < length {
            return Ok(None);
        }
        let first = self.buffer[0];
        self.buffer.advance(head);
        let content = self.buffer.split_to(length);
        match first & 0x0f {
            0..=2 => {
                self.begun.unsplit(content);
                if self.begun.len() as u64 > FRAME_MAX_BYTES {
                    return Err(refused("a message that is too long"));
                }
                if first & FINAL == 0 {
                    return Ok(Some(Frame::Other));
                }
                Ok(Some(Frame::Message(self.begun.split().freeze())))
            }
            CLOSE => Err(refused("a close without a status")),
            PING => Ok(Some(Frame::Ping(content.freeze()))),
            _ => Ok(Some(Frame::Other)),
        }
    }

    /// Length of the head and of the content; `None` when the head is not there yet.
    fn head(&self) -> Result<Option<(usize, usize)>, ApiError> {
        let [_, second, rest @ ..] = &self.buffer[..] else {
            return Ok(None);
        };
        if second & MASKED != 0 {
            return Err(refused("a frame with a mask, which servers do not send"));
        }
        let (bytes, length) = match (second, rest) {
            (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = [*a, *b, *c, *d, *e, *f, *g, *h];
                (8, u64::from_be_bytes(length))
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (0, u64::from(*short)),
        };
        match usize::try_from(length) {
            Ok(fits) if length <= FRAME_MAX_BYTES => Ok(Some((2 + bytes, fits))),
            _ => Err(refused("a frame that is too long")),
        }
    }
}

fn refused(what: &str) -> ApiError {
    ApiError::NoSocket(what.to_owned())
}

/// The answer to a ping. Clients mask what they send; the mask may be known, as what it hides is the
/// server's own.
pub(super) fn pong(echo: &[u8]) -> Vec<u8> {
    // Pings have at most 125 bytes (section 5.5).
    let echo = echo.get(..125).unwrap_or(echo);
    let length = u8::try_from(echo.len()).unwrap_or(125);
    let head = [FINAL | PONG, MASKED | length, 0, 0, 0, 0];
    [head.as_slice(), echo].concat()
}

#[cfg(test)]
mod tests {
    use super::{Frame, Frames, pong};

    /// All frames of bytes that come one by one, and whether they end in an error.
    fn read(bytes: &[u8]) -> (Vec<Frame>, bool) {
        let mut frames = Frames::default();
        let mut read = Vec::new();
        for byte in bytes {
            frames.add(&[*byte]);
            loop {
                match frames.next() {
                    Ok(Some(frame)) => read.push(frame),
                    Ok(None) => break,
                    Err(_) => return (read, true),
                }
            }
        }
        (read, false)
    }

    fn message(content: &'static [u8]) -> Frame {
        Frame::Message(content.into())
    }

    #[test]
    fn frames_are_read_as_the_specification_has_them() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let rows: [(&str, &[u8], Vec<Frame>, bool); 8] = [
            (
                "a message",
                b"\x82\x03\x01ab",
                vec![message(b"\x01ab")],
                false,
            ),
            (
                "nothing on a channel",
                b"\x82\x01\x01",
                vec![message(b"\x01")],
                false,
            ),
            (
                "a message in pieces, and a ping between",
                b"\x02\x02\x01a\x89\x01!\x80\x01b",
                vec![
                    Frame::Other,
                    Frame::Ping(b"!"[..].into()),
                    message(b"\x01ab"),
                ],
                false,
            ),
            (
                "a length of two bytes",
                &long,
                vec![message(&[7; 256])],
                false,
            ),
            (
                "a length of eight bytes",
                b"\x82\x7f\0\0\0\0\0\0\0\x01\x03",
                vec![message(b"\x03")],
                false,
            ),
            ("a close", b"\x88\0", vec![], true),
            ("a mask", b"\x82\x81\0\0\0\0\x01", vec![], true),
            ("too long", b"\x82\x7f\xff\0\0\0\0\0\0\0", vec![], true),
        ];
        for (name, bytes, expected, is_refused) in rows {
            assert_eq!(read(bytes), (expected, is_refused), "{name}");
        }
    }

    #[test]
    fn a_ping_is_echoed_with_a_mask() {
        assert_eq!(pong(b"hi"), b"\x8a\x82\0\0\0\0hi");
        assert_eq!(
            pong(&[1; 200]).len(),
            6 + 125,
            "no longer than a ping may be"
        );
    }
}
