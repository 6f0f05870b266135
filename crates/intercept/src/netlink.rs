//! Netlink (RFC 3549, netlink(7)): messages as bytes, and the socket they go through.
//!
//! The kernel answers a request before `sendto` returns, so nothing here waits: an answer that is not
//! there when it is looked for will not come.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::SocketAddrNetlink, recv, sendto, socket_with,
    },
};

/// The message asks for something (`NLM_F_REQUEST`).
pub(crate) const REQUEST: u16 = 0x01;
/// The kernel shall say that it did it (`NLM_F_ACK`).
pub(crate) const ACK: u16 = 0x04;
/// All objects are asked for (`NLM_F_DUMP`).
pub(crate) const DUMP: u16 = 0x300;
/// Replace what is there (`NLM_F_REPLACE`).
pub(crate) const REPLACE: u16 = 0x100;
/// Fail when it is there (`NLM_F_EXCL`).
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// Make what is not there (`NLM_F_CREATE`).
pub(crate) const CREATE: u16 = 0x400;
/// Put it behind what is there (`NLM_F_APPEND`).
pub(crate) const APPEND: u16 = 0x800;

/// `NLMSG_ERROR`: an errno, zero of which is an acknowledgement.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`: something changed during a dump.
const INTERRUPTED: u16 = 0x10;
/// An attribute made of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// The bits of an attribute's type that name it (`NLA_TYPE_MASK`).
const TYPE: u16 = 0x3fff;
const HEADER: usize = 16;
/// More than the kernel puts into one datagram of a dump (32 KiB).
const BUFFER: usize = 64 * 1024;
/// Dumps that are begun again because something changed meanwhile.
const DUMPS: usize = 8;

/// Attributes in the order in which they were put: length, type, value, padding to four bytes.
#[derive(Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Values are a name, a number or an expression: far below the 64 KiB a length can say.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        pad(&mut self.0);
        self
    }

    /// A text with the NUL that ends it.
    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut value = text.as_bytes().to_owned();
        value.push(0);
        self.put(kind, &value)
    }

    /// A number as nftables has it, the highest byte first.
    pub(crate) fn number(&mut self, kind: u16, number: u32) -> &mut Self {
        self.put(kind, &number.to_be_bytes())
    }

    pub(crate) fn nest(&mut self, kind: u16, inner: &Self) -> &mut Self {
        self.put(kind | NESTED, &inner.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One message: what it is about, the header of its family, attributes.
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) header: Vec<u8>,
    pub(crate) attributes: Attributes,
}

impl Message {
    fn write(&self, into: &mut Vec<u8>, sequence: u32) {
        let length = HEADER + self.header.len() + self.attributes.0.len();
        into.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        into.extend(self.kind.to_ne_bytes());
        into.extend((self.flags | REQUEST).to_ne_bytes());
        into.extend(sequence.to_ne_bytes());
        into.extend(0_u32.to_ne_bytes());
        into.extend(&self.header);
        into.extend(self.attributes.bytes());
        pad(into);
    }
}

/// One object of a dump: what is behind the header of its message.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
}

/// Attributes of a received message, by type without its flags; ends at the first that is no
/// attribute.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a type.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// A text as the kernel writes it, without the NUL.
pub(crate) fn text(value: &[u8]) -> &str {
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    std::str::from_utf8(text).unwrap_or_default()
}

/// Why a request had no effect.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Which message of those sent together; the last one is named when none was.
    pub(crate) at: usize,
    pub(crate) error: io::Error,
}

/// A netlink socket of the namespace in which it is opened.
pub(crate) struct Socket {
    socket: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Of one of netlink's protocols; without, of routing (`NETLINK_ROUTE`, which is 0).
    pub(crate) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends messages in one datagram and reads one acknowledgement for each that asks for it.
    pub(crate) fn request(&mut self, messages: &[Message]) -> Result<(), Refusal> {
        let last = messages.len().saturating_sub(1);
        let failed = |error| Refusal { at: last, error };
        let first = self.send(messages).map_err(failed)?;
        let mut expected = messages.iter().filter(|it| it.flags & ACK != 0).count();
        let mut refused = None;
        while expected > 0 && refused.is_none() {
            let mut seen = 0;
            let each = |sequence: u32, kind: u16, _, body: &[u8]| {
                let Some(code) = errno(kind, body) else {
                    return;
                };
                // What an earlier request that failed has left is not about this one.
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if at > last {
                    return;
                }
                seen += 1;
                if code != 0 && refused.is_none() {
                    let error = io::Error::from_raw_os_error(code);
                    refused = Some(Refusal { at, error });
                }
            };
            self.receive(each).map_err(failed)?;
            expected = expected.saturating_sub(seen);
        }
        refused.map_or(Ok(()), Err)
    }

    /// All objects a message asks for.
    pub(crate) fn dump(&mut self, message: &Message) -> io::Result<Vec<Answer>> {
        for _ in 0..DUMPS {
            let (answers, is_whole) = self.dump_once(message)?;
            if is_whole {
                return Ok(answers);
            }
        }
        Err(io::Error::other("what is listed changes all the time"))
    }

    fn dump_once(&mut self, message: &Message) -> io::Result<(Vec<Answer>, bool)> {
        let expected = self.send(std::slice::from_ref(message))?;
        let (mut answers, mut is_whole, mut end) = (Vec::new(), true, None);
        while end.is_none() {
            let each = |sequence: u32, kind: u16, flags: u16, body: &[u8]| {
                if sequence != expected {
                    return;
                }
                is_whole &= flags & INTERRUPTED == 0;
                match errno(kind, body) {
                    Some(code) => end = Some(code),
                    None if kind == DONE => end = Some(0),
                    None => answers.push(Answer {
                        body: body.to_owned(),
                    }),
                }
            };
            self.receive(each)?;
        }
        match end {
            Some(0) | None => Ok((answers, is_whole)),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// The sequence number of the first message; the others count on.
    fn send(&mut self, messages: &[Message]) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.write(&mut bytes, self.sequence);
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = sendto(self.socket.as_fd(), &bytes, SendFlags::empty(), &kernel)?;
        if sent == bytes.len() {
            Ok(first)
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// One datagram, message by message: sequence number, type, flags, body.
    fn receive(&self, mut each: impl FnMut(u32, u16, u16, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let length = loop {
            match recv(self.socket.as_fd(), &mut buffer[..], flags) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::Error::other("the kernel did not answer")),
                other => break other?.1,
            }
        };
        let Some(mut rest) = buffer.get(..length) else {
            return Err(io::Error::other("an answer of the kernel is too long"));
        };
        while let Some(message) = Received::first(rest) {
            each(message.sequence, message.kind, message.flags, message.body);
            rest = rest.get(message.length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The first message of a datagram.
struct Received<'a> {
    /// With its padding.
    length: usize,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl<'a> Received<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        Some(Self {
            length: padded(length),
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            body: bytes.get(HEADER..length)?,
        })
    }
}

/// The errno of an error message, zero for an acknowledgement.
fn errno(kind: u16, body: &[u8]) -> Option<i32> {
    let code = u32_at(body, 0).filter(|_| kind == ERROR)?;
    Some(code.cast_signed().wrapping_neg())
}

/// Two bytes in the order of this machine.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let found = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(found.try_into().ok()?))
}

/// Four bytes in the order of this machine.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(found.try_into().ok()?))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(padded(bytes.len()), 0);
}
