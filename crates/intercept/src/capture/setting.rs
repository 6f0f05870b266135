//! The settings (sysctl) of a network namespace, which a thread inside it sees below `/proc/sys/net`.

use std::{
    fs::{File, read_to_string},
    io::{self, Write},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// Connections that wait in a listener which is closed move to another listener of the same port
/// (Linux 5.14), instead of being reset.
const MIGRATE: &str = "net.ipv4.tcp_migrate_req";
const MIGRATE_PATH: &str = "sys/net/ipv4/tcp_migrate_req";

/// Whether waiting connections move; also true where the kernel does not know how, which no repair
/// changes.
pub(super) fn migrates() -> Result<bool, (&'static str, io::Error)> {
    match read_to_string(Path::new("/proc").join(MIGRATE_PATH)) {
        Ok(value) => Ok(value.trim() == "1"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err((MIGRATE, error)),
    }
}

pub(super) fn migrate() -> Result<(), (&'static str, io::Error)> {
    write(MIGRATE_PATH, "1").map_err(|error| (MIGRATE, error))
}

/// Whether IPv6 is built in and not switched off for `lo`, without which nothing can be redirected.
pub(super) fn has_v6() -> bool {
    let disabled = read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
    disabled.is_ok_and(|value| value.trim() == "0")
}

/// Container runtimes mount `/proc/sys` read-only. A second `/proc`, which is attached nowhere, is not.
fn write(path: &str, value: &str) -> io::Result<()> {
    match File::options()
        .write(true)
        .open(Path::new("/proc").join(path))
    {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ROFS) => {
            own_proc(path)?.write_all(value.as_bytes())
        }
        other => other?.write_all(value.as_bytes()),
    }
}

fn own_proc(path: &str) -> io::Result<File> {
    let proc = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&proc)?;
    let root = fsmount(
        &proc,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?;
    let file = openat(root, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{MIGRATE_PATH, migrates, own_proc};
    use crate::netns::Netns;

    /// Needs `CAP_SYS_ADMIN`, as the node agent has it; the tests of namespaces say when it is missing.
    #[test]
    fn a_proc_of_our_own_sets_what_the_usual_one_shows() {
        let Ok(netns) = Netns::scratch() else {
            return;
        };
        let (before, after) = netns
            .within(|| {
                let before = migrates().expect("it can be read");
                let mut file = own_proc(MIGRATE_PATH).expect("a second /proc");
                file.write_all(b"1").expect("it can be written");
                (before, migrates().expect("it can be read"))
            })
            .expect("it can be entered");
        assert_eq!((before, after), (false, true));
    }
}
