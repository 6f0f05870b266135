//! The system calls that nothing safe offers: all of the repository's `unsafe`.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use libc::c_int;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `NS_GET_NSTYPE` (ioctl_ns(2)), which `libc` does not name.
const NAMESPACE_TYPE: libc::Ioctl = 0xb703;
/// `SIOCGSKNS`: the network namespace of a socket.
const NAMESPACE_OF_SOCKET: libc::Ioctl = 0x894c;
/// `IP_BIND_ADDRESS_NO_PORT` (ip(7)).
const BIND_ADDRESS_NO_PORT: c_int = 24;

/// Whether a descriptor is that of a network namespace.
///
/// # Errors
/// `ENOTTY` when it is that of no namespace at all.
pub(crate) fn is_network_namespace(descriptor: impl AsFd) -> io::Result<bool> {
    let descriptor = descriptor.as_fd().as_raw_fd();
    #[expect(unsafe_code, reason = "no crate we use offers this ioctl")]
    // SAFETY: the descriptor is open while it is borrowed, and this ioctl takes no argument.
    let kind = unsafe { libc::ioctl(descriptor, NAMESPACE_TYPE) };
    if kind < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(kind == libc::CLONE_NEWNET)
}

/// The namespace a socket belongs to. Needs `CAP_NET_ADMIN` over it.
pub(crate) fn namespace_of_socket(socket: impl AsFd) -> io::Result<OwnedFd> {
    let socket = socket.as_fd().as_raw_fd();
    #[expect(unsafe_code, reason = "no crate we use offers this ioctl")]
    // SAFETY: the descriptor is open while it is borrowed, and this ioctl takes no argument.
    let namespace = unsafe { libc::ioctl(socket, NAMESPACE_OF_SOCKET) };
    if namespace < 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(
        unsafe_code,
        reason = "a descriptor that a system call returns is a number"
    )]
    // SAFETY: the kernel made this descriptor for us, and nobody else has its number.
    let namespace = unsafe { OwnedFd::from_raw_fd(namespace) };
    Ok(namespace)
}

/// Puts this thread into a new network namespace.
pub(crate) fn leave_network_namespace() -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the safe form is deprecated for what other flags do"
    )]
    // SAFETY: a network namespace is a property of the thread; descriptors and memory stay shared.
    let left = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
    Ok(left?)
}

/// Lets a later `bind` choose an address and leave the port to `connect`, which then may use one that
/// is taken for another destination.
pub(crate) fn bind_address_without_port(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let on: c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    let value = std::ptr::from_ref(&on).cast();
    #[expect(unsafe_code, reason = "no crate we use offers this option")]
    // SAFETY: the descriptor is open while it is borrowed, and `value` points to `length` bytes.
    let done = unsafe {
        libc::setsockopt(
            socket,
            libc::IPPROTO_IP,
            BIND_ADDRESS_NO_PORT,
            value,
            length,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
