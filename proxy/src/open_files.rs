//! The table of open files of this process: its limit, and its size.

use std::{io, os::fd::AsFd};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// Files for which there is room from the beginning: 64 KiB of the kernel's memory.
const ROOM: u64 = 8192;

/// Raises the limit as far as the system lets us: sockets and connections are open files. Children inherit
/// it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Makes the table as large as it is going to be. A process that has threads and needs a larger one waits
/// until nobody looks at the old one any more (`expand_fdtable`, `synchronize_rcu`), on a busy machine for
/// tens of milliseconds; and a worker has one thread, in which all its pods would wait. So this is for a
/// time when there is one thread and nobody is served. Without it things only take longer.
pub fn make_room() {
    let limit = getrlimit(Resource::Nofile).current;
    let last = limit.unwrap_or(ROOM).min(ROOM).saturating_sub(1);
    let last = i32::try_from(last).unwrap_or_default();
    // The table stays when the file is closed.
    if let Err(error) = fcntl_dupfd_cloexec(io::stdin().as_fd(), last) {
        tracing::debug!(%error, "the table of open files grows while it is used");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As proc_pid_status(5) names it.
    fn size() -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("on Linux");
        let mut lines = status.lines();
        let size = lines.find_map(|line| line.strip_prefix("FDSize:"));
        size.expect("it is said").trim().parse().expect("a number")
    }

    #[test]
    fn the_table_is_made_large_at_once_and_stays_so() {
        raise();
        make_room();
        let most = getrlimit(Resource::Nofile).current.unwrap_or(ROOM);
        assert!(size() >= most.min(ROOM), "{} files", size());
    }
}
