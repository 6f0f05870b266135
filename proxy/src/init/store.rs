//! What a supervisor leaves for the one that follows: descriptors under names, which `init` keeps.
//!
//! ```text
//!  supervisor -> init    +NAME, with descriptors    kept from now on, in place of what had the name
//!                        -NAME                      kept no longer
//!  init -> supervisor    +NAME, with descriptors    what is kept, one after the other, first of all
//!                        .                          that was it
//!                        !                          that was it, and the supervisor is to end
//! ```
//!
//! Each line is a packet of its own (`SOCK_SEQPACKET`, unix(7)), and each supervisor has a socket of its
//! own: whenever one is killed, a message is there whole or not at all. Names mean something to
//! supervisors and nothing to `init`.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use weft_intercept::{receive, send};

/// Longest packet. A namespace of Kubernetes has 63 characters.
const PACKET_BYTES: usize = 512;
/// Time in which `init` says what is kept.
const PATIENCE: Duration = Duration::from_secs(5);

const KEEP: u8 = b'+';
const FORGET: u8 = b'-';
const ALL: u8 = b'.';
const LAST: u8 = b'!';

/// The two ends: that of `init`, and that of a supervisor.
///
/// # Errors
/// What the system says.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    Ok((ours.into(), theirs.into()))
}

// === impl Kept ===

/// What is kept, as `init` has it.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<Vec<u8>, Vec<OwnedFd>>);

/// What there was to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A packet.
    Packet,
    /// The supervisor is gone, and everything it said has been read.
    End,
}

impl Kept {
    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one packet of a supervisor. What makes no sense is left aside.
    ///
    /// # Errors
    /// What the system says, `WouldBlock` when there is none.
    pub(super) fn read(&mut self, socket: impl AsFd) -> io::Result<Read> {
        let mut packet = [0; PACKET_BYTES];
        let mut descriptors = Vec::new();
        let bytes = match receive(socket, &mut packet, &mut descriptors) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        match packet[..bytes].split_first() {
            None => return Ok(Read::End),
            Some((&KEEP, name)) => drop(self.0.insert(name.to_vec(), descriptors)),
            Some((&FORGET, name)) => drop(self.0.remove(name)),
            Some((other, _)) => tracing::error!("a supervisor says `{other}`, which means nothing"),
        }
        Ok(Read::Packet)
    }

    /// Hands everything to a supervisor that begins; it is to end at once if `is_last`.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn hand_over(&self, socket: impl AsFd, is_last: bool) -> io::Result<()> {
        for (name, descriptors) in &self.0 {
            let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
            send(&socket, &[&[KEEP], name.as_slice()].concat(), &descriptors)?;
        }
        send(socket, &[if is_last { LAST } else { ALL }], &[])?;
        Ok(())
    }
}

// === impl Store ===

/// A supervisor's way to what is kept for the next. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Socket>);

/// What a supervisor finds when it begins.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) store: Store,
    pub(crate) kept: BTreeMap<String, Vec<OwnedFd>>,
    /// Whether `init` was told to end meanwhile.
    pub(crate) is_to_end: bool,
}

impl Store {
    /// Has these descriptors kept under this name, and nothing else. They are safe when this returns.
    pub(crate) fn keep(&self, name: &str, descriptors: &[BorrowedFd<'_>]) {
        self.say(KEEP, name, descriptors);
    }

    /// Has nothing kept under this name any more.
    pub(crate) fn forget(&self, name: &str) {
        self.say(FORGET, name, &[]);
    }

    fn say(&self, what: u8, name: &str, descriptors: &[BorrowedFd<'_>]) {
        let packet = [&[what], name.as_bytes()].concat();
        // Whoever reads does nothing else, so that this does not wait.
        if let Err(error) = send(&*self.0, &packet, descriptors) {
            tracing::error!("`{name}` is not kept for the supervisor that follows: {error}");
        }
    }
}

/// Hears what is kept, at the other end of this socket.
///
/// # Errors
/// When it is no such socket, or `init` does not answer.
pub(crate) fn restore(socket: OwnedFd) -> io::Result<Left> {
    let socket = Socket::from(socket);
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut kept = BTreeMap::new();
    let is_to_end = loop {
        let mut packet = [0; PACKET_BYTES];
        let mut descriptors = Vec::new();
        let bytes = receive(&socket, &mut packet, &mut descriptors)?;
        match packet[..bytes].split_first() {
            Some((&KEEP, name)) => {
                let name = String::from_utf8_lossy(name).into_owned();
                kept.insert(name, descriptors);
            }
            Some((&ALL, [])) => break false,
            Some((&LAST, [])) => break true,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    };
    Ok(Left {
        store: Store(Arc::new(socket)),
        kept,
        is_to_end,
    })
}
