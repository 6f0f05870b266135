//! Reads the head of an HTTP/1.1 answer, as far as counting answers needs it.

#[cfg(test)]
mod tests;

/// What is known of an answer after some of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The head is not complete yet.
    More,
    /// This is no HTTP/1.1 answer.
    Broken,
    /// The head is complete.
    Head(Head),
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status code.
    pub(crate) status: u16,
    /// Length of the head with its empty line.
    pub(crate) head_bytes: usize,
    /// `content-length`; without one the body lasts until the connection closes.
    pub(crate) body_bytes: Option<usize>,
    /// Whether the server will close the connection after the body.
    pub(crate) closes: bool,
}

/// Parses the start of `bytes`. No chunked bodies: no peer of the benchmark answers with one.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Parsed::More;
    };
    let head_bytes = end + 4;
    let Ok(head) = str::from_utf8(&bytes[..end]) else {
        return Parsed::Broken;
    };
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|code| code.parse().ok());
    let Some(status) = status else {
        return Parsed::Broken;
    };
    let mut parsed = Head {
        status,
        head_bytes,
        body_bytes: None,
        closes: false,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let Ok(length) = value.parse() else {
                return Parsed::Broken;
            };
            parsed.body_bytes = Some(length);
        } else if name.eq_ignore_ascii_case("connection") {
            parsed.closes = value.eq_ignore_ascii_case("close");
        }
    }
    Parsed::Head(parsed)
}
