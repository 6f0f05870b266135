//! The framing guard: watches the bytes of an HTTP/1 client connection for what hyper accepts or
//! hides and two parsers could read differently (RFC 9112 sections 2.2, 6 and 7.1).
//!
//! It also knows where HTTP may end: behind a request that asks for an upgrade, the bytes belong to
//! one protocol or the other only once the request is answered.
//!
//! hyper drops `Content-Length` beside `Transfer-Encoding`, joins repeated encodings, takes a bare
//! LF for a line end and trailing space after a chunk size. A proxy in front of servers that decide
//! otherwise must not let such a request through, and once hyper has parsed it nothing shows it any
//! more. The guard follows the framing of the stream itself, in one pass and without keeping bytes,
//! and stops the stream before the first byte it does not trust.

use weft_telemetry::Reason;

use crate::limits;

/// Why a stream is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// LF without CR, or CR without LF, in a head.
    BareLineEnd,
    /// `Content-Length` and `Transfer-Encoding` in one request, or one of them twice.
    AmbiguousLength,
    /// A `Content-Length` that is no number.
    BadLength,
    /// A `Transfer-Encoding` other than exactly `chunked`.
    BadEncoding,
    /// A chunk size or chunk delimiter that is not strictly well-formed.
    BadChunk,
    /// A framing field in the trailers.
    FramingInTrailers,
    /// The head or a field line is longer than allowed.
    HeadTooLarge,
    /// The request line is longer than allowed.
    TargetTooLong,
}

/// Why [`Guard::inspect`] stops before the end of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing more is passed on.
    Violation(Violation),
    /// Whether the rest is HTTP depends on the answer to the request before it; see
    /// [`Guard::stays_http`].
    Undecided,
}

/// Where in the stream the guard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before or inside a head; `lines` complete lines of it were seen.
    Head { lines: u32 },
    /// This many body bytes follow.
    Body(u64),
    /// A chunk size line follows.
    ChunkSize,
    /// This many bytes of chunk data follow.
    ChunkData(u64),
    /// The line end after chunk data follows.
    ChunkEnd,
    /// Trailer lines follow.
    Trailers,
    /// Behind a request that asks for an upgrade.
    Undecided,
}

/// Follows one client stream.
#[derive(Debug)]
pub(crate) struct Guard {
    state: State,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    head_bytes: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    requests: u32,
}

impl Violation {
    /// The status the client gets.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge => 431,
            Self::TargetTooLong => 414,
            _ => 400,
        }
    }

    /// The reason for metrics and the access log.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::HeadTooLarge | Self::TargetTooLong => Reason::HeadTooLarge,
            _ => Reason::InvalidRequest,
        }
    }
}

impl Guard {
    /// A guard for a stream that begins with a request head.
    pub(crate) fn new() -> Self {
        let state = State::Head { lines: 0 };
        Self {
            state,
            partial: Vec::new(),
            head_bytes: 0,
            length: None,
            chunked: false,
            upgrade: false,
            requests: 0,
        }
    }

    /// Complete heads seen so far; wraps around.
    pub(crate) fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether the next byte belongs to HTTP or to another protocol, which the answer to the last
    /// request will say.
    pub(crate) fn is_undecided(&self) -> bool {
        self.state == State::Undecided
    }

    /// The request for an upgrade was answered with something else: what follows is a head.
    pub(crate) fn stays_http(&mut self) {
        self.state = self.next_head();
    }

    /// Whether a head has begun and is not complete.
    pub(crate) fn in_head(&self) -> bool {
        matches!(self.state, State::Head { .. }) && self.head_bytes > 0
    }

    /// Whether the stream is inside a body, so that a violation concerns the request being served.
    pub(crate) fn in_body(&self) -> bool {
        !matches!(self.state, State::Head { .. } | State::Undecided)
    }

    /// Follows `bytes`. If it has to stop, says how many of them may be passed on.
    pub(crate) fn inspect(&mut self, bytes: &[u8]) -> Result<(), (usize, Stop)> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.state == State::Undecided {
                return Err((at, Stop::Undecided));
            }
            match self.step(rest) {
                Ok(taken) => at += taken,
                Err(violation) => return Err((at, Stop::Violation(violation))),
            }
        }
        Ok(())
    }

    /// Takes one line or one run of body bytes from the front of `rest`; says how many.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Violation> {
        match self.state {
            State::Body(left) => {
                let (taken, left) = consume(rest, left);
                self.state = if left == 0 {
                    self.end_of_request()
                } else {
                    State::Body(left)
                };
                Ok(taken)
            }
            State::ChunkData(left) => {
                let (taken, left) = consume(rest, left);
                self.state = if left == 0 {
                    State::ChunkEnd
                } else {
                    State::ChunkData(left)
                };
                Ok(taken)
            }
            State::Head { .. } | State::ChunkSize | State::ChunkEnd | State::Trailers => {
                self.line(rest)
            }
            State::Undecided => Ok(0),
        }
    }

    fn end_of_request(&mut self) -> State {
        if self.upgrade {
            State::Undecided
        } else {
            self.next_head()
        }
    }

    fn next_head(&mut self) -> State {
        self.head_bytes = 0;
        self.length = None;
        self.chunked = false;
        self.upgrade = false;
        State::Head { lines: 0 }
    }

    fn line(&mut self, rest: &[u8]) -> Result<usize, Violation> {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.bounded(rest.len())?;
            self.partial.extend_from_slice(rest);
            return Ok(rest.len());
        };
        self.bounded(end + 1)?;
        let fresh = rest.get(..end).unwrap_or_default();
        if self.partial.is_empty() {
            self.complete(fresh)?;
        } else {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(fresh);
            self.complete(&line)?;
        }
        Ok(end + 1)
    }

    /// Counts `more` bytes of the current line against the bounds.
    fn bounded(&mut self, more: usize) -> Result<(), Violation> {
        self.head_bytes += more;
        let first = self.state == State::Head { lines: 0 };
        if self.partial.len() + more > limits::HEAD_LINE {
            return Err(if first {
                Violation::TargetTooLong
            } else {
                Violation::HeadTooLarge
            });
        }
        if self.head_bytes > limits::HEAD_BYTES {
            Err(Violation::HeadTooLarge)
        } else {
            Ok(())
        }
    }

    /// A line without its LF.
    fn complete(&mut self, line: &[u8]) -> Result<(), Violation> {
        let bare = match self.state {
            State::Head { .. } | State::Trailers => Violation::BareLineEnd,
            _ => Violation::BadChunk,
        };
        let line = line.strip_suffix(b"\r").ok_or(bare)?;
        if memchr::memchr(b'\r', line).is_some() {
            return Err(bare);
        }
        self.state = match self.state {
            State::Head { lines } => self.head_line(line, lines)?,
            State::ChunkSize => match chunk_size(line).ok_or(Violation::BadChunk)? {
                0 => State::Trailers,
                size => {
                    self.head_bytes = 0;
                    State::ChunkData(size)
                }
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::Trailers if line.is_empty() => self.end_of_request(),
            State::Trailers => trailer(line)?,
            State::ChunkEnd | State::Body(_) | State::ChunkData(_) | State::Undecided => {
                return Err(Violation::BadChunk);
            }
        };
        Ok(())
    }

    fn head_line(&mut self, line: &[u8], lines: u32) -> Result<State, Violation> {
        match (line.is_empty(), lines) {
            // An empty line before a request line is skipped (RFC 9112 section 2.2).
            (true, 0) => Ok(self.next_head()),
            (true, _) => Ok(self.body()),
            (false, 0) => Ok(State::Head { lines: 1 }),
            (false, _) => {
                self.field(line)?;
                Ok(State::Head {
                    lines: lines.saturating_add(1),
                })
            }
        }
    }

    /// What follows a complete head.
    fn body(&mut self) -> State {
        self.head_bytes = 0;
        self.requests = self.requests.wrapping_add(1);
        match (self.chunked, self.length) {
            (true, _) => State::ChunkSize,
            (false, None | Some(0)) => self.end_of_request(),
            (false, Some(length)) => State::Body(length),
        }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Violation> {
        // Most fields are told apart by their first letter.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U')) {
            return Ok(());
        }
        let Some((name, value)) = split_field(line) else {
            return Ok(());
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() || self.chunked {
                return Err(Violation::AmbiguousLength);
            }
            self.length = Some(decimal(value).ok_or(Violation::BadLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.length.is_some() || self.chunked {
                return Err(Violation::AmbiguousLength);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::BadEncoding);
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

fn consume(rest: &[u8], left: u64) -> (usize, u64) {
    let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
    (taken, left - taken as u64)
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = line.split_at(colon);
    Some((name, value.get(1..).unwrap_or_default().trim_ascii()))
}

/// Digits only; a sign, a list or white space inside is no length.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `chunk-size [ chunk-ext ]` without the white space that RFC 9112 section 7.1.1 lets a sender use
/// by mistake before the extension.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn trailer(line: &[u8]) -> Result<State, Violation> {
    let framing = [
        &b"content-length"[..],
        b"transfer-encoding",
        b"host",
        b"connection",
    ];
    match split_field(line) {
        Some((name, _)) if framing.iter().any(|field| name.eq_ignore_ascii_case(field)) => {
            Err(Violation::FramingInTrailers)
        }
        _ => Ok(State::Trailers),
    }
}
