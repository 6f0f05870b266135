//! The TCP connections of a network namespace, as the kernel lists them (`sock_diag(7)`).

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::net::netlink::SOCK_DIAG;

use crate::{
    capture::Family,
    netlink::{Attributes, DUMP, Message, Socket},
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `IPPROTO_TCP`.
pub(crate) const TCP: u8 = 6;
/// `struct inet_diag_req_v2`: before the states, and the rest.
const BEFORE_STATES: usize = 4;
const REQUEST_BYTES: usize = 56;
/// From `TCP_ESTABLISHED` to `TCP_NEW_SYN_RECV`, without `TCP_CLOSE`: every socket that has two ends, or
/// listens.
const STATES: u32 = 0x1ffe & !(1 << 7);
/// `TCP_ESTABLISHED`, `TCP_TIME_WAIT`, `TCP_CLOSE_WAIT`, `TCP_LISTEN`.
const ESTABLISHED: u8 = 1;
const TIME_WAIT: u8 = 6;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;
/// `struct inet_diag_msg`: the ports, and the addresses of sixteen bytes each.
const LOCAL_PORT: usize = 4;
const REMOTE_PORT: usize = 6;
const LOCAL_ADDRESS: usize = 8;
const REMOTE_ADDRESS: usize = 24;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Flow {
    /// The other direction.
    pub(crate) fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
        }
    }
}

/// What a namespace has. Addresses of IPv4 are of that family also on a socket for both.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// What is sent on each socket that is connected, or becomes so, or was and has yet to end.
    pub(crate) sockets: BTreeSet<Flow>,
    /// Those of them that are connected and still may send: they do not end without a packet.
    pub(crate) open: BTreeSet<Flow>,
    /// Those that have ended, and only wait for packets that are late.
    pub(crate) ended: BTreeSet<Flow>,
    /// Where somebody listens, on whatever address.
    pub(crate) listening: BTreeSet<u16>,
}

impl Connections {
    /// Those of the namespace of this thread.
    pub(crate) fn list() -> io::Result<Self> {
        let mut connections = Self::default();
        let mut socket = Socket::open(Some(SOCK_DIAG))?;
        for family in Family::ALL {
            for answer in socket.dump(&request(family))? {
                connections.take(&answer.body);
            }
        }
        Ok(connections)
    }

    fn take(&mut self, body: &[u8]) {
        let Some((state, local, remote)) = read(body) else {
            return;
        };
        let flow = Flow {
            from: local,
            to: remote,
        };
        match state {
            LISTEN => drop(self.listening.insert(local.port())),
            TIME_WAIT => drop(self.ended.insert(flow)),
            _ => {
                self.sockets.insert(flow);
                if matches!(state, ESTABLISHED | CLOSE_WAIT) {
                    self.open.insert(flow);
                }
            }
        }
    }
}

/// Every TCP socket of a family.
fn request(family: Family) -> Message {
    let mut header = vec![0; REQUEST_BYTES];
    header[0] = family_number(family);
    header[1] = TCP;
    header[BEFORE_STATES..BEFORE_STATES + 4].copy_from_slice(&STATES.to_ne_bytes());
    Message {
        kind: BY_FAMILY,
        flags: DUMP,
        header,
        attributes: Attributes::default(),
    }
}

/// `AF_INET` and `AF_INET6`.
pub(crate) fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// State, own address, the other's.
fn read(body: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let (is_v6, state) = (*body.first()? == family_number(Family::V6), *body.get(1)?);
    let at = |address: usize, port: usize| {
        let ip = if is_v6 {
            let bytes: [u8; 16] = body.get(address..address + 16)?.try_into().ok()?;
            Ipv6Addr::from(bytes).to_canonical()
        } else {
            let bytes: [u8; 4] = body.get(address..address + 4)?.try_into().ok()?;
            IpAddr::from(Ipv4Addr::from(bytes))
        };
        let port: [u8; 2] = body.get(port..port + 2)?.try_into().ok()?;
        Some(SocketAddr::new(ip, u16::from_be_bytes(port)))
    };
    let local = at(LOCAL_ADDRESS, LOCAL_PORT)?;
    Some((state, local, at(REMOTE_ADDRESS, REMOTE_PORT)?))
}
