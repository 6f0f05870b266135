//! The state directory: one run at a time, files replaced whole.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::state::State;
use crate::{exit::Failure, output};

/// An open state directory. No other run can open it as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Creates the directory if need be and locks it.
    ///
    /// # Errors
    /// It cannot be written, or another run has it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error: io::Error| {
            Failure::unreachable(format!(
                "cannot write the state directory {shown}: {error}; choose another with --state-dir"
            ))
        };
        fs::create_dir_all(path).map_err(cannot)?;
        let path = fs::canonicalize(path).map_err(cannot)?;
        let lock = File::create(path.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::errors(format!(
                "another `weft run` uses the state directory {shown}; stop it, or choose another \
                 with --state-dir"
            ))),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Its canonical path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What an earlier run recorded; what cannot be read is as good as nothing.
    pub(crate) fn earlier(&self) -> State {
        match State::read(&self.path) {
            Ok(state) => state.unwrap_or_default(),
            Err(error) => {
                output::tell(format_args!(
                    "note: the addresses of the run before are lost: {error}"
                ));
                State::default()
            }
        }
    }
}

/// Replaces a file at once: readers see the old or the new content, never a part.
///
/// # Errors
/// What the system says.
pub(crate) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(content.as_bytes())?;
    fs::rename(&temporary, path)
}
