//! HTTP/2 by hand (RFC 9113), so that what is on the wire is judged by something else than the library
//! that put it there.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use weft_certs::TlsStream;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame (section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a short frame");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The big-endian number at `at` of the payload.
    pub(super) fn number(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }

    /// Identifiers and values of a SETTINGS frame (section 6.5.1).
    pub(super) fn settings(&self) -> Vec<(u16, u32)> {
        let read = |pair: &[u8]| {
            let id = u16::from_be_bytes([pair[0], pair[1]]);
            (id, u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]))
        };
        self.payload.chunks(6).map(read).collect()
    }

    /// The status of a HEADERS frame: an entry of the static table, or its name with a literal in
    /// Huffman code (RFC 7541 appendices A and B), of which digits are all that is needed.
    pub(super) fn status(&self) -> u16 {
        let block = &self.payload;
        match block[0] {
            index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
            0x48 => {
                assert_eq!(block[1] & 0x80, 0x80, "a Huffman literal");
                let length = usize::from(block[1] & 0x7f);
                digits(&block[2..2 + length]).parse().expect("a status")
            }
            other => panic!("a response begins with its status, not {other:#x}"),
        }
    }
}

fn digits(code: &[u8]) -> String {
    let bits: Vec<u8> = code
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
        .collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | bit);
    let (mut at, mut text) = (0, String::new());
    while text.len() < 3 {
        let short = value(&bits[at..at + 5]);
        if short < 3 {
            text.push(char::from(b'0' + short));
            at += 5;
        } else {
            text.push(char::from(b'0' + value(&bits[at..at + 6]) - 0b01_0110));
            at += 6;
        }
    }
    text
}

/// A header block of literals without indexing (RFC 7541 section 6.2.2).
pub(super) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            string(&mut block, text);
        }
    }
    block
}

/// A string literal (RFC 7541 section 5.2), with a length of any size.
fn string(block: &mut Vec<u8>, text: &str) {
    let mut rest = text.len();
    if rest < 0x7f {
        block.push(u8::try_from(rest).expect("below 127"));
    } else {
        block.push(0x7f);
        rest -= 0x7f;
        while rest >= 0x80 {
            block.push(u8::try_from(rest & 0x7f | 0x80).expect("eight bits"));
            rest >>= 7;
        }
        block.push(u8::try_from(rest).expect("seven bits"));
    }
    block.extend(text.as_bytes());
}

/// A peer made by hand, on a TLS connection that has been set up.
pub(super) struct Peer(pub(super) TlsStream<DuplexStream>);

impl Peer {
    /// Speaks first as a client does: preface and settings.
    pub(super) async fn greet(&mut self) {
        self.0.write_all(PREFACE).await.expect("open");
        self.send(&Frame::new(SETTINGS, 0, 0, [])).await;
    }

    pub(super) async fn send(&mut self, frame: &Frame) {
        self.0.write_all(&frame.bytes()).await.expect("open");
        self.0.flush().await.expect("open");
    }

    /// Asks with such a head, and leaves the stream open.
    pub(super) async fn ask(&mut self, stream: u32, head: &[(&str, &str)]) {
        self.send(&Frame::new(HEADERS, END_HEADERS, stream, block(head)))
            .await;
    }

    pub(super) async fn connect(&mut self, stream: u32, authority: &str) {
        self.ask(stream, &[(":method", "CONNECT"), (":authority", authority)])
            .await;
    }

    /// The next frame; `None` when the connection is over.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("32 bits")];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame::new(head[3], head[4], stream, payload))
    }

    /// The next frame of one of `kinds`; settings are acknowledged on the way, others passed over.
    pub(super) async fn next_of(&mut self, kinds: &[u8]) -> Frame {
        loop {
            let frame = self.frame().await.expect("a frame of the kind is to come");
            if kinds.contains(&frame.kind) {
                return frame;
            }
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
            }
        }
    }

    /// Every frame that arrives until the other side has dealt with everything sent so far: it answers
    /// a PING as soon as it has read it, and a second one after it has acted on what it read.
    pub(super) async fn until_pong(&mut self) -> Vec<Frame> {
        let mut before = Vec::new();
        for token in [*b"it reads", *b"it acted"] {
            self.send(&Frame::new(PING, 0, 0, token)).await;
            loop {
                let frame = self.frame().await.expect("a PING is answered");
                if frame.kind == PING && frame.flags & ACK == ACK && frame.payload == token {
                    break;
                }
                if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                    self.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
                }
                before.push(frame);
            }
        }
        before
    }
}
