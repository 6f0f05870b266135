//! Where the messages of a gRPC body begin and end.

/// A message is a flag, four bytes of length, and that many bytes ("gRPC over HTTP/2",
/// Length-Prefixed-Message). DATA frames know nothing of it: either may be split over the other.
#[derive(Debug, Default)]
pub(super) struct Messages {
    prefix: [u8; 5],
    /// Bytes of the prefix that are there; 0 between messages and inside one.
    in_prefix: usize,
    /// Bytes of the message that are to come.
    left: usize,
    begun: Begun,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begun {
    #[default]
    None,
    One,
    Many,
}

impl Messages {
    /// Reads on; true when a second message has begun in these bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.begun;
        // Of the third message and those after it nobody wants to know anything.
        while before != Begun::Many && !bytes.is_empty() {
            if self.left > 0 {
                let some = self.left.min(bytes.len());
                self.left -= some;
                bytes = &bytes[some..];
                continue;
            }
            if self.in_prefix == 0 {
                self.begun = match self.begun {
                    Begun::None => Begun::One,
                    Begun::One | Begun::Many => return self.second(),
                };
            }
            self.prefix[self.in_prefix] = bytes[0];
            self.in_prefix += 1;
            bytes = &bytes[1..];
            if self.in_prefix == self.prefix.len() {
                let [_compressed, length @ ..] = self.prefix;
                self.in_prefix = 0;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            }
        }
        false
    }

    fn second(&mut self) -> bool {
        self.begun = Begun::Many;
        true
    }

    /// Exactly one message, and all of it.
    pub(super) fn are_one(&self) -> bool {
        self.begun == Begun::One && self.in_prefix == 0 && self.left == 0
    }

    /// More than one has begun.
    pub(super) fn are_many(&self) -> bool {
        self.begun == Begun::Many
    }
}
