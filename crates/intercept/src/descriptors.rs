//! Bytes and descriptors over a Unix stream socket (`SCM_RIGHTS`, unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

/// Most descriptors of one message. Linux allows 253; fewer keep the buffers small.
pub const MAX_DESCRIPTORS: usize = 64;

/// Sends the beginning of `bytes`, and with its first byte all of `descriptors`; returns how many
/// bytes were sent, at least one. The descriptors stay open here.
///
/// # Errors
/// `InvalidInput` for no bytes or more than [`MAX_DESCRIPTORS`]: nothing would be sent. Otherwise
/// what the system says, `WouldBlock` from a socket that does not block and is full.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if bytes.is_empty() || descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A peer that is gone is an error here and no signal.
    let sent = sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(sent)
}

/// Receives bytes into `buffer`, and appends the descriptors that came with them; returns how many
/// bytes came, 0 at the end of the stream. Descriptors come at the latest with the last byte that was
/// sent in the same [`send`], and are closed by `exec`.
///
/// # Errors
/// `InvalidData` when descriptors were lost, because the peer sent more than [`MAX_DESCRIPTORS`] or
/// this process may not open so many files. Otherwise what the system says, `WouldBlock` from a socket
/// that does not block and is empty.
pub fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut into = [IoSliceMut::new(buffer)];
        match recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "descriptors were lost; raise the open-file limit (ulimit -n)",
        ));
    }
    Ok(received.bytes)
}
