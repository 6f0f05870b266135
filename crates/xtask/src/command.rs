//! Runs one command, mostly of cargo, to its end: keeps its output in a log, counts its tests, shows progress.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::progress::Progress;
use crate::summary::Counts;
use crate::tool;

/// Lines of output shown when a command fails.
const SHOWN_LINES: usize = 60;

/// Lines in flight between the readers and the counter; a full channel only slows the child down.
const PENDING_LINES: usize = 1024;

/// What a finished command left behind.
pub(crate) struct Outcome {
    /// Whether it exited with status 0.
    pub(crate) succeeded: bool,
    /// Sum of the `test result:` lines it printed.
    pub(crate) counts: Counts,
    /// The lines that explain a failure best, at most [`SHOWN_LINES`].
    pub(crate) excerpt: Vec<String>,
    /// The whole output.
    pub(crate) log: PathBuf,
}

/// The directory of the workspace manifest.
pub(crate) fn workspace_root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.ancestors().nth(2).unwrap_or(manifest_dir)
}

/// Runs `cargo ARGS` at the workspace root with `env` added to the environment, and with the programs
/// that were installed for the stages on `PATH`.
///
/// `UPDATE` is never inherited: only the caller decides whether expectations are rewritten.
///
/// # Errors
/// When cargo cannot be started or the log under `target/xtask` cannot be written. A command that
/// fails is not an error but an [`Outcome`].
pub(crate) fn cargo(name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Outcome> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(args)
        .env_remove("UPDATE")
        .env("CARGO_TERM_COLOR", "never")
        .env("RUST_BACKTRACE", "0")
        .env("PATH", tool::path())
        .envs(env.iter().copied());
    run(name, &mut command)
}

/// Runs a command to its end and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    bail!("{program} failed: {}", told.trim())
}

/// Runs `command` at the workspace root; its whole output goes to `target/xtask/NAME.log`.
///
/// # Errors
/// When it cannot be started or the log cannot be written. A command that fails is not an error but
/// an [`Outcome`].
pub(crate) fn run(name: &str, command: &mut Command) -> Result<Outcome> {
    let root = workspace_root();
    let log = root.join("target/xtask").join(format!("{name}.log"));
    let directory = log.parent().unwrap_or(root);
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let mut log_file =
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;

    let mut child = command
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            let program = command.get_program().display();
            format!("cannot start {program}; is it on PATH?")
        })?;

    let lines = merged_lines(&mut child);
    let mut excerpt = Excerpt::default();
    let mut counts = Counts::default();
    let mut progress = Progress::start(name);
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                writeln!(log_file, "{line}")
                    .with_context(|| format!("cannot write {}", log.display()))?;
                counts.add_line(&line);
                progress.line(&line);
                excerpt.push(line);
            }
            Err(RecvTimeoutError::Timeout) => progress.tick(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    progress.clear();
    let status = child.wait().context("cannot learn how it ended")?;
    Ok(Outcome {
        succeeded: status.success(),
        counts,
        excerpt: excerpt.into_lines(),
        log,
    })
}

/// Standard output and standard error of `child`, line by line, until both are closed.
fn merged_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = sync_channel(PENDING_LINES);
    if let Some(stdout) = child.stdout.take() {
        forward_lines(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward_lines(stderr, sender);
    }
    receiver
}

fn forward_lines(pipe: impl Read + Send + 'static, sender: SyncSender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        // A pipe that fails to read is a pipe that is over: the exit status tells the rest.
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

/// Keeps the lines from the first failed test or compiler error on, otherwise the last lines.
#[derive(Default)]
struct Excerpt {
    report: Vec<String>,
    tail: VecDeque<String>,
}

impl Excerpt {
    fn push(&mut self, line: String) {
        let is_report = !self.report.is_empty() || starts_report(&line);
        if is_report && self.report.len() < SHOWN_LINES {
            self.report.push(line.clone());
        }
        if self.tail.len() == SHOWN_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn into_lines(self) -> Vec<String> {
        if self.report.is_empty() {
            self.tail.into()
        } else {
            self.report
        }
    }
}

/// libtest heads the output of a failed test with `---- NAME stdout ----`; `error: 1 target failed`
/// and its like only say that there was one.
fn starts_report(line: &str) -> bool {
    let is_error = line.starts_with("error") && !line.contains(" failed");
    is_error || line.starts_with("---- ")
}
