//! The `weft` binary as people run it, in a directory of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::wait::Expected;

/// What `weft install` prints is part of the binary.
const TEMPLATES: &str = "charts/weft/templates";

/// The programs of a release.
const PROGRAMS: [&str; 2] = ["weft", "weft-proxy"];

/// Directory of the built programs, which are built first if one is missing or older than its
/// sources.
///
/// # Panics
/// When they do not build.
#[must_use]
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let test = std::env::current_exe().expected("the path of this test");
        let dependencies = test.parent().expect("a file lies in a folder");
        let directory = dependencies.parent().expect("cargo has a folder for them");
        if PROGRAMS.iter().any(|it| is_stale(&directory.join(it))) {
            // The features of the whole workspace are those that `cargo x test` builds with: built
            // alone, a program would compile most of its dependencies a second time.
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args(["build", "--quiet", "--locked", "--workspace"])
                .args(PROGRAMS.iter().flat_map(|it| ["--bin", it]))
                .current_dir(workspace())
                .status();
            assert!(built.expected("cargo runs").success(), "they build");
        }
        directory.to_owned()
    })
}

/// Whether a file is older than any source of the rooms.
fn is_stale(binary: &Path) -> bool {
    let Ok(built) = binary.metadata().and_then(|file| file.modified()) else {
        return true;
    };
    let mut unseen: Vec<PathBuf> = ["crates", "proxy", "certs", TEMPLATES]
        .map(|it| workspace().join(it))
        .into();
    while let Some(path) = unseen.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expected("a folder of the workspace");
            unseen.extend(entries.map(|entry| entry.expected("its entry").path()));
        } else if path.extension().is_some_and(|it| it == "rs")
            || path.starts_with(workspace().join(TEMPLATES))
        {
            let file = path.metadata().and_then(|file| file.modified());
            if file.is_ok_and(|edited| edited > built) {
                return true;
            }
        }
    }
    false
}

/// Root of the repository.
///
/// # Panics
/// Never: the tests are a member of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lie in the workspace")
}

/// A `weft run` of manifests in a temporary directory. Dropping it ends it.
#[derive(Debug)]
pub struct Run {
    child: Child,
    directory: TempDir,
}

impl Run {
    /// Writes the files (name and content) and serves them; returns once everything serves.
    ///
    /// # Panics
    /// When `weft` does not start to serve; the message is what it says.
    #[must_use]
    pub fn start(files: &[(String, String)]) -> Self {
        let temporary = tempfile::tempdir().expected("a temporary directory");
        let manifests = temporary.path().join("yaml");
        for (name, content) in files {
            let path = manifests.join(name);
            let folder = path.parent().expect("a file lies in a folder");
            fs::create_dir_all(folder).expected("a folder");
            fs::write(&path, content).expected("a manifest");
        }
        let mut child = Command::new(directory().join("weft"))
            .args(["run", "--file", "yaml", "--workers", "1", "--ready-fd", "1"])
            .args(["--quiet", "--access-log", "off"])
            .current_dir(temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expected("`weft` starts");
        let said = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        let read = BufReader::new(said).read_line(&mut line);
        read.expected("standard output of `weft`");
        if line != "ready\n" {
            let mut why = String::new();
            let mut complaints = child.stderr.take().expect("stderr is piped");
            complaints.read_to_string(&mut why).expected("a reason");
            panic!("`weft run` is not ready: {line:?} {why}");
        }
        Self {
            child,
            directory: temporary,
        }
    }

    /// Replaces a file that is served, as an editor does.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: &str) {
        let manifests = self.directory.path().join("yaml");
        let written = self.directory.path().join("written");
        fs::write(&written, content).expect("a manifest");
        fs::rename(written, manifests.join(name)).expect("its place");
    }

    /// Content of a file of the state directory; `None` when it is not there.
    #[must_use]
    pub fn state(&self, file: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.directory.path().join(".weft").join(file)).ok()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended by itself, which its clients have noticed.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
