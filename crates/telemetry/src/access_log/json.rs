//! Writes one JSON object on one line from bytes nobody vouches for.

use std::io::Write;
use std::time::Duration;

/// An object being written. Empty texts are left out, so that a line holds only what is known.
pub(super) struct Object {
    out: Vec<u8>,
}

impl Object {
    pub(super) fn new() -> Self {
        let mut out = Vec::with_capacity(768);
        out.push(b'{');
        Self { out }
    }

    /// The object and a line feed.
    pub(super) fn into_line(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"}\n");
        self.out
    }

    /// A text of unknown origin; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        if value.is_empty() {
            return;
        }
        self.name(name);
        self.out.push(b'"');
        for chunk in value.utf8_chunks() {
            for character in chunk.valid().chars() {
                self.character(character);
            }
            if !chunk.invalid().is_empty() {
                self.character(char::REPLACEMENT_CHARACTER);
            }
        }
        self.out.push(b'"');
    }

    /// A value written by `write`, which must give text that needs no escaping.
    pub(super) fn plain(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.out.push(b'"');
        write(&mut self.out);
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        self.append(format_args!("{value}"));
    }

    /// Seconds with six digits.
    pub(super) fn seconds(&mut self, name: &'static str, value: Duration) {
        self.name(name);
        self.append(format_args!(
            "{}.{:06}",
            value.as_secs(),
            value.subsec_micros()
        ));
    }

    fn name(&mut self, name: &'static str) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.append(format_args!("\"{name}\":"));
    }

    fn append(&mut self, text: std::fmt::Arguments<'_>) {
        self.out
            .write_fmt(text)
            .expect("writing to a Vec cannot fail");
    }

    fn character(&mut self, character: char) {
        match character {
            '"' | '\\' => self.out.extend_from_slice(&[b'\\', character as u8]),
            // A terminal or a line-based reader may act on these (RUSTSEC-2025-0055,
            // CVE-2024-45808): C0, DEL, C1, the Unicode line ends and the direction overrides.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                self.append(format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => {
                let mut utf8 = [0; 4];
                self.out
                    .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
        }
    }
}
