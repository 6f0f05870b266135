//! HTTP/2 requests with header lists that no library would send, and just enough decoding to see
//! what became of them.

use crate::rawclient::RawClient;

/// What a request became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was answered with this status.
    Status(u16),
    /// Its stream was reset.
    Reset,
    /// The connection was given up.
    Goaway,
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Sends one request without a body on a fresh connection.
///
/// # Panics
/// When the connection breaks without a word.
pub async fn fate_of(mut client: RawClient, fields: &[(&str, &[u8])]) -> Fate {
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    frame(
        &mut bytes,
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        &literals(fields),
    );
    client.send(bytes).await;
    loop {
        let head = client.exactly(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = client.exactly(length as usize).await;
        match head[3] {
            HEADERS => return Fate::Status(status(&payload)),
            RST_STREAM => return Fate::Reset,
            GOAWAY => return Fate::Goaway,
            SETTINGS if head[4] & ACK == 0 => {
                let mut ack = Vec::new();
                frame(&mut ack, SETTINGS, ACK, 0, &[]);
                client.send(ack).await;
            }
            DATA => panic!("content before the head of an answer"),
            _ => {}
        }
    }
}

/// Sends one request without an end, and `data` right behind it, on a fresh connection. Returns
/// the status and the first content of the answer.
///
/// # Panics
/// When the connection or the stream breaks, or the answer has no content.
pub async fn ask_early(
    mut client: RawClient,
    fields: &[(&str, &[u8])],
    data: &[u8],
) -> (u16, Vec<u8>) {
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    frame(&mut bytes, HEADERS, END_HEADERS, 1, &literals(fields));
    frame(&mut bytes, DATA, 0, 1, data);
    client.send(bytes).await;
    let mut code = None;
    loop {
        let head = client.exactly(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = client.exactly(length as usize).await;
        match (head[3], code) {
            (HEADERS, None) => code = Some(status(&payload)),
            (DATA, Some(code)) if !payload.is_empty() => return (code, payload),
            (DATA | RST_STREAM | GOAWAY, _) => panic!("the stream broke after {code:?}"),
            (SETTINGS, _) if head[4] & ACK == 0 => {
                let mut ack = Vec::new();
                frame(&mut ack, SETTINGS, ACK, 0, &[]);
                client.send(ack).await;
            }
            _ => {}
        }
    }
}

pub(crate) fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Fields as literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
pub(crate) fn literals(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name.as_bytes());
        text(&mut block, value);
    }
    block
}

/// A string with its length as an integer of a seven-bit prefix (RFC 7541 sections 5.1, 5.2).
fn text(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push((length % 128) as u8 | 128);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text);
}

/// The status of a header block: its first field, indexed or as a literal (RFC 7541 appendix A).
fn status(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [indexed @ 0x88..=0x8e, ..] => INDEXED[usize::from(indexed - 0x88)],
        [0x48, length, rest @ ..] => {
            let value = &rest[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                value.to_vec()
            } else {
                huffman_digits(value)
            };
            let text = String::from_utf8(digits).expect("digits");
            text.parse()
                .unwrap_or_else(|_| panic!("not a status: {text:?}"))
        }
        _ => panic!("not a status field: {:x?}", &block[..block.len().min(8)]),
    }
}

/// Three digits in the Huffman code of RFC 7541 appendix B: five bits for 0 to 2, else six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let number = |from: usize, count: usize| {
        bits.iter()
            .skip(from)
            .take(count)
            .fold(0_u8, |number, bit| number << 1 | bit)
    };
    let (mut at, mut digits) = (0, Vec::new());
    while digits.len() < 3 {
        let short = number(at, 5);
        if short <= 2 {
            digits.push(b'0' + short);
            at += 5;
        } else {
            digits.push(b'0' + number(at, 6) - 0x19 + 3);
            at += 6;
        }
    }
    digits
}
