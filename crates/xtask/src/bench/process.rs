//! Processes of a measurement: pinned to a core, logged, and gone when the measurement is.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::clock;

/// Lines of a log that are shown when its process did not come up.
const SHOWN_LINES: usize = 12;
/// Pause between two looks at a process that starts.
const LOOK: Duration = Duration::from_millis(1);

/// A process with its descendants; dropping it kills them all.
pub(crate) struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts `argv` on `core`. Its output goes to `log`.
    ///
    /// The kernel ends it when this process ends, however that comes about.
    ///
    /// # Errors
    /// When the log cannot be written or `setpriv` and `taskset` (util-linux) are not there.
    pub(crate) fn start(argv: &[String], core: usize, log: &Path) -> Result<Self> {
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "--cpu-list"])
            .arg(core.to_string())
            .args(argv)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log")?)
            .stderr(output)
            .spawn()
            .context("cannot run setpriv; install util-linux")?;
        let program = argv.first().map(Path::new).and_then(Path::file_name);
        Ok(Self {
            child,
            name: program.unwrap_or_default().to_string_lossy().into_owned(),
            log: log.to_owned(),
        })
    }

    /// Id of the process: `setpriv` and `taskset` become what they start.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `is_up` says so.
    ///
    /// # Errors
    /// When the process ends before, or `limit` passes; with the end of its log.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        mut is_up: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = clock::now() + limit;
        while !is_up() {
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}:\n{}", self.name, self.end_of_log());
            }
            if clock::now() > deadline {
                let secs = limit.as_secs();
                bail!(
                    "{} did not serve within {secs} s:\n{}",
                    self.name,
                    self.end_of_log()
                );
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("cannot learn whether a process has ended")
    }

    /// What it has printed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn output(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("no {}", self.log.display()))
    }

    /// Sends a signal to the process alone.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("{} has ended", self.name))
    }

    fn end_of_log(&self) -> String {
        let text = self.output().unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when everything has already ended.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
