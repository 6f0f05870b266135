//! Cuts Rust source into tokens, exactly enough to know code from comments and strings.
//!
//! Words inside comments and strings must not trip a rule, and a rule must not be dodged by line
//! breaks or spacing; both follow from looking at tokens instead of text.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Identifier, keyword or number.
    Word,
    /// One character of punctuation, or `::`.
    Punct,
    /// String or character literal, quotes included.
    Text,
    /// `'a`
    Lifetime,
    /// Line, block or documentation comment.
    Comment,
}

/// A piece of source with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Line of its first character; the first line is 1.
    pub(super) line: usize,
}

impl Token<'_> {
    /// Line of its last character.
    pub(super) fn last_line(&self) -> usize {
        self.line + newlines(self.text)
    }

    /// Whether this is the word or punctuation `text`; literals and comments never are.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Punct) && self.text == text
    }

    pub(super) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// All tokens of `source`, comments included.
pub(super) fn lex(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else {
            let (kind, length) = next_token(rest, first);
            (Some(kind), length)
        };
        let (text, remainder) = rest.split_at(length.min(rest.len()));
        if let Some(kind) = kind {
            tokens.push(Token { kind, text, line });
        }
        line += newlines(text);
        rest = remainder;
    }
    tokens
}

/// Kind and length in bytes of the token at the start of `rest`, whose first character is `first`.
fn next_token(rest: &str, first: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment_length(rest));
    }
    if let Some(length) = string_length(rest) {
        return (Kind::Text, length);
    }
    if let Some(quoted) = rest.strip_prefix("b'") {
        return (Kind::Text, "b'".len() + char_tail_length(quoted));
    }
    if let Some(quoted) = rest.strip_prefix('\'') {
        return quote(quoted);
    }
    if is_word_char(first) {
        return (Kind::Word, word_length(rest));
    }
    let length = if rest.starts_with("::") {
        "::".len()
    } else {
        first.len_utf8()
    };
    (Kind::Punct, length)
}

/// Block comments nest in Rust.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of the string literal at the start of `rest`, if there is one: plain, byte, C or raw.
fn string_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix);
        after.is_some_and(|after| after.starts_with(['"', '#']))
    });
    let prefix = prefix.unwrap_or("");
    let after_prefix = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after_prefix
            .bytes()
            .take_while(|&byte| byte == b'#')
            .count();
        let body = after_prefix[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let body_length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + body_length);
    }
    let body = after_prefix.strip_prefix('"')?;
    Some(prefix.len() + 1 + escaped_length(body, '"'))
}

/// Length up to and with the first `end` that no backslash escapes.
fn escaped_length(body: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, character) in body.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == end => return at + character.len_utf8(),
            _ => {}
        }
    }
    body.len()
}

fn char_tail_length(quoted: &str) -> usize {
    escaped_length(quoted, '\'')
}

/// After a `'`: a character literal closes one character later, everything else is a lifetime.
fn quote(quoted: &str) -> (Kind, usize) {
    let mut characters = quoted.chars();
    let first = characters.next();
    if first == Some('\\') || characters.next() == Some('\'') {
        (Kind::Text, 1 + char_tail_length(quoted))
    } else {
        (Kind::Lifetime, 1 + word_length(quoted))
    }
}

fn word_length(rest: &str) -> usize {
    rest.find(|character| !is_word_char(character))
        .unwrap_or(rest.len())
}

fn is_word_char(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::{Kind, lex};

    fn check(source: &str, kind: Kind, expected: &[&str]) {
        let tokens = lex(source);
        let found: Vec<&str> = tokens
            .iter()
            .filter(|token| token.kind == kind)
            .map(|token| token.text)
            .collect();
        assert_eq!(found, expected, "tokens of kind {kind:?} in {source}");
    }

    #[test]
    fn words_in_comments_are_comments() {
        check("a // tokio\n/* b /* c */ d */ e", Kind::Word, &["a", "e"]);
    }

    #[test]
    fn words_in_strings_are_text() {
        check(
            r##"f("a \" b", b"c", r#"d " e"#, c"g") h"##,
            Kind::Word,
            &["f", "h"],
        );
    }

    #[test]
    fn a_comment_sign_in_a_string_opens_no_comment() {
        check(
            r#"let url = "http://x"; tokio"#,
            Kind::Word,
            &["let", "url", "tokio"],
        );
    }

    #[test]
    fn quotes_in_characters_open_no_string() {
        check(
            r#"['"', '\'', b'"', b'\\', 'x'] tokio"#,
            Kind::Word,
            &["tokio"],
        );
    }

    #[test]
    fn lifetimes_are_not_characters() {
        check(
            "fn f<'a>(x: &'a str) -> &'static str",
            Kind::Lifetime,
            &["'a", "'a", "'static"],
        );
    }

    #[test]
    fn raw_identifiers_and_words_that_start_like_strings_are_words() {
        check(
            "r#fn bread crate b c",
            Kind::Word,
            &["r", "fn", "bread", "crate", "b", "c"],
        );
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let tokens = lex("\"a\nb\" /*\n*/ x");
        assert_eq!(
            tokens.last().map(|token| token.line),
            Some(3),
            "x stands on line 3"
        );
        assert_eq!(
            tokens.first().map(super::Token::last_line),
            Some(2),
            "the string ends on 2"
        );
    }
}
