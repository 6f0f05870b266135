//! `lo`, and the routing table that brings answers to the proxy, over rtnetlink(7).
//!
//! A packet with the connection mark is routed by table 100, where every address is local, so that it
//! is delivered here although the proxy's socket has the address of somebody else.

use std::{io, net::IpAddr};

use rustix::io::Errno;

use super::{CONNECTION_MARK, MASK, plan::Family};
use crate::netlink::{
    ACK, Answer, Attributes, CREATE, DUMP, EXCLUSIVE, Message, REPLACE, Socket, attribute, u32_at,
};

/// The routing table. A number that distributions leave free.
const TABLE: u8 = 100;
/// Where the rule stands: before the tables `main` and `default`, after `local`.
const PRIORITY: u32 = 32764;

/// `RTM_NEWLINK`, `RTM_GETLINK`, `RTM_GETADDR`, `RTM_*ROUTE`, `RTM_*RULE`.
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const NEW_RULE: u16 = 32;
const DELETE_RULE: u16 = 33;
const GET_RULE: u16 = 34;

/// `lo` is the first interface of every namespace.
const LOOPBACK: u32 = 1;
/// `IFF_UP`.
const UP: u32 = 1;
/// `IFA_ADDRESS` and `IFA_LOCAL`: on a cable between two, the former is the other end's.
const ADDRESS: u16 = 1;
const OWN_ADDRESS: u16 = 2;
/// `RT_SCOPE_LINK` and narrower scopes.
const LINK: u8 = 253;
/// `RTA_OIF`.
const OUT_INTERFACE: u16 = 4;
/// `FRA_PRIORITY`, `FRA_FWMARK`, `FRA_TABLE` (as `RTA_TABLE`), `FRA_FWMASK`.
const RULE_PRIORITY: u16 = 6;
const RULE_MARK: u16 = 10;
const IN_TABLE: u16 = 15;
const RULE_MASK: u16 = 16;
/// `FR_ACT_TO_TBL`, and `RTN_LOCAL`: the last byte before the flags of either header.
const TO_TABLE: u8 = 1;
const LOCAL: u8 = 2;
/// `RTPROT_STATIC`, `RT_SCOPE_HOST`.
const STATIC: u8 = 4;
const HOST: u8 = 254;

pub(super) fn is_loopback_up() -> io::Result<bool> {
    let mut header = vec![0; 16];
    header[4..8].copy_from_slice(&LOOPBACK.to_ne_bytes());
    let all = Message {
        kind: GET_LINK,
        flags: DUMP,
        header,
        attributes: Attributes::default(),
    };
    let links = Socket::open(None)?.dump(&all)?;
    let lo = links
        .iter()
        .find(|it| u32_at(&it.body, 4) == Some(LOOPBACK));
    let flags = lo.and_then(|it| u32_at(&it.body, 8));
    Ok(flags.is_some_and(|flags| flags & UP != 0))
}

/// The runtime does it too, but perhaps later; and without it no local route of IPv6 can be made.
pub(crate) fn raise_loopback() -> io::Result<()> {
    let mut header = vec![0; 4];
    for field in [LOOPBACK, UP, UP] {
        header.extend(field.to_ne_bytes());
    }
    change(NEW_LINK, 0, header, Attributes::default())
}

/// The addresses of the namespace of this thread that others can reach.
pub(crate) fn addresses() -> io::Result<Vec<IpAddr>> {
    let all = Message {
        kind: GET_ADDRESS,
        flags: DUMP,
        header: vec![0; 8],
        attributes: Attributes::default(),
    };
    let found = Socket::open(None)?.dump(&all)?;
    Ok(found.iter().filter_map(reachable).collect())
}

fn reachable(found: &Answer) -> Option<IpAddr> {
    let scope = *found.body.get(3)?;
    let attributes = found.body.get(8..)?;
    let address = attribute(attributes, OWN_ADDRESS).or(attribute(attributes, ADDRESS))?;
    let address = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    (scope < LINK).then_some(address)
}

pub(super) fn has_rule(family: Family) -> io::Result<bool> {
    let is_ours = |rule: &Answer| {
        let number = |kind| value(rule, kind);
        let names = [RULE_PRIORITY, RULE_MARK, RULE_MASK].map(number);
        names == [Some(PRIORITY), Some(CONNECTION_MARK), Some(MASK)]
            && table(rule) == u32::from(TABLE)
    };
    Ok(list(GET_RULE, family)?.iter().any(is_ours))
}

pub(super) fn add_rule(family: Family) -> io::Result<()> {
    let (header, attributes) = rule(family);
    let added = change(NEW_RULE, CREATE | EXCLUSIVE, header, attributes);
    unless(added, &[Errno::EXIST])
}

pub(super) fn delete_rule(family: Family) -> io::Result<()> {
    let (header, attributes) = rule(family);
    let deleted = change(DELETE_RULE, 0, header, attributes);
    unless(deleted, &[Errno::NOENT, Errno::AFNOSUPPORT])
}

pub(super) fn exists(family: Family) -> io::Result<bool> {
    let is_ours = |route: &Answer| {
        let prefix_and_kind = (route.body.get(1), route.body.get(7));
        prefix_and_kind == (Some(&0), Some(&LOCAL))
            && value(route, OUT_INTERFACE) == Some(LOOPBACK)
            && table(route) == u32::from(TABLE)
    };
    Ok(list(GET_ROUTE, family)?.iter().any(is_ours))
}

pub(super) fn add(family: Family) -> io::Result<()> {
    let (header, attributes) = route(family);
    change(NEW_ROUTE, CREATE | REPLACE, header, attributes)
}

pub(super) fn delete(family: Family) -> io::Result<()> {
    let (header, attributes) = route(family);
    let deleted = change(DELETE_ROUTE, 0, header, attributes);
    unless(deleted, &[Errno::SRCH, Errno::NOENT, Errno::AFNOSUPPORT])
}

fn rule(family: Family) -> (Vec<u8>, Attributes) {
    let mut attributes = Attributes::default();
    attributes
        .put(RULE_PRIORITY, &PRIORITY.to_ne_bytes())
        .put(RULE_MARK, &CONNECTION_MARK.to_ne_bytes())
        .put(RULE_MASK, &MASK.to_ne_bytes())
        .put(IN_TABLE, &u32::from(TABLE).to_ne_bytes());
    (header(family, 0, 0, TO_TABLE), attributes)
}

fn route(family: Family) -> (Vec<u8>, Attributes) {
    let mut attributes = Attributes::default();
    attributes
        .put(OUT_INTERFACE, &LOOPBACK.to_ne_bytes())
        .put(IN_TABLE, &u32::from(TABLE).to_ne_bytes());
    (header(family, STATIC, HOST, LOCAL), attributes)
}

/// `struct rtmsg` and `struct fib_rule_hdr`, which begin and end alike: family, two prefix lengths,
/// type of service, table, two bytes of their own, kind, flags.
fn header(family: Family, protocol: u8, scope: u8, kind: u8) -> Vec<u8> {
    let family = number(family);
    vec![family, 0, 0, 0, TABLE, protocol, scope, kind, 0, 0, 0, 0]
}

/// `AF_INET` and `AF_INET6`.
fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

fn list(kind: u16, family: Family) -> io::Result<Vec<Answer>> {
    let mut header = vec![0; 12];
    header[0] = number(family);
    let all = Message {
        kind,
        flags: DUMP,
        header,
        attributes: Attributes::default(),
    };
    Socket::open(None)?.dump(&all)
}

fn change(kind: u16, flags: u16, header: Vec<u8>, attributes: Attributes) -> io::Result<()> {
    let message = Message {
        kind,
        flags: flags | ACK,
        header,
        attributes,
    };
    let done = Socket::open(None)?.request(&[message]);
    done.map_err(|refusal| refusal.error)
}

/// A number among the attributes of a rule or a route.
fn value(answer: &Answer, kind: u16) -> Option<u32> {
    let attributes = answer.body.get(12..)?;
    u32_at(attribute(attributes, kind)?, 0)
}

/// The header has room for small numbers of tables only.
fn table(answer: &Answer) -> u32 {
    let small = answer.body.get(4).copied().unwrap_or_default();
    value(answer, IN_TABLE).unwrap_or(small.into())
}

/// Success also for errors that say that it is so already.
fn unless(done: io::Result<()>, harmless: &[Errno]) -> io::Result<()> {
    let code = done.as_ref().err().and_then(io::Error::raw_os_error);
    match code {
        Some(code) if harmless.iter().any(|it| it.raw_os_error() == code) => Ok(()),
        _ => done,
    }
}
