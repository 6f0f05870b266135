//! Progress of long loads: on standard error, on a terminal, and only after a second.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use weft_source::Progress;

use crate::args::Global;

/// Whether progress is shown at all.
pub(crate) fn is_wanted(global: Global) -> bool {
    !global.quiet && io::stderr().is_terminal()
}

/// A bar that appears when it is first shown.
pub(crate) struct Bar {
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Nothing is shown yet. Without a terminal, or when asked to be quiet, nothing ever is.
    pub(crate) fn new(global: Global) -> Self {
        Self {
            wanted: is_wanted(global),
            bar: None,
        }
    }

    /// Shows how far things are. The source calls this only for loads that take longer than a
    /// second.
    pub(crate) fn show(&mut self, progress: Progress) {
        if !self.wanted {
            return;
        }
        let total = u64::try_from(progress.total).unwrap_or(u64::MAX);
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            let style =
                ProgressStyle::with_template("loading {bar:40} {pos}/{len} documents {eta}");
            // A template that cannot be read leaves the default one.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_length(total);
        bar.set_position(u64::try_from(progress.done).unwrap_or(u64::MAX));
    }

    /// Takes the bar off the screen.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
