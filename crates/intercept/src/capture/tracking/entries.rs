//! The entries of the kernel's connection tracking, over netlink.
//!
//! The names in comments are those of `linux/netfilter/nfnetlink_conntrack.h`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use rustix::net::netlink::NETFILTER;

use crate::{
    capture::Family,
    connections::{Flow, TCP, family_number},
    netlink::{ACK, Attributes, CREATE, DUMP, EXCLUSIVE, Message, Socket, attribute},
};

/// `NFNL_SUBSYS_CTNETLINK`, and `IPCTNL_MSG_CT_NEW`, `_GET`, `_DELETE` and `_GET_STATS`.
const SUBSYSTEM: u16 = 1;
const NEW: u16 = 0;
const GET: u16 = 1;
const DELETE: u16 = 2;
const GET_STATS: u16 = 5;

/// `CTA_STATS_GLOBAL_ENTRIES`: of the namespace.
const ENTRIES: u16 = 1;

/// `CTA_*`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_STATE: u16 = 4;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const ID: u16 = 12;
/// `CTA_TUPLE_IP` and `CTA_TUPLE_PROTO`.
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
/// `CTA_IP_V4_SRC`, of which the destination is one more; `CTA_IP_V6_SRC` likewise.
const V4: u16 = 1;
const V6: u16 = 3;
/// `CTA_PROTO_NUM`, `CTA_PROTO_SRC_PORT`, `CTA_PROTO_DST_PORT`.
const NUMBER: u16 = 1;
const FROM_PORT: u16 = 2;
const TO_PORT: u16 = 3;
/// `CTA_PROTOINFO_TCP` with `_STATE`, `_FLAGS_ORIGINAL` and `_FLAGS_REPLY`.
const OF_TCP: u16 = 1;
const TCP_STATE: u16 = 1;
const TCP_FLAGS: [u16; 2] = [4, 5];
/// `TCP_CONNTRACK_ESTABLISHED`.
const ESTABLISHED: u8 = 3;
/// `IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL`, and which flags are meant: what the kernel itself
/// assumes of a connection whose beginning it has not seen.
const LIBERAL: [u8; 2] = [0x0a, 0x0a];
/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED`.
const KNOWN: u32 = 0x0e;
/// What the kernel grants a connection that is silent, unless it is set otherwise; the next packet sets it.
const SILENCE_S: u32 = 5 * 24 * 3600;

/// One connection that is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it was begun.
    pub(super) original: Flow,
    /// As it is answered: the other way round, unless addresses are translated.
    pub(super) reply: Flow,
    pub(super) mark: u32,
    /// What tells it from another one of the same addresses, as the kernel writes it.
    pub(super) id: Vec<u8>,
}

/// The connection tracking of a network namespace.
pub(super) struct Tracker(Socket);

impl Tracker {
    /// That of the namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        Socket::open(Some(NETFILTER)).map(Self)
    }

    /// How many connections are tracked, of whatever kind.
    pub(super) fn count(&mut self) -> io::Result<u32> {
        let all = message(GET_STATS, ACK, 0, Attributes::default());
        let answers = self.0.dump(&all)?;
        let count = answers.first().and_then(|it| {
            let count = attribute(it.body.get(4..)?, ENTRIES)?;
            Some(u32::from_be_bytes(count.try_into().ok()?))
        });
        count.ok_or_else(|| io::Error::other("the kernel does not count them"))
    }

    /// The connection that has packets of this flow, in either direction, if it is tracked. It costs
    /// microseconds, and all of them milliseconds, because the kernel walks the entries of all pods.
    pub(super) fn of(&mut self, flow: Flow) -> io::Result<Option<Entry>> {
        let mut attributes = Attributes::default();
        attributes.nest(ORIGINAL, &tuple(flow));
        match self.0.dump(&message(GET, ACK, number_of(flow), attributes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => Ok(other?.iter().find_map(|it| read(&it.body))),
        }
    }

    /// All TCP connections that are tracked.
    pub(super) fn entries(&mut self) -> io::Result<Vec<Entry>> {
        let all = message(GET, DUMP, 0, Attributes::default());
        let answers = self.0.dump(&all)?;
        // What is no TCP is no entry either.
        Ok(answers.iter().filter_map(|it| read(&it.body)).collect())
    }

    /// Forgets one; it may have gone by itself.
    pub(super) fn forget(&mut self, entry: &Entry) -> io::Result<()> {
        self.delete(entry.reply, Some(&entry.id))
    }

    /// Forgets what [`add`](Self::add) has added.
    pub(super) fn take_back(&mut self, flow: Flow) -> io::Result<()> {
        self.delete(flow.back(), None)
    }

    fn delete(&mut self, reply: Flow, id: Option<&[u8]>) -> io::Result<()> {
        let mut attributes = Attributes::default();
        // The answers of all are in one zone.
        attributes.nest(REPLY, &tuple(reply));
        if let Some(id) = id {
            attributes.put(ID, id);
        }
        match self.request(message(DELETE, ACK, number_of(reply), attributes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Tracks a connection that is established; false when it is tracked by now.
    pub(super) fn add(&mut self, flow: Flow) -> io::Result<bool> {
        let (mut tcp, mut state) = (Attributes::default(), Attributes::default());
        tcp.put(TCP_STATE, &[ESTABLISHED]);
        for flags in TCP_FLAGS {
            tcp.put(flags, &LIBERAL);
        }
        state.nest(OF_TCP, &tcp);
        let mut attributes = Attributes::default();
        attributes
            .nest(ORIGINAL, &tuple(flow))
            .nest(REPLY, &tuple(flow.back()))
            .number(STATUS, KNOWN)
            .number(TIMEOUT, SILENCE_S)
            .nest(PROTOCOL_STATE, &state);
        let flags = CREATE | EXCLUSIVE | ACK;
        match self.request(message(NEW, flags, number_of(flow), attributes)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn request(&mut self, message: Message) -> io::Result<()> {
        self.0.request(&[message]).map_err(|refusal| refusal.error)
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: Attributes) -> Message {
    Message {
        kind: SUBSYSTEM << 8 | kind,
        flags,
        header: vec![family, 0, 0, 0],
        attributes,
    }
}

fn number_of(flow: Flow) -> u8 {
    family_number(Family::of(flow.from.ip()))
}

fn tuple(flow: Flow) -> Attributes {
    let mut addresses = Attributes::default();
    put_ip(&mut addresses, flow.from.ip(), 0);
    put_ip(&mut addresses, flow.to.ip(), 1);
    let mut protocol = Attributes::default();
    protocol
        .put(NUMBER, &[TCP])
        .put(FROM_PORT, &flow.from.port().to_be_bytes())
        .put(TO_PORT, &flow.to.port().to_be_bytes());
    let mut tuple = Attributes::default();
    tuple.nest(ADDRESSES, &addresses).nest(PROTOCOL, &protocol);
    tuple
}

fn put_ip(addresses: &mut Attributes, ip: IpAddr, end: u16) {
    match ip {
        IpAddr::V4(ip) => addresses.put(V4 + end, &ip.octets()),
        IpAddr::V6(ip) => addresses.put(V6 + end, &ip.octets()),
    };
}

fn read(body: &[u8]) -> Option<Entry> {
    let attributes = body.get(4..)?;
    let flow = |kind| read_tuple(attribute(attributes, kind)?);
    let mark = attribute(attributes, MARK).and_then(|it| it.try_into().ok());
    Some(Entry {
        original: flow(ORIGINAL)?,
        reply: flow(REPLY)?,
        mark: mark.map_or(0, u32::from_be_bytes),
        id: attribute(attributes, ID)?.to_owned(),
    })
}

fn read_tuple(tuple: &[u8]) -> Option<Flow> {
    let protocol = attribute(tuple, PROTOCOL)?;
    if attribute(protocol, NUMBER)? != [TCP] {
        return None;
    }
    let addresses = attribute(tuple, ADDRESSES)?;
    let ip = |end| {
        let v4 = attribute(addresses, V4 + end).and_then(|it| <[u8; 4]>::try_from(it).ok());
        let v6 = || attribute(addresses, V6 + end).and_then(|it| <[u8; 16]>::try_from(it).ok());
        v4.map(IpAddr::from).or_else(|| v6().map(IpAddr::from))
    };
    let port = |kind| {
        Some(u16::from_be_bytes(
            attribute(protocol, kind)?.try_into().ok()?,
        ))
    };
    Some(Flow {
        from: SocketAddr::new(ip(0)?, port(FROM_PORT)?),
        to: SocketAddr::new(ip(1)?, port(TO_PORT)?),
    })
}
