//! Network namespaces: which one it is, and doing something inside.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::sys;

/// A network namespace, kept alive by its descriptor: whoever holds one of a deleted pod leaks it.
#[derive(Debug)]
pub struct Netns {
    descriptor: OwnedFd,
    id: NetnsId,
}

/// What tells network namespaces of one machine apart as long as they live; paths and names do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsId {
    /// The device of the file system of namespaces.
    pub device: u64,
    /// The inode in it.
    pub inode: u64,
}

/// Why a network namespace cannot be had or entered.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The path does not open: usually the pod is gone.
    #[error("network namespace {path}: {source}; the pod may be gone")]
    Open {
        /// What the runtime calls the namespace.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("this is no network namespace: {0}")]
    Other(#[source] io::Error),
    /// A new one cannot be made.
    #[error("new network namespace: {0}; it needs CAP_SYS_ADMIN")]
    New(#[source] io::Error),
    /// There is no thread to enter it with, or it may not be entered.
    #[error("entering a network namespace: {0}; it needs CAP_SYS_ADMIN")]
    Enter(#[source] io::Error),
}

impl Netns {
    /// The namespace at a path, such as the runtime gives to a CNI plugin.
    ///
    /// # Errors
    /// [`NetnsError::Open`] and [`NetnsError::Other`].
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        let file = File::open(path).map_err(|source| NetnsError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::from_descriptor(file.into())
    }

    /// The namespace at a path of a runtime that has another view of the file system: `root` is its root
    /// directory, such as `/proc/PID/root`, within which links lead nowhere else. What is not there is
    /// looked for at the path as it is, for what the views have in common, as `/proc`.
    ///
    /// # Errors
    /// [`NetnsError::Open`] and [`NetnsError::Other`].
    pub fn open_within(root: &Path, path: &Path) -> Result<Self, NetnsError> {
        let (directory, file) = (OFlags::PATH | OFlags::DIRECTORY, OFlags::RDONLY);
        let open = || {
            let root = open(root, directory | OFlags::CLOEXEC, Mode::empty())?;
            let (flags, within) = (file | OFlags::CLOEXEC, ResolveFlags::IN_ROOT);
            openat2(root, path, flags, Mode::empty(), within)
        };
        match open() {
            Ok(descriptor) => Self::from_descriptor(descriptor),
            Err(_) => Self::open(path),
        }
    }

    /// The namespace of a descriptor, which may have come from another process.
    ///
    /// # Errors
    /// [`NetnsError::Other`] when it is none.
    pub fn from_descriptor(descriptor: OwnedFd) -> Result<Self, NetnsError> {
        match sys::is_network_namespace(&descriptor) {
            Ok(true) => {}
            Ok(false) => return Err(NetnsError::Other(io::ErrorKind::InvalidInput.into())),
            Err(error) => return Err(NetnsError::Other(error)),
        }
        let status = fstat(&descriptor).map_err(|errno| NetnsError::Other(errno.into()))?;
        let id = NetnsId {
            device: status.st_dev,
            inode: status.st_ino,
        };
        Ok(Self { descriptor, id })
    }

    /// The namespace a socket was made in, for when only the socket has survived.
    ///
    /// # Errors
    /// [`NetnsError::Other`] when it cannot be asked.
    pub fn of_socket(socket: impl AsFd) -> Result<Self, NetnsError> {
        Self::from_descriptor(sys::namespace_of_socket(socket).map_err(NetnsError::Other)?)
    }

    /// The namespace of this thread.
    ///
    /// # Errors
    /// [`NetnsError::Open`] without `/proc`.
    pub fn current() -> Result<Self, NetnsError> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// A new namespace with nothing in it but `lo`, which is down. To try on this kernel what will be
    /// done to pods.
    ///
    /// # Errors
    /// [`NetnsError::New`] when this process may not.
    pub fn scratch() -> Result<Self, NetnsError> {
        let make = || {
            sys::leave_network_namespace().map_err(NetnsError::New)?;
            Self::current()
        };
        on_a_thread(make).map_err(NetnsError::New)?
    }

    /// What tells it apart.
    #[must_use]
    pub fn id(&self) -> NetnsId {
        self.id
    }

    /// Does something inside the namespace and waits for it. Sockets made there stay there, wherever
    /// they are used.
    ///
    /// It runs on a thread that ends afterwards, which costs some ten microseconds: a thread of a pool
    /// that could not go back would do the work of others in the wrong namespace.
    ///
    /// # Errors
    /// [`NetnsError::Enter`]; then nothing was done.
    ///
    /// # Panics
    /// When the work does.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let inside = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.descriptor.as_fd(), kind)?;
            Ok(work())
        };
        on_a_thread(inside)
            .and_then(|done: io::Result<T>| done)
            .map_err(NetnsError::Enter)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The namespace of a thread that ends with its work is nobody else's.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".to_owned());
        let thread = thread.spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(done) => Ok(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
