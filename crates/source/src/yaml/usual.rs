//! The YAML that configuration is mostly made of, read in one pass over its bytes.
//!
//! This reader knows block maps and lists, scalars on one line without escapes, and collections in
//! brackets on one line, all in ASCII. At anything else it gives up, and the document goes to the
//! parser of all YAML, which also tells what is wrong. So it may be incomplete but never wrong:
//! what it gives is what the other gives.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::ScalarStyle;

use super::build::{Key, key_of};
use super::scalar;

/// Longest document: none of this size can have more values than a budget allows.
const TEXT_MAX_BYTES: usize = 512 << 10;
/// Most nested collections, far below the budget of all YAML.
const DEPTH_MAX: usize = 32;
/// Longest key; YAML allows 1,024 characters.
const KEY_MAX_BYTES: usize = 256;

/// The value of a document; `None` when that is not for this reader to say.
pub(super) fn parse(text: &str) -> Option<Value> {
    if text.len() > TEXT_MAX_BYTES || !text.bytes().all(is_usual) {
        return None;
    }
    let mut reader = Reader {
        text,
        at: 0,
        column: None,
        depth: 0,
    };
    reader.find_content();
    if reader.column == Some(0) && reader.rest().starts_with("---\n") {
        reader.at += "---\n".len();
        reader.find_content();
    }
    let value = reader.map(reader.column.filter(|column| *column == 0)?)?;
    reader.column.is_none().then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte. Between two values it stands where the content of a line begins.
    at: usize,
    /// The column of that content, from 0; `None` at the end of the text.
    column: Option<usize>,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A map whose keys stand in a column, the first of them here.
    fn map(&mut self, column: usize) -> Option<Value> {
        self.enter()?;
        let mut fields = Map::new();
        loop {
            let key = self.key()?;
            let value = self.value(column)?;
            if fields.insert(key, value).is_some() {
                return None;
            }
            match self.column {
                Some(next) if next == column => {}
                Some(next) if next > column => return None,
                _ => break,
            }
        }
        self.depth -= 1;
        Some(Value::Object(fields))
    }

    /// What stands behind a key of a map in a column.
    fn value(&mut self, column: usize) -> Option<Value> {
        if !self.end_line() {
            return self.in_line(column);
        }
        match self.column {
            Some(next) if next >= column && self.is_at_item() => self.list(next),
            Some(next) if next > column => self.map(next),
            _ => Some(Value::Null),
        }
    }

    /// A list whose dashes stand in a column, the first of them here.
    fn list(&mut self, column: usize) -> Option<Value> {
        self.enter()?;
        let mut items = Vec::new();
        loop {
            let dash = self.at;
            self.at += 1;
            self.skip_spaces();
            items.push(if self.key_length().is_some() {
                self.map(column + self.at - dash)?
            } else {
                self.in_line(column)?
            });
            match self.column {
                Some(next) if next == column && self.is_at_item() => {}
                Some(next) if next > column => return None,
                _ => break,
            }
        }
        self.depth -= 1;
        Some(Value::Array(items))
    }

    /// A value that ends where its line ends, below a map or a list in a column.
    fn in_line(&mut self, column: usize) -> Option<Value> {
        self.skip_spaces();
        let value = match self.byte()? {
            b'[' | b'{' | b'"' | b'\'' => self.flow()?,
            _ => self.plain()?,
        };
        // A line that stands deeper would be part of the value, or wrong.
        let is_whole = self.end_line() && self.column.is_none_or(|next| next <= column);
        is_whole.then_some(value)
    }

    /// A scalar without quotes, up to the end of the line or a comment.
    fn plain(&mut self) -> Option<Value> {
        let line = self.rest();
        let line = line.split_once('\n').map_or(line, |(line, _)| line);
        let bytes = line.as_bytes();
        let is_start = match bytes {
            [b'-', next, ..] => next.is_ascii_alphanumeric(),
            [first, ..] => first.is_ascii_alphanumeric() || b"/._~(^$".contains(first),
            [] => false,
        };
        if !is_start {
            return None;
        }
        let mut end = bytes.len();
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b':' if matches!(bytes.get(at + 1), None | Some(b' ')) => return None,
                b'#' if at > 0 && bytes[at - 1] == b' ' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let text = line[..end].trim_end_matches(' ');
        self.at += text.len();
        resolve(text)
    }

    /// A value in brackets or between them, on one line.
    fn flow(&mut self) -> Option<Value> {
        match self.byte()? {
            b'[' => self.flow_list(),
            b'{' => self.flow_map(),
            b'"' | b'\'' => self.quoted(),
            first if first.is_ascii_alphanumeric() || b"/._".contains(&first) => {
                let text = &self.rest()[..self.word_length()];
                self.at += text.len();
                resolve(text)
            }
            _ => None,
        }
    }

    fn flow_list(&mut self) -> Option<Value> {
        self.enter()?;
        self.at += 1;
        let mut items = Vec::new();
        self.skip_spaces();
        while !(items.is_empty() && self.take(b']')) {
            self.skip_spaces();
            items.push(self.flow()?);
            self.skip_spaces();
            if self.take(b']') {
                break;
            }
            self.take(b',').then_some(())?;
        }
        self.depth -= 1;
        Some(Value::Array(items))
    }

    fn flow_map(&mut self) -> Option<Value> {
        self.enter()?;
        self.at += 1;
        let mut fields = Map::new();
        self.skip_spaces();
        while !(fields.is_empty() && self.take(b'}')) {
            self.skip_spaces();
            let key = self.key()?;
            self.skip_spaces();
            if fields.insert(key, self.flow()?).is_some() {
                return None;
            }
            self.skip_spaces();
            if self.take(b'}') {
                break;
            }
            self.take(b',').then_some(())?;
        }
        self.depth -= 1;
        Some(Value::Object(fields))
    }

    /// A text in quotes in which nothing is escaped.
    fn quoted(&mut self) -> Option<Value> {
        let quote = self.byte()?;
        let inside = &self.rest()[1..];
        let is_special = |byte: u8| byte == quote || matches!(byte, b'\\' | b'\n');
        let length = inside.bytes().position(is_special)?;
        let behind = &inside.as_bytes()[length..];
        if behind[0] != quote || behind.get(1) == Some(&quote) {
            return None;
        }
        self.at += length + 2;
        Some(Value::String(inside[..length].to_owned()))
    }

    /// A key and the colon behind it.
    fn key(&mut self) -> Option<String> {
        let length = self.key_length()?;
        let text = &self.rest()[..length];
        self.at += length + 1;
        match key_of(Cow::Borrowed(text), ScalarStyle::Plain, None).ok()? {
            Key::Field(name) => Some(name),
            Key::Merge => None,
        }
    }

    /// The length of the key that stands here, if it is one.
    fn key_length(&self) -> Option<usize> {
        let bytes = self.rest().as_bytes();
        let length = self.word_length();
        let is_key = bytes.first()?.is_ascii_alphabetic()
            && length <= KEY_MAX_BYTES
            && bytes.get(length) == Some(&b':')
            && matches!(bytes.get(length + 1), None | Some(b' ' | b'\n'));
        is_key.then_some(length)
    }

    /// Bytes up to the first that has a meaning somewhere in YAML.
    fn word_length(&self) -> usize {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte);
        let mut bytes = self.rest().as_bytes().iter();
        let end = bytes.position(|byte| !is_word(byte));
        end.unwrap_or(self.text.len() - self.at)
    }

    /// Passes the rest of a line that has nothing more to say; false when it has.
    fn end_line(&mut self) -> bool {
        let rest = self.rest();
        let behind = rest.trim_start_matches(' ');
        match behind.as_bytes().first() {
            Some(b'#') if behind.len() == rest.len() => return false,
            None | Some(b'\n' | b'#') => {}
            Some(_) => return false,
        }
        self.find_content();
        true
    }

    /// Goes to the next content from where only spaces and a comment may stand in a line.
    fn find_content(&mut self) {
        loop {
            let start = self.at;
            self.skip_spaces();
            match self.byte() {
                Some(b'\n') => self.at += 1,
                Some(b'#') => {
                    let rest = self.rest();
                    self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
                }
                Some(_) => {
                    self.column = Some(self.at - start);
                    return;
                }
                None => {
                    self.column = None;
                    return;
                }
            }
        }
    }

    fn is_at_item(&self) -> bool {
        self.rest().starts_with("- ")
    }

    fn enter(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

fn is_usual(byte: u8) -> bool {
    byte == b'\n' || matches!(byte, b' '..=b'~')
}

fn resolve(text: &str) -> Option<Value> {
    scalar::resolve(text, ScalarStyle::Plain, None).ok()
}
