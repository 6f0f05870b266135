//! Running `weft`, and directories for it to read.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// What a run of the binary gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A temporary directory with YAML, and the binary started inside it.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A directory with one file, `yaml/shop.yaml`.
    pub(crate) fn new(yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("yaml")).expect("a directory");
        let place = Self { directory };
        place.write(yaml);
        place
    }

    /// Replaces the file, by renaming as editors and deployment tools do.
    pub(crate) fn write(&self, yaml: &str) {
        let new = self.path().join("new");
        std::fs::write(&new, yaml).expect("write the new file");
        std::fs::rename(new, self.path().join("yaml/shop.yaml")).expect("rename it into place");
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `weft LINE` to its end.
    pub(crate) fn weft(&self, line: &str) -> Ran {
        self.command(line).output().expect("the binary runs").into()
    }

    /// Starts `weft run` and waits until everything serves.
    pub(crate) fn serve(&self, options: &str) -> Serving {
        let mut command = self.command(&format!("run -f yaml -o json {options}"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(self.stderr()).expect("a file for standard error"))
            .spawn()
            .expect("the binary runs");
        // The report comes when everything serves; what follows is the access log.
        let stdout = child.stdout.take().expect("it is piped");
        let mut reports = serde_json::Deserializer::from_reader(stdout).into_iter();
        let started = match reports.next() {
            Some(Ok(started)) => started,
            other => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("no report of the start: {other:?}\n{}", self.told())
            }
        };
        Serving {
            child: Some(child),
            started,
        }
    }

    fn stderr(&self) -> PathBuf {
        self.path().join("stderr")
    }

    /// What the served run has told on standard error.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.stderr()).expect("its standard error")
    }

    /// `resolve` of a Service, as `address:port`.
    pub(crate) fn resolve(&self, line: &str) -> String {
        let ran = self.weft(&format!("resolve {line}"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.trim().to_owned()
    }
}

/// A running `weft run`.
pub(crate) struct Serving {
    child: Option<Child>,
    /// Its report of the start.
    pub(crate) started: serde_json::Value,
}

impl Serving {
    /// A URL of a Gateway's port.
    pub(crate) fn gateway(&self, name: &str, port: u16) -> String {
        let entry = &self.started["listening"]["gateways"][name];
        let address = entry["address"].as_str().expect("an address");
        let listen_on = entry["ports"][port.to_string()].as_u64().expect("a port");
        format!("http://{address}:{listen_on}")
    }

    /// Asks it to end and waits for that; returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs until now");
        let id = i32::try_from(child.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        child.wait().expect("it ends").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Status and body of a GET.
pub(crate) fn curl(url: &str, fields: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--max-time",
        "10",
        "--write-out",
        "\n%{http_code}",
        url,
    ]);
    for field in fields {
        command.args(["--header", field]);
    }
    let output = command.output().expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("an answer is text");
    let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
    (status.parse().expect("a status"), body.to_owned())
}

/// Waits, for at most ten seconds, until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{what}: not within ten seconds");
}

/// The statuses of the state directory, as paths below it.
pub(crate) fn statuses(state_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![state_dir.join("status")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let path = path.strip_prefix(state_dir.join("status"));
                found.push(path.expect("it is below").to_owned());
            }
        }
    }
    found.sort();
    found
}
