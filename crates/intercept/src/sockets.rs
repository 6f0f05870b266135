//! Sockets of a pod's namespace: listeners, connections to be, and where a captured one wanted to go.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{
    capture::{DIAL_MARK, Family, PROBE_V4, PROBE_V6, route},
    netns::{Netns, NetnsError, NetnsId},
    ports, sys,
};

/// Connections that wait in a listener while nobody accepts, as during the restart of a worker.
pub const BACKLOG: i32 = 4096;

/// A socket that listens in a pod.
#[derive(Debug)]
pub struct Listener {
    /// What arrives there.
    pub purpose: Purpose,
    /// Of which family.
    pub family: Family,
    /// It does not block. It carries no mark: what it accepts answers on the connection of an
    /// application or of a peer, and a mark there would route every packet of it twice.
    pub socket: TcpListener,
}

/// What arrives at a listener. The identity of its pod follows from the listener, never from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// What applications of the pod dialled ([`ports::OUTBOUND`]).
    Outbound,
    /// Plaintext from outside ([`ports::INBOUND`]).
    Inbound,
    /// Tunnels from outside ([`ports::TUNNEL`]).
    Tunnel,
}

impl Purpose {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Outbound, Self::Inbound, Self::Tunnel];

    /// Where it listens. A connection that is redirected as it leaves arrives on loopback; one that is
    /// redirected as it comes, or not at all, arrives on an address of the pod.
    #[must_use]
    pub fn address(self, family: Family) -> SocketAddr {
        let port = match self {
            Self::Outbound => ports::OUTBOUND,
            Self::Inbound => ports::INBOUND,
            Self::Tunnel => ports::TUNNEL,
        };
        let ip = match (self, family) {
            (Self::Outbound, Family::V4) => Ipv4Addr::LOCALHOST.into(),
            (Self::Outbound, Family::V6) => Ipv6Addr::LOCALHOST.into(),
            (Self::Inbound | Self::Tunnel, Family::V4) => Ipv4Addr::UNSPECIFIED.into(),
            (Self::Inbound | Self::Tunnel, Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, port)
    }
}

impl Listener {
    /// A socket that another process has made with [`listen`], and the namespace it is in, which the
    /// socket itself says; nothing for another one. Needs `CAP_NET_ADMIN` over the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be asked for.
    pub fn recognise(descriptor: OwnedFd) -> Result<Option<(NetnsId, Self)>, NetnsError> {
        let socket = TcpListener::from(descriptor);
        let is_listening = SockRef::from(&socket).is_listener().unwrap_or(false);
        let Some(address) = socket.local_addr().ok().filter(|_| is_listening) else {
            return Ok(None);
        };
        let family = Family::of(address.ip());
        let mut purposes = Purpose::ALL.into_iter();
        let Some(purpose) = purposes.find(|it| it.address(family) == address) else {
            return Ok(None);
        };
        let netns = Netns::of_socket(&socket)?.id();
        let listener = Self {
            purpose,
            family,
            socket,
        };
        Ok(Some((netns, listener)))
    }

    /// Listens again if somebody has ended that, by `shutdown` of a duplicate or as `ss --kill` does, for
    /// everybody who has this socket, which keeps its port. Says whether it had to.
    ///
    /// # Errors
    /// When the system does not let it listen.
    pub fn listen_again(&self) -> io::Result<bool> {
        let socket = SockRef::from(&self.socket);
        if socket.is_listener()? {
            return Ok(false);
        }
        socket.listen(BACKLOG)?;
        Ok(true)
    }
}

/// Why a pod has no socket of the proxy.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NetnsError),
    /// `lo` cannot be brought up.
    #[error("interface lo: {0}; the node agent needs CAP_NET_ADMIN")]
    Loopback(#[source] io::Error),
    /// A listener cannot be had.
    #[error("listener on {address}: {source}; an application of the pod may have the port")]
    Listen {
        /// Where it should have been.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A socket for a connection cannot be had.
    #[error("socket of {family:?} in the pod: {source}; it needs CAP_NET_ADMIN")]
    Dial {
        /// Of which family.
        family: Family,
        /// What the system says.
        source: io::Error,
    },
}

/// Makes the listeners of a pod: each purpose for IPv4, and for IPv6 where the namespace has it. Brings
/// `lo` up, which has no addresses before.
///
/// # Errors
/// See [`SocketError`]; then none is left behind.
pub fn listen(netns: &Netns) -> Result<Vec<Listener>, SocketError> {
    netns.within(|| {
        route::raise_loopback().map_err(SocketError::Loopback)?;
        let mut listeners = Vec::new();
        for purpose in Purpose::ALL {
            for family in Family::ALL {
                let address = purpose.address(family);
                match bind(address, family) {
                    Ok(socket) => listeners.push(Listener {
                        purpose,
                        family,
                        socket,
                    }),
                    Err(error) if family == Family::V6 && is_absent(&error) => {}
                    Err(source) => return Err(SocketError::Listen { address, source }),
                }
            }
        }
        Ok(listeners)
    })?
}

fn bind(address: SocketAddr, family: Family) -> io::Result<TcpListener> {
    let socket = stream(family)?;
    // One socket per family, so that a peer's address is what it says it is.
    if family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    // The port may still be that of connections which ended a moment ago.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether the namespace has no IPv6: built without, or `lo` has no address of it.
fn is_absent(error: &io::Error) -> bool {
    let absent = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    error
        .raw_os_error()
        .is_some_and(|code| absent.contains(&code))
}

/// Sockets that do not block and are neither bound nor connected, for connections the proxy opens from
/// a pod. They are never captured, may be bound to an address that is not the pod's (which the receiver
/// of the descriptor may do without privilege), and such a bind takes no port yet.
///
/// # Errors
/// See [`SocketError`].
pub fn dialling(netns: &Netns, family: Family, count: usize) -> Result<Vec<OwnedFd>, SocketError> {
    let make = || (0..count).map(|_| dialling_here(family)).collect();
    let made: io::Result<Vec<OwnedFd>> = netns.within(make)?;
    made.map_err(|source| SocketError::Dial { family, source })
}

fn dialling_here(family: Family) -> io::Result<OwnedFd> {
    let socket = stream(family)?;
    socket.set_mark(DIAL_MARK)?;
    match family {
        Family::V4 => {
            socket.set_ip_transparent_v4(true)?;
            socket.set_freebind_v4(true)?;
        }
        Family::V6 => {
            socket.set_ip_transparent_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    sys::bind_address_without_port(&socket)?;
    Ok(socket.into())
}

fn stream(family: Family) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    Socket::new(domain(family), kind, Some(Protocol::TCP))
}

fn datagram(family: Family) -> io::Result<Socket> {
    Socket::new(domain(family), Type::DGRAM, Some(Protocol::UDP))
}

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

/// Whether a pod is captured in truth, as an application finds it: what the pod dials arrives at the
/// proxy's listener. Costs the worker one connection, which is reset at once ([`is_own_probe`]). Blocks
/// for `patience` at most.
///
/// # Errors
/// See [`SocketError`].
pub fn is_captured(
    netns: &Netns,
    family: Family,
    patience: Duration,
) -> Result<Captured, SocketError> {
    let address = match family {
        Family::V4 => IpAddr::from(PROBE_V4),
        Family::V6 => IpAddr::from(PROBE_V6),
    };
    let to = SocketAddr::new(address, ports::OUTBOUND);
    let dial = || {
        // Without a route a packet gets as far as no rule. Asking costs none, and cannot be confused
        // with what a router answers to a connection that was not captured.
        if let Err(error) = datagram(family)?.connect(&to.into()) {
            return if is_unroutable(&error) {
                Ok(Captured::NoRoute)
            } else {
                Err(error)
            };
        }
        let socket = stream(family)?;
        socket.set_linger(Some(Duration::ZERO))?;
        let arrived = socket.connect_timeout(&to.into(), patience);
        Ok(arrived.map_or(Captured::No, |()| Captured::Yes))
    };
    let found = netns.within(dial)?;
    match found {
        Err(error) if is_absent(&error) => Ok(Captured::NoRoute),
        other => other.map_err(|source| SocketError::Dial { family, source }),
    }
}

/// Whether a captured connection is that of [`is_captured`]: to be closed, and not to be counted.
#[must_use]
pub fn is_own_probe(destination: SocketAddr) -> bool {
    let ip = destination.ip();
    destination.port() == ports::OUTBOUND && (ip == PROBE_V4 || ip == PROBE_V6)
}

/// What a probe through a pod's own rules found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    /// The listener took the connection.
    Yes,
    /// It did not: what the pod dials goes elsewhere, or nowhere.
    No,
    /// The pod can dial nobody of this family.
    NoRoute,
}

fn is_unroutable(error: &io::Error) -> bool {
    let unroutable = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EADDRNOTAVAIL];
    error
        .raw_os_error()
        .is_some_and(|code| unroutable.contains(&code))
}

/// Where a captured connection wanted to go, of an accepted socket (`SO_ORIGINAL_DST`). A connection
/// that was dialled directly gives the address it arrived at. Needs no privilege.
///
/// # Errors
/// `NotFound` when the kernel does not track the connection: rules were never there, or it has ended.
/// The connection must then be refused, since nobody knows whom it was for.
pub fn original_destination(socket: impl AsFd, family: Family) -> io::Result<SocketAddr> {
    let socket = SockRef::from(&socket);
    let address = match family {
        Family::V4 => socket.original_dst_v4()?,
        Family::V6 => socket.original_dst_v6()?,
    };
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("the kernel names no address"))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::{Listener, Purpose, SockRef, is_own_probe};
    use crate::capture::Family;

    #[test]
    fn a_listener_that_was_shut_listens_again() {
        // Only a port that was asked for by its number outlives that.
        let named = || {
            let free = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
            TcpListener::bind(free).ok()
        };
        let socket = (0..9).find_map(|_| named()).expect("a free port");
        let address = socket.local_addr().expect("an address");
        let (purpose, family) = (Purpose::Tunnel, Family::V4);
        let listener = Listener {
            purpose,
            family,
            socket: socket.try_clone().expect("a duplicate"),
        };
        let again = || listener.listen_again().expect("the socket is bound");
        assert!(!again(), "it listens");
        let shut = SockRef::from(&socket).shutdown(Shutdown::Read);
        shut.expect("somebody shuts it");
        TcpStream::connect(address).expect_err("nobody listens");
        assert!(again(), "it was shut");
        let _client = TcpStream::connect(address).expect("it listens again");
        socket.accept().expect("whoever had it before accepts");
    }

    #[test]
    fn our_own_probe_is_known_by_where_it_goes() {
        for (destination, expected) in [
            ("169.254.7.127:15001", true),
            ("[fd16:9254:7127:1337:ffff:ffff:ffff:ffff]:15001", true),
            ("169.254.7.127:80", false),
            ("10.0.0.1:15001", false),
        ] {
            let parsed = destination.parse().expect("address and port");
            assert_eq!(is_own_probe(parsed), expected, "{destination}");
        }
    }
}
