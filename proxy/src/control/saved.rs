//! The last good configuration on disk, without certificates: what a proxy serves after a restart
//! until the control plane answers.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, timeout},
};
use weft_wire::{Assembler, Identity, SavedError, Snapshot, Subscriber};

const NAME: &str = "configuration.weft";
const UNFINISHED: &str = "configuration.weft.new";
/// Between two writes. A write costs what the whole configuration costs, 3.5 ms at a thousand routes;
/// it is read when a process begins without a control plane, and then it may be as old as this.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the last may take to be written.
const ENDING: Duration = Duration::from_secs(5);
/// Only the proxy reads what routes say.
const MODE: u32 = 0o600;

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no configuration.
    #[error("{path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SavedError,
    },
}

/// What was saved; `None` when nothing was yet.
fn load(directory: &Path) -> Result<Option<Snapshot>, LoadError> {
    let path = directory.join(NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LoadError::Read { path, source }),
    };
    let content = |source| LoadError::Content { path, source };
    Ok(Some(weft_wire::load(&bytes).map_err(content)?))
}

/// Somebody of that identity, who holds what was saved; and whether there was anything.
pub(crate) fn resume(directory: &Path, identity: Identity, host: &str) -> (Subscriber, bool) {
    let loaded = load(directory).unwrap_or_else(|error| {
        tracing::error!("{error}; waiting for the control plane");
        None
    });
    let Some(snapshot) = loaded else {
        tracing::info!("no saved configuration: waiting for the control plane at {host}");
        return (Subscriber::new(identity, Assembler::default()), false);
    };
    let (assembler, applied) = Assembler::load(&snapshot);
    for problem in applied.problems {
        tracing::warn!("saved and not understood: {problem}");
    }
    tracing::info!(
        resources = snapshot.len(),
        "serving the saved configuration"
    );
    (Subscriber::new(identity, assembler), true)
}

/// Replaces what is saved; after a crash there is the old file or the new one.
fn save(directory: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    // It may be left from a crash, and with another mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)?;
    file.write_all(&weft_wire::save(snapshot))?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(NAME))?;
    File::open(directory)?.sync_all()
}

/// Saves the snapshots that are sent: the first at once, then the last of each [`PAUSE`], and the last of
/// all when the sender is gone.
pub(crate) async fn keep(directory: PathBuf, mut latest: watch::Receiver<Option<Arc<Snapshot>>>) {
    while latest.changed().await.is_ok() {
        let Some(snapshot) = latest.borrow_and_update().clone() else {
            continue;
        };
        let into = directory.clone();
        let saving = tokio::task::spawn_blocking(move || save(&into, &snapshot));
        let saved = saving.await.map_err(io::Error::other).flatten();
        if let Err(error) = saved {
            tracing::error!(
                directory = %directory.display(), %error,
                "the configuration is not saved; a restart would wait for the control plane"
            );
        }
        // Another receiver, so that what is seen while waiting stays new to this one.
        let mut end = latest.clone();
        let sender_is_gone = end.wait_for(|_| false);
        if timeout(PAUSE, sender_is_gone).await.is_ok() {
            tracing::debug!("saving what came last");
        }
    }
}

/// Waits until [`keep`] has saved the last of all, when the sender is gone and the process ends.
pub(crate) async fn kept(keeping: JoinHandle<()>) {
    if timeout(ENDING, keeping).await.is_err() {
        tracing::error!("the last configuration is not saved");
    }
}

#[cfg(test)]
mod tests;
