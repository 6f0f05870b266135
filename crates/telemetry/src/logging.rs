//! Program logs: what Weft says about itself, on standard error.
//!
//! Access records do not come this way; see [`crate::access_log`].

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(text.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The format is neither `text` nor `json`.
    #[error("log format {0:?} is unknown; use \"text\" or \"json\"")]
    Format(String),
    /// The filter cannot be parsed.
    #[error(
        "log filter {filter:?}: {source}; write a level or target=level pairs, such as \"info,weft_forward=debug\""
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser says.
        source: ParseError,
    },
    /// Something else in the process set up logging first.
    #[error("logging is set up already: {0}")]
    AlreadySet(#[from] TryInitError),
    /// The subscriber is gone; the process is ending.
    #[error("the log filter can no longer be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// As there is one subscriber of a process.
static CONTROL: OnceLock<LogControl> = OnceLock::new();

/// Changes the filter of the running process.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl").finish_non_exhaustive()
    }
}

impl LogControl {
    /// Replaces the filter.
    ///
    /// # Errors
    /// [`LogError::Filter`] if `filter` cannot be parsed; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(parse(filter)?)?)
    }

    /// The filter in force, in words of its own: the same filter may be written in many ways.
    ///
    /// # Errors
    /// [`LogError::Gone`].
    pub fn filter(&self) -> Result<String, LogError> {
        Ok(self.filter.with_current(ToString::to_string)?)
    }
}

/// What changes the filter of this process, if it has set up logging.
#[must_use]
pub fn control() -> Option<&'static LogControl> {
    CONTROL.get()
}

/// Sets up logging to standard error for the whole process; call it once, from `main`.
///
/// `filter` is a level or a list of `target=level` pairs, as of tracing-subscriber's `EnvFilter`.
///
/// # Errors
/// [`LogError::Filter`] if the filter cannot be parsed, [`LogError::AlreadySet`] on a second call.
pub fn init(format: Format, filter: &str) -> Result<LogControl, LogError> {
    let (filter, control) = reload::Layer::new(parse(filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()?;
    // There is one subscriber, and this is the call that has set it.
    Ok(CONTROL
        .get_or_init(|| LogControl { filter: control })
        .clone())
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::{Format, LogError, init};

    #[test]
    fn a_bad_filter_names_itself_and_a_cure() {
        let error = init(Format::Text, "weft=loud").expect_err("`loud` is no level");
        let text = error.to_string();
        assert!(
            text.contains("weft=loud") && text.contains("weft_forward=debug"),
            "{text}"
        );
    }

    #[test]
    fn the_second_setup_is_refused_and_the_first_can_be_changed() {
        let control = init(Format::Json, "warn").expect("first call");
        let second = init(Format::Text, "info");
        assert!(matches!(second, Err(LogError::AlreadySet(_))), "{second:?}");
        control.set_filter("debug").expect("a valid level");
        control.set_filter("a=b=c").expect_err("not a filter");
        let same = super::control().expect("it is set up");
        assert_eq!(same.filter().expect("the process runs"), "debug");
        let filter = "warn,weft_proxy::node=debug";
        same.set_filter(filter).expect("a valid filter");
        let shown = control.filter().expect("the process runs");
        assert!(shown.contains("weft_proxy::node=debug"), "{shown}");
    }

    #[test]
    fn formats_round_trip() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(
                format
                    .to_string()
                    .parse::<Format>()
                    .expect("its own spelling"),
                format
            );
        }
        assert!("yaml".parse::<Format>().is_err());
    }
}
