//! A bash that is fed command by command, as somebody who pastes does.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::workspace_root;

/// Ends the output of a command; its exit code follows.
const END: &str = "=== end of command";
/// Longer than any command of Weft waits by itself.
const PATIENCE: Duration = Duration::from_mins(8);
/// Lines in flight between the reader and us.
const PENDING_LINES: usize = 1024;

/// The shell. Dropping it ends whatever it started.
pub(super) struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// The command under way, as a file.
    script: PathBuf,
}

impl Shell {
    /// Starts one at the root of the checkout; `directory` is for its own files.
    ///
    /// # Errors
    /// When there is no bash.
    pub(super) fn start(directory: &Path, env: &[(&str, OsString)]) -> Result<Self> {
        let mut bash = Command::new("bash")
            .args(["-o", "pipefail"])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(workspace_root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start bash")?;
        let input = bash.stdin.take().context("bash takes no input")?;
        let output = bash.stdout.take().context("bash gives no output")?;
        let (sender, lines) = sync_channel(PENDING_LINES);
        thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            for line in read {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let script = directory.join("command.sh");
        Ok(Self {
            bash,
            input,
            lines,
            script,
        })
    }

    /// Output and exit code of a command. It has nothing to read but what it brings: what is still to
    /// be pasted is not for it.
    ///
    /// # Errors
    /// When it does not end, or ends the shell.
    pub(super) fn run(&mut self, command: &str) -> Result<(String, i32)> {
        std::fs::write(&self.script, command)?;
        let script = self.script.display();
        writeln!(
            self.input,
            ". '{script}' </dev/null; printf '\\n%s %s\\n' '{END}' $?"
        )
        .context("bash reads no more")?;
        let mut output = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.with_context(|| format!("no end of {command}after {output}"))?;
            if let Some(code) = line.strip_prefix(END) {
                // The line break in front of the end is ours.
                if output.ends_with("\n\n") || output == "\n" {
                    output.pop();
                }
                return Ok((output, code.trim().parse().context("an exit code")?));
            }
            output += &line;
            output.push('\n');
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.bash.id());
        let _ended = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _status = self.bash.wait();
    }
}
