//! The wire form of Protocol Buffers, as far as a handful of small messages needs it.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Written by hand because a code
//! generator costs every build more than these lines cost a reader.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(BytesMut);

impl Message {
    /// Adds a number, a boolean or an enum value.
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    /// Adds a text, or bytes.
    pub(super) fn text(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(field << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.put_slice(value);
        self
    }

    /// Adds a message.
    pub(super) fn message(self, field: u64, value: Self) -> Self {
        self.text(field, value.0)
    }

    /// Adds messages of a repeated field.
    pub(super) fn messages(self, field: u64, values: impl IntoIterator<Item = Self>) -> Self {
        values
            .into_iter()
            .fold(self, |message, value| message.message(field, value))
    }

    /// The message on the wire.
    pub(super) fn finish(self) -> Bytes {
        self.0.freeze()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value as u8);
    }
}

/// The fields of a message that have a length: texts, bytes and messages, up to the first damage.
pub(super) fn texts(mut message: Bytes) -> impl Iterator<Item = (u64, Bytes)> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut message)?;
            match key & 7 {
                VARINT => {
                    varint(&mut message)?;
                }
                FIXED64 => skip(&mut message, 8)?,
                FIXED32 => skip(&mut message, 4)?,
                LENGTH => {
                    let length = usize::try_from(varint(&mut message)?).ok()?;
                    let whole = length <= message.len();
                    return whole.then(|| (key >> 3, message.split_to(length)));
                }
                _ => return None,
            }
        }
    })
}

fn skip(message: &mut Bytes, count: usize) -> Option<()> {
    (count <= message.len()).then(|| message.advance(count))
}

fn varint(message: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = message.has_remaining().then(|| message.get_u8())?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
