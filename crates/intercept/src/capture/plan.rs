//! What the packet rules of a pod are, and those of a node, without saying how the kernel is told.
//!
//! One table each; a pod has four chains. Every rule has a purpose, which is its comment in the kernel: `nft list
//! table inet weft` explains itself, and an inspection knows what is missing.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{CONNECTION_MARK, MARK};
use crate::ports;

/// Where the kubelet's probes come from once the node has rewritten their source.
pub const PROBE_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 7, 127);
/// The same for IPv6.
pub const PROBE_V6: Ipv6Addr = Ipv6Addr::new(
    0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff,
);

/// What differs between pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sources whose connections are not captured: probes, after the node has rewritten their source.
    pub probes: Vec<IpAddr>,
    /// Whether DNS to anywhere but loopback goes to port 15053, where somebody then has to listen.
    pub captures_dns: bool,
    /// Ports of the pod to which connections are not captured.
    pub exempt_inbound: BTreeSet<u16>,
    /// Ports to which connections of the pod are not captured, wherever they go.
    pub exempt_outbound: BTreeSet<u16>,
    /// Networks to which connections of the pod are not captured: the first address of each, and the
    /// length of its prefix.
    pub exempt_networks: BTreeSet<(IpAddr, u8)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            probes: vec![PROBE_V4.into(), PROBE_V6.into()],
            captures_dns: false,
            exempt_inbound: BTreeSet::new(),
            exempt_outbound: BTreeSet::new(),
            exempt_networks: BTreeSet::new(),
        }
    }
}

/// A table: its sets and chains, in the order in which they are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name, in the family of nftables that sees IPv4 and IPv6.
    pub table: &'static str,
    /// What its rules look up.
    pub sets: Vec<Set>,
    /// Where its rules are.
    pub chains: Vec<Chain>,
}

/// Addresses with ports, all of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name in the table.
    pub name: &'static str,
    /// Of which family its members are.
    pub family: Family,
    /// What it holds.
    pub members: BTreeSet<SocketAddr>,
}

/// A chain and where in the kernel it is hooked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name in the table.
    pub name: &'static str,
    /// What it may do.
    pub kind: Kind,
    /// Which packets it sees.
    pub hook: Hook,
    /// When among the others of its hook; lower is earlier.
    pub priority: i32,
    /// The first that matches and accepts or redirects is the last.
    pub rules: Vec<Rule>,
}

/// The type of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sees every packet.
    Filter,
    /// Sees every packet; one whose mark it changes is routed again.
    Route,
    /// Sees the first packet of a connection; the others share its fate.
    Nat,
}

/// Where packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Everything that arrives, also over loopback.
    Prerouting,
    /// Everything that is made here.
    Output,
    /// Everything that leaves, made here or forwarded.
    Postrouting,
}

/// Everything that must hold of a packet, and what is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its comment.
    pub purpose: &'static str,
    /// All of them hold.
    pub matches: Vec<Match>,
    /// What then happens.
    pub action: Action,
}

/// Something that holds of a packet or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It comes from this address, and so is of its family.
    From(IpAddr),
    /// It goes to an address that begins with so many bits of this one, and so is of its family.
    ToNetwork(IpAddr, u8),
    /// It does not go to loopback of this family, which it is of.
    NotToLoopback(Family),
    /// It belongs to a socket of this namespace, and is not forwarded.
    OfLocalSocket,
    /// It is TCP to a member of this set, and so is of its family.
    TcpToMemberOf(Family, &'static str),
    /// It leaves through the interface `lo`.
    ThroughLoopback,
    /// It begins a TCP connection: of FIN, SYN, RST and ACK exactly SYN is set. Without this the
    /// kernel takes packets of living connections that it has never seen for new ones, and resets them.
    BeginsTcp,
    /// It is UDP.
    Udp,
    /// It is TCP or UDP to this port.
    ToPort(u16),
    /// It is TCP or UDP to another port.
    NotToPort(u16),
    /// Its mark is this one, under [`super::MASK`].
    Mark(u32),
    /// Its mark is another one, under [`super::MASK`].
    NotMark(u32),
    /// The mark of its connection is this one, under [`super::MASK`].
    ConnectionMark(u32),
    /// Its mark is [`super::DIAL_MARK`], under [`super::DIAL_MASK`].
    Dialled,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The connection goes on as it is.
    Accept,
    /// The connection goes to this port here.
    Redirect(u16),
    /// Sets the bits of [`super::MASK`] in the mark of the connection and keeps the others.
    MarkConnection(u32),
    /// The connection comes from this address, as far as its receiver sees.
    Source(IpAddr),
    /// The packet gets the mark of its connection.
    CopyConnectionMark,
    /// The kernel tracks what is sent apart from what others send, in the zone of this number; answers
    /// are tracked with those of everybody.
    Apart(u16),
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    fn pick<T>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }
}

impl Plan {
    /// The rules of a pod.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        // The priorities have names in nft: mangle, and dstnat for redirects.
        let (mangle, redirect) = (-150, -100);
        let inbound = inbound(settings);
        let outbound = outbound(settings);
        Self {
            table: "weft",
            sets: Vec::new(),
            chains: vec![
                chain("marks", Kind::Filter, Hook::Prerouting, mangle, marks()),
                chain("replies", Kind::Route, Hook::Output, mangle, replies()),
                chain("inbound", Kind::Nat, Hook::Prerouting, redirect, inbound),
                chain("outbound", Kind::Nat, Hook::Output, redirect, outbound),
            ],
        }
    }
}

impl Plan {
    /// The rules of a node whose kubelet probes these addresses and ports. Its own connections to them
    /// get a source by which pods know them: the address of the node is also that of traffic from
    /// outside which the node masquerades, and belongs to no socket here.
    #[must_use]
    pub fn of_node(probes: &BTreeSet<SocketAddr>) -> Self {
        let set = |family: Family| {
            let members = probes.iter().filter(|it| Family::of(it.ip()) == family);
            Set {
                name: family.pick("probes", "probes_v6"),
                family,
                members: members.copied().collect(),
            }
        };
        let rule = |family: Family| Rule {
            purpose: family.pick("probes of this node", "probes of this node, IPv6"),
            matches: vec![
                Match::OfLocalSocket,
                Match::TcpToMemberOf(family, family.pick("probes", "probes_v6")),
            ],
            action: Action::Source(family.pick(PROBE_V4.into(), PROBE_V6.into())),
        };
        // Just before those who masquerade, who have the priority that nft calls srcnat.
        let (hook, priority, rules) = (Hook::Postrouting, 99, Family::ALL.map(rule).to_vec());
        Self {
            table: "weft_node",
            sets: Family::ALL.map(set).to_vec(),
            chains: vec![chain("sources", Kind::Nat, hook, priority, rules)],
        }
    }
}

pub(super) fn chain(
    name: &'static str,
    kind: Kind,
    hook: Hook,
    priority: i32,
    rules: Vec<Rule>,
) -> Chain {
    Chain {
        name,
        kind,
        hook,
        priority,
        rules,
    }
}

/// Remembers connections that the proxy opened, over loopback, to applications of the pod.
fn marks() -> Vec<Rule> {
    vec![Rule {
        purpose: "connections of the proxy to the pod",
        matches: vec![Match::Mark(MARK)],
        action: Action::MarkConnection(CONNECTION_MARK),
    }]
}

/// Brings their answers back to the proxy, whose socket has an address that is not of this pod.
fn replies() -> Vec<Rule> {
    vec![Rule {
        purpose: "answers to the proxy",
        matches: vec![Match::ConnectionMark(CONNECTION_MARK)],
        action: Action::CopyConnectionMark,
    }]
}

fn inbound(settings: &Settings) -> Vec<Rule> {
    let probes = settings.probes.iter().map(|address| Rule {
        purpose: Family::of(*address).pick("probes", "probes, IPv6"),
        matches: vec![Match::From(*address)],
        action: Action::Accept,
    });
    let captured = Family::ALL.map(|family| Rule {
        purpose: family.pick("plaintext from outside", "plaintext from outside, IPv6"),
        matches: vec![
            Match::NotToLoopback(family),
            Match::BeginsTcp,
            Match::NotToPort(ports::TUNNEL),
            Match::NotMark(MARK),
        ],
        action: Action::Redirect(ports::INBOUND),
    });
    let exempt = settings.exempt_inbound.iter();
    let exempt = exempt.map(|port| exemption("exempt port", Match::ToPort(*port)));
    probes.chain(exempt).chain(captured).collect()
}

fn exemption(purpose: &'static str, to: Match) -> Rule {
    Rule {
        purpose,
        matches: vec![Match::BeginsTcp, to],
        action: Action::Accept,
    }
}

fn outbound(settings: &Settings) -> Vec<Rule> {
    let mut rules = Vec::new();
    if settings.captures_dns {
        rules.extend(Family::ALL.into_iter().flat_map(dns));
    }
    rules.push(Rule {
        purpose: "back to the proxy",
        matches: vec![Match::Mark(CONNECTION_MARK)],
        action: Action::Accept,
    });
    rules.extend(Family::ALL.map(|family| Rule {
        purpose: family.pick("the pod to itself", "the pod to itself, IPv6"),
        matches: vec![Match::NotToLoopback(family), Match::ThroughLoopback],
        action: Action::Accept,
    }));
    rules.extend(exempt_outbound(settings));
    rules.extend(Family::ALL.map(|family| Rule {
        purpose: family.pick("what the pod dials", "what the pod dials, IPv6"),
        matches: vec![
            Match::NotToLoopback(family),
            Match::BeginsTcp,
            Match::NotMark(MARK),
        ],
        action: Action::Redirect(ports::OUTBOUND),
    }));
    rules
}

/// What the pod dials by itself. The connection by which the proxy finds out whether it is captured comes
/// before, because all of what is dialled may be exempt.
fn exempt_outbound(settings: &Settings) -> Vec<Rule> {
    let ports = settings.exempt_outbound.iter();
    let ports = ports.map(|port| exemption("exempt port", Match::ToPort(*port)));
    let networks = settings.exempt_networks.iter();
    let networks = networks.map(|(network, bits)| {
        let to = Match::ToNetwork(*network, *bits);
        exemption("exempt network", to)
    });
    let exempt: Vec<Rule> = ports.chain(networks).collect();
    if exempt.is_empty() {
        return exempt;
    }
    let probe = Family::ALL.map(|family| Rule {
        purpose: family.pick("the proxy's own probe", "the proxy's own probe, IPv6"),
        matches: vec![
            Match::NotToLoopback(family),
            Match::ToNetwork(
                family.pick(PROBE_V4.into(), PROBE_V6.into()),
                family.pick(32, 128),
            ),
            Match::BeginsTcp,
            Match::NotMark(MARK),
        ],
        action: Action::Redirect(ports::OUTBOUND),
    });
    probe.into_iter().chain(exempt).collect()
}

fn dns(family: Family) -> [Rule; 2] {
    let rule = |purpose, transport| Rule {
        purpose,
        matches: vec![
            Match::NotToLoopback(family),
            transport,
            Match::ToPort(53),
            Match::NotMark(MARK),
        ],
        action: Action::Redirect(ports::DNS),
    };
    [
        rule(family.pick("DNS", "DNS, IPv6"), Match::Udp),
        rule(
            family.pick("DNS over TCP", "DNS over TCP, IPv6"),
            Match::BeginsTcp,
        ),
    ]
}
