//! Regular expressions of matches: on bytes, anchored at both ends, bounded in size.

use std::{fmt, sync::Arc};

use regex_automata::{
    meta,
    util::syntax::{self, Config},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Largest compiled form in bytes. `(a{1000}){1000}` is refused in a few milliseconds.
const SIZE_LIMIT: usize = 1 << 20;
/// Deepest nesting of groups and repetitions; bounds the stack that parsing needs.
const NEST_LIMIT: u32 = 64;
/// Memory of the lazily built automaton, per thread that uses the expression, in bytes.
const CACHE_LIMIT: usize = 256 << 10;

/// A compiled regular expression. Cloning is a reference count.
///
/// The dialect is that of the `regex` crate, on bytes and with Unicode off: `.` is one byte, classes
/// such as `\w` are ASCII, and `(?u)` turns Unicode on for a part. The **whole** text has to match,
/// as if the pattern stood in `\A(?:…)\z`; there is no search time beyond linear.
#[derive(Clone)]
pub struct Regex(Arc<Compiled>);

struct Compiled {
    pattern: Box<str>,
    whole: meta::Regex,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// Not an expression of the dialect.
    #[error("regular expression \"{pattern}\" is not valid: {message}")]
    Syntax {
        /// The pattern as written.
        pattern: Box<str>,
        /// What is wrong, and where in the pattern.
        message: Box<str>,
    },
    /// Compiles to more than 1 MiB.
    #[error(
        "regular expression \"{pattern}\" compiles to more than 1 MiB; use smaller repetition counts"
    )]
    TooLarge {
        /// The pattern as written.
        pattern: Box<str>,
    },
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`RegexError`] if the pattern is not of the dialect or compiles to more than 1 MiB.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let dialect = Config::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(NEST_LIMIT);
        let refused = |error: &dyn fmt::Display| RegexError::Syntax {
            pattern: pattern.into(),
            message: last_line(&error.to_string()).into(),
        };
        // Parsed on its own first: `a)|(?:b` is balanced only inside the wrapping, and would leave
        // both of its halves anchored at one end.
        syntax::parse_with(pattern, &dialect).map_err(|error| refused(&error))?;
        let whole = meta::Regex::builder()
            .configure(
                meta::Config::new()
                    .nfa_size_limit(Some(SIZE_LIMIT))
                    .onepass_size_limit(Some(SIZE_LIMIT))
                    .hybrid_cache_capacity(CACHE_LIMIT)
                    .utf8_empty(false),
            )
            .syntax(dialect.nest_limit(NEST_LIMIT + 2))
            .build(&format!(r"\A(?:{pattern})\z"))
            .map_err(|error| match (error.size_limit(), error.syntax_error()) {
                (Some(_), _) => RegexError::TooLarge {
                    pattern: pattern.into(),
                },
                (None, Some(inner)) => refused(inner),
                (None, None) => refused(&error),
            })?;
        Ok(Self(Arc::new(Compiled {
            pattern: pattern.into(),
            whole,
        })))
    }

    /// Whether the expression matches all of `text`. Linear in the length of the text. The first
    /// call on a thread may allocate the automaton's working memory.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.whole.is_match(text)
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }
}

/// Parser messages draw the pattern with a caret and end in a line that says what is wrong.
fn last_line(message: &str) -> &str {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line)
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern()
    }
}

impl Eq for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.pattern()).finish()
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern())
    }
}

impl Serialize for Regex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.pattern())
    }
}

impl<'de> Deserialize<'de> for Regex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
