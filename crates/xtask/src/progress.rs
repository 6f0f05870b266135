//! Says that a long command is still alive: one rewritten line on a terminal, a line every half
//! minute in a log.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use crate::clock;
use crate::summary::human;

const HEARTBEAT: Duration = Duration::from_secs(30);
const REDRAW: Duration = Duration::from_millis(200);
const WIDTH_CHARS: usize = 90;

pub(crate) struct Progress {
    name: String,
    started: Instant,
    shown: Instant,
    last_line: String,
    terminal: bool,
}

impl Progress {
    pub(crate) fn start(name: &str) -> Self {
        let now = clock::now();
        Self {
            name: name.to_owned(),
            started: now,
            shown: now,
            last_line: String::new(),
            terminal: stdout().is_terminal(),
        }
    }

    /// Remembers the newest line of output and shows it when the last one is old enough.
    pub(crate) fn line(&mut self, line: &str) {
        if !line.trim().is_empty() {
            self.last_line = line.trim().chars().take(WIDTH_CHARS).collect();
        }
        self.tick();
    }

    pub(crate) fn tick(&mut self) {
        let now = clock::now();
        let pause = if self.terminal { REDRAW } else { HEARTBEAT };
        if now.duration_since(self.shown) < pause {
            return;
        }
        self.shown = now;
        let elapsed = human(now.duration_since(self.started));
        let Self {
            name, last_line, ..
        } = self;
        if self.terminal {
            print!("\r\x1b[2K    {name} {elapsed}: {last_line}");
        } else {
            println!("    {name} {elapsed}: {last_line}");
        }
        flush();
    }

    pub(crate) fn clear(&self) {
        if self.terminal {
            print!("\r\x1b[2K");
        }
        flush();
    }
}

/// A closed output is no reason to stop testing: the exit status still tells the result.
fn flush() {
    drop(stdout().flush());
}
