//! The one path normaliser: what it returns is matched *and* forwarded, so that a route, a policy
//! and a backend never see three different paths.

use std::borrow::Cow;

/// A path in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'a> {
    /// The normal form; borrowed if the path was in it already.
    pub path: Cow<'a, str>,
    /// Whether the path holds `%2F`, `%5C` or `%00`. Backends disagree on what those mean, so a
    /// table that restricts by path must refuse the request with 400.
    pub encoded_separator: bool,
}

/// Why a path is refused, always with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Neither absolute nor `*`.
    #[error("the path does not start with \"/\"")]
    NotAbsolute,
    /// Some backends read a backslash as a slash.
    #[error("the path holds a backslash; send it as %5C if it is meant")]
    Backslash,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the path holds a \"%\" that two hexadecimal digits do not follow; send it as %25")]
    MalformedEscape,
    /// A control character or a space (RFC 3986 section 2, RFC 9112 section 3).
    #[error("the path holds a control character or a space; send it percent-encoded")]
    ForbiddenByte,
}

/// Brings the path component of a request target into normal form.
///
/// In this order, as a reader of the path from left to right would do it:
/// escapes of unreserved characters are decoded and the digits of all others upper-cased (RFC 3986
/// section 6.2.2), runs of `/` become one, `.` and `..` segments are removed (section 5.2.4; `..`
/// stops at the root). Everything else, bytes above 0x7F included, stays as it is. Decoding happens
/// once: `%252e` is not a dot. The result is a fixed point: normalising it again changes nothing.
///
/// # Errors
/// [`PathError`]; the request must be answered with 400.
pub fn normalise(path: &str) -> Result<Normalised<'_>, PathError> {
    if is_plain(path.as_bytes()) {
        return Ok(Normalised {
            path: Cow::Borrowed(path),
            encoded_separator: false,
        });
    }
    match path {
        "" => {
            return Ok(Normalised {
                path: Cow::Borrowed("/"),
                encoded_separator: false,
            });
        }
        "*" => {
            return Ok(Normalised {
                path: Cow::Borrowed(path),
                encoded_separator: false,
            });
        }
        _ if !path.starts_with('/') => return Err(PathError::NotAbsolute),
        _ => {}
    }
    let decoded = decode_unreserved(path)?;
    let clean = remove_segments(&decoded.path);
    let path = if clean == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(clean)
    };
    Ok(Normalised {
        path,
        encoded_separator: decoded.encoded_separator,
    })
}

/// Whether a path is certain to be in normal form. May say no to one that is (`/a%20b`), which only
/// costs a closer look.
fn is_plain(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut after_slash = false;
    for (at, &byte) in path.iter().enumerate() {
        match byte {
            b'/' if after_slash => return false,
            b'.' if after_slash && is_dot_segment(&path[at..]) => return false,
            b'%' | b'\\' | 0x00..=0x20 | 0x7F => return false,
            _ => {}
        }
        after_slash = byte == b'/';
    }
    true
}

/// Whether the segment at the head of `rest` is `.` or `..`.
fn is_dot_segment(rest: &[u8]) -> bool {
    matches!(
        rest,
        [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
    )
}

/// First half: judge every byte, decode the escapes of unreserved characters.
fn decode_unreserved(path: &str) -> Result<Normalised<'static>, PathError> {
    let mut decoded = String::with_capacity(path.len());
    let mut encoded_separator = false;
    let mut rest = path;
    while let Some(at) = rest.find(|c: char| matches!(c, '%' | '\\' | '\0'..=' ' | '\x7F')) {
        let (clean, odd) = rest.split_at(at);
        decoded.push_str(clean);
        match odd.as_bytes() {
            [b'%', high, low, ..] => {
                let byte = escaped_byte(*high, *low).ok_or(PathError::MalformedEscape)?;
                encoded_separator |= matches!(byte, b'/' | b'\\' | 0);
                push_byte(&mut decoded, byte);
                rest = &odd[3..];
            }
            [b'%', ..] => return Err(PathError::MalformedEscape),
            [b'\\', ..] => return Err(PathError::Backslash),
            _ => return Err(PathError::ForbiddenByte),
        }
    }
    decoded.push_str(rest);
    Ok(Normalised {
        path: Cow::Owned(decoded),
        encoded_separator,
    })
}

/// The byte that `%` and two digits stand for.
pub(crate) fn escaped_byte(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

/// Appends a decoded byte: itself if it is unreserved, else its escape in upper case.
fn push_byte(path: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            path.push(char::from(byte));
        }
        _ => {
            path.push('%');
            path.push(char::from(DIGITS[usize::from(byte >> 4)]));
            path.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Second half: merge slashes and remove dot segments of an absolute path.
fn remove_segments(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    // A path that ends in a dot segment names a directory: `/a/b/..` is `/a/`.
    let mut open = true;
    for segment in path.split('/') {
        open = true;
        match segment {
            "" | "." => {}
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            _ => {
                clean.push('/');
                clean.push_str(segment);
                open = false;
            }
        }
    }
    if open {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests;
