//! The limit of open files: every Service port and every connection is one.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// Files that are needed beside the listening sockets: event queues, watches, the admin endpoint, and
/// a modest number of connections.
const BESIDE: usize = 512;

/// Raises the limit of open files as far as the system lets us.
///
/// # Errors
/// What the system says, where it says no.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// The limit as it is now, for messages.
pub(crate) fn open_files() -> String {
    match getrlimit(Resource::Nofile).current {
        Some(limit) => limit.to_string(),
        None => "unlimited".to_owned(),
    }
}

/// The limit that so many listening sockets ask for.
pub(crate) fn files_needed(sockets: usize) -> usize {
    sockets.saturating_add(BESIDE)
}

/// Whether an error says that the limit is reached, of the process or of the machine.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    let of = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    of(Errno::MFILE) || of(Errno::NFILE)
}
