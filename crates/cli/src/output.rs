//! What all commands share in writing: formats, colour, and an output that may end early.

pub(crate) mod table;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;

use crate::exit::Failure;

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; the default
    #[default]
    Text,
    /// One JSON document; fields are only ever added
    Json,
    /// JUnit XML, for CI systems
    Junit,
    /// A Markdown table
    Markdown,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        })
    }
}

impl Format {
    /// The format, if the command has it.
    ///
    /// # Errors
    /// A usage error that names those it has.
    pub(crate) fn one_of(self, allowed: &[Self]) -> Result<Self, Failure> {
        if allowed.contains(&self) {
            return Ok(self);
        }
        let names: Vec<_> = allowed.iter().map(Self::to_string).collect();
        Err(Failure::usage(format!(
            "this command has no output {self}; use -o {}",
            names.join(" or -o ")
        )))
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// Whether to colour what goes to `stream`.
    pub(crate) fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
                stream.is_terminal() && !asked_not_to
            }
        }
    }
}

/// Writes text to standard output. A reader that has gone (`weft routes | head`) is no error.
///
/// # Errors
/// Standard output cannot be written for another reason.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value as JSON to standard output.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(print(&text)?)
}

/// A line for people on standard error; lost if nobody can read it.
pub(crate) fn tell(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// ANSI colours, or nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// Text that matters.
    pub(crate) fn bold(self, text: impl fmt::Display) -> String {
        self.wrap("1", text)
    }

    /// What went well.
    pub(crate) fn green(self, text: impl fmt::Display) -> String {
        self.wrap("32", text)
    }

    /// What did not.
    pub(crate) fn red(self, text: impl fmt::Display) -> String {
        self.wrap("31", text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: impl fmt::Display) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: impl fmt::Display) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }
}
