//! The first flight of TLS: records, and the ClientHello inside them.
//!
//! Only what routing needs is kept: the server name and the offered application protocols. The
//! message may be spread over several records, as large post-quantum key shares make it. Anything
//! ambiguous (a repeated extension, two host names, bytes after the last field) is not TLS for us:
//! two readers of such a message may see different names.

use std::net::IpAddr;

use crate::Detection;
use crate::reader::Reader;

/// Content type `handshake` (RFC 8446 §5.1).
pub(crate) const HANDSHAKE_RECORD: u8 = 22;

/// Greatest ClientHello read, without record headers. A hello with a hybrid post-quantum share
/// has less than 2 KiB, with Encrypted ClientHello less than 4 KiB.
pub const MAX_CLIENT_HELLO_BYTES: usize = 16 * 1024;

/// Records of a hello that does not fit one record carry at least this much; the last may carry
/// less. It keeps a peer from making us look at six bytes for each byte of its hello.
const MIN_FRAGMENT_BYTES: usize = 32;

const RECORD_HEADER_BYTES: usize = 5;
const MESSAGE_HEADER_BYTES: usize = 4;
const MAX_FRAGMENT_BYTES: usize = 1 << 14;
const MAX_MESSAGE_BYTES: usize = MESSAGE_HEADER_BYTES + MAX_CLIENT_HELLO_BYTES;

/// The longest stream that can still be undecided.
pub(crate) const MAX_STREAM_BYTES: usize =
    MAX_MESSAGE_BYTES + (MAX_MESSAGE_BYTES / MIN_FRAGMENT_BYTES + 1) * RECORD_HEADER_BYTES;

const CLIENT_HELLO: u8 = 1;
const RANDOM_BYTES: usize = 32;
const MAX_SESSION_ID_BYTES: usize = 32;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const HOST_NAME: u8 = 0;
const MAX_HOST_BYTES: usize = 255;

/// What a ClientHello asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The server name in lower case: at most 255 bytes of letters, digits, `.`, `-`, `_`. `None`
    /// if there is none, or an IP address, which RFC 6066 §3 forbids and which names nothing.
    pub sni: Option<String>,
    /// Application protocols in the client's order, as sent (RFC 7301); GREASE values included.
    pub alpn: Vec<Vec<u8>>,
}

impl ClientHello {
    /// Whether the client offers `protocol`, such as `b"h2"`.
    #[must_use]
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.alpn.iter().any(|offered| offered == protocol)
    }
}

/// Decides about bytes that start with [`HANDSHAKE_RECORD`].
pub(crate) fn detect(received: &[u8]) -> Detection {
    match message(received) {
        Message::Incomplete => Detection::NeedMore,
        Message::Invalid => Detection::Opaque,
        Message::Complete(body) => parse(&body).map_or(Detection::Opaque, Detection::Tls),
    }
}

/// The first handshake message, taken out of its records.
enum Message {
    Incomplete,
    Invalid,
    /// The body of a ClientHello.
    Complete(Vec<u8>),
}

fn message(received: &[u8]) -> Message {
    let mut message = Vec::new();
    let mut rest = received;
    loop {
        let (fragment, length) = match record(rest) {
            Record::Incomplete => return Message::Incomplete,
            Record::Invalid => return Message::Invalid,
            Record::Fragment { received, length } => (received, length),
        };
        message.extend_from_slice(fragment);
        let wanted = match wanted(&message) {
            Wanted::Unknown => MESSAGE_HEADER_BYTES,
            Wanted::Invalid => return Message::Invalid,
            Wanted::Bytes(count) => count,
        };
        if message.len() >= wanted && wanted > MESSAGE_HEADER_BYTES {
            message.truncate(wanted);
            return Message::Complete(message.split_off(MESSAGE_HEADER_BYTES));
        }
        if fragment.len() < length {
            return Message::Incomplete;
        }
        if length < MIN_FRAGMENT_BYTES {
            // A whole record, short, and not the last of its message.
            return Message::Invalid;
        }
        rest = &rest[RECORD_HEADER_BYTES + length..];
    }
}

enum Record<'a> {
    Incomplete,
    Invalid,
    /// What has been received of a fragment that will have `length` bytes.
    Fragment {
        received: &'a [u8],
        length: usize,
    },
}

/// The record at the start of `bytes`, judged as early as its bytes allow.
fn record(bytes: &[u8]) -> Record<'_> {
    let header = &bytes[..bytes.len().min(RECORD_HEADER_BYTES)];
    // The version is frozen at 3.1 or 3.3; old clients write 3.0 (RFC 8446 §5.1, appendix D).
    let plausible = header
        .iter()
        .zip(0..)
        .all(|(&byte, position)| match position {
            0 => byte == HANDSHAKE_RECORD,
            1 => byte == 3,
            2 => byte <= 4,
            _ => true,
        });
    if !plausible {
        return Record::Invalid;
    }
    let &[_, _, _, high, low] = header else {
        return Record::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // A handshake fragment is never empty (RFC 8446 §5.1).
    if length == 0 || length > MAX_FRAGMENT_BYTES {
        return Record::Invalid;
    }
    let body = &bytes[RECORD_HEADER_BYTES..];
    Record::Fragment {
        received: &body[..body.len().min(length)],
        length,
    }
}

enum Wanted {
    /// The header is not complete.
    Unknown,
    /// Not a ClientHello, or one too large.
    Invalid,
    /// Header and body together.
    Bytes(usize),
}

fn wanted(message: &[u8]) -> Wanted {
    if message.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
        return Wanted::Invalid;
    }
    let &[_, high, middle, low, ..] = message else {
        return Wanted::Unknown;
    };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length == 0 || length > MAX_CLIENT_HELLO_BYTES {
        return Wanted::Invalid;
    }
    Wanted::Bytes(MESSAGE_HEADER_BYTES + length)
}

/// Reads the body of a ClientHello (RFC 8446 §4.1.2); `None` if it is malformed or ambiguous.
fn parse(body: &[u8]) -> Option<ClientHello> {
    let mut body = Reader::new(body);
    let major = body.u16()? >> 8;
    body.bytes(RANDOM_BYTES)?;
    let session_id = body.vec8()?;
    let suites = body.vec16()?;
    let compressions = body.vec8()?;
    let plausible = major == 3
        && session_id.len() <= MAX_SESSION_ID_BYTES
        && !suites.is_empty()
        && suites.len().is_multiple_of(2)
        && !compressions.is_empty();
    if !plausible {
        return None;
    }
    if body.is_empty() {
        // TLS 1.2 without extensions.
        return Some(ClientHello::default());
    }
    let extensions = body.vec16()?;
    if !body.is_empty() {
        return None;
    }
    parse_extensions(extensions)
}

fn parse_extensions(extensions: &[u8]) -> Option<ClientHello> {
    let mut rest = Reader::new(extensions);
    let (mut server_name, mut alpn) = (None, None);
    while !rest.is_empty() {
        let (kind, value) = (rest.u16()?, rest.vec16()?);
        let slot = match kind {
            SERVER_NAME => &mut server_name,
            ALPN => &mut alpn,
            _ => continue,
        };
        // At most one of each kind (RFC 8446 §4.2).
        if slot.replace(value).is_some() {
            return None;
        }
    }
    let sni = match server_name {
        Some(value) => parse_server_name(value)?,
        None => None,
    };
    let alpn = match alpn {
        Some(value) => parse_alpn(value)?,
        None => Vec::new(),
    };
    Some(ClientHello { sni, alpn })
}

/// RFC 6066 §3. The outer `None` is a malformed list, the inner one an IP address.
fn parse_server_name(value: &[u8]) -> Option<Option<String>> {
    let mut value = Reader::new(value);
    let mut names = Reader::new(value.vec16()?);
    // `host_name` is the only type there is, and a type may appear once.
    let (kind, name) = (names.u8()?, names.vec16()?);
    if kind != HOST_NAME || !names.is_empty() || !value.is_empty() {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    if name.parse::<IpAddr>().is_ok() {
        return Some(None);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_host = (1..=MAX_HOST_BYTES).contains(&name.len()) && name.bytes().all(allowed);
    is_host.then(|| Some(name.to_ascii_lowercase()))
}

/// RFC 7301 §3.1.
fn parse_alpn(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut value = Reader::new(value);
    let mut names = Reader::new(value.vec16()?);
    if names.is_empty() || !value.is_empty() {
        return None;
    }
    let mut protocols = Vec::new();
    while !names.is_empty() {
        let name = names.vec8()?;
        if name.is_empty() {
            return None;
        }
        protocols.push(name.to_vec());
    }
    Some(protocols)
}
