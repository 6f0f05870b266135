//! What the supervisor and a worker of pods say to each other, over the channel between parents and
//! workers. What a worker says may be anything: it reads bytes of strangers.

use prost::{Message, Oneof};
use weft_intercept::{
    capture::Family,
    sockets::{Listener, Purpose},
};
use weft_wire::proto::config::{ClientMessage, ServerMessage, WorkerTrusts};

use super::core::{Hold, Sandbox};
use crate::identity::{Csr, Signed, Trust};

/// What the supervisor says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ToShard {
    #[prost(oneof = "Order", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub(crate) order: Option<Order>,
}

/// What a worker of pods is to do.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Order {
    /// Serve a pod; its listeners are attached.
    #[prost(message, tag = "1")]
    Assign(Assign),
    /// Serve it no longer, and say so when it is over.
    #[prost(message, tag = "2")]
    Revoke(Revoke),
    /// The sockets that were asked for are attached, or the reason why not.
    #[prost(message, tag = "3")]
    Sockets(Sockets),
    /// A change of the configuration, or a piece of one.
    #[prost(message, tag = "4")]
    Change(ServerMessage),
    /// Answers a [`Csr`].
    #[prost(message, tag = "5")]
    Signed(Signed),
    /// Whom to trust from now on.
    #[prost(message, tag = "6")]
    Trust(Trust),
    /// Accept nothing more, finish what is under way, give up every pod, and end.
    #[prost(message, tag = "7")]
    Drain(Drain),
    /// Say what the metrics are; the number comes back with the answer.
    #[prost(uint64, tag = "8")]
    Scrape(u64),
    /// Take plaintext in a pod whatever else is said of it, or do so no longer.
    #[prost(message, tag = "9")]
    Lenient(Lenient),
    /// Serve no longer what an earlier supervisor has assigned and this one has not.
    #[prost(message, tag = "10")]
    Forget(Forget),
    /// Log by this filter.
    #[prost(string, tag = "11")]
    Log(String),
}

/// See [`Order::Forget`].
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Forget {}

/// A pod to be served. One that the worker serves already, by the same listeners, it goes on serving.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Assign {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    /// Its namespace, whose routes act for what it dials, and its name: `shop/web-0`.
    #[prost(string, tag = "2")]
    pub(crate) pod: String,
    /// Its addresses.
    #[prost(string, repeated, tag = "3")]
    pub(crate) ips: Vec<String>,
    /// Whether plaintext from outside is refused. A worker that is not told refuses it.
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_strict: Option<bool>,
    /// What each attached descriptor is.
    #[prost(message, repeated, tag = "5")]
    pub(crate) listeners: Vec<Inlet>,
    /// UID of the pod; its certificate is asked for by it.
    #[prost(string, tag = "6")]
    pub(crate) uid: String,
    /// SPIFFE ID of its service account. Empty: it has none, and neither sends nor takes tunnels.
    #[prost(string, tag = "7")]
    pub(crate) identity: String,
    /// Whether plaintext is taken for now, even if it is to be refused.
    #[prost(bool, tag = "8")]
    pub(crate) is_lenient: bool,
}

/// A listener.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Inlet {
    /// 1 outbound, 2 inbound plaintext, 3 tunnels.
    #[prost(uint32, tag = "1")]
    purpose: u32,
    /// 4 or 6.
    #[prost(uint32, tag = "2")]
    family: u32,
}

/// The end of a pod, as far as the worker is concerned.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Revoke {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    /// Time for what is under way.
    #[prost(uint64, tag = "2")]
    pub(crate) drain_ms: u64,
}

/// How a pod that ran before it was captured is treated until its peers know that it is a member.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Lenient {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    #[prost(bool, tag = "2")]
    pub(crate) is_lenient: bool,
}

/// An answer to [`Want`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sockets {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    /// 4 or 6.
    #[prost(uint32, tag = "2")]
    pub(crate) family: u32,
    /// How many were asked for.
    #[prost(uint32, tag = "3")]
    pub(crate) asked: u32,
    /// How many are attached.
    #[prost(uint32, tag = "4")]
    pub(crate) count: u32,
    /// Why there are none.
    #[prost(string, tag = "5")]
    pub(crate) error: String,
}

/// The end of a worker. It says [`Report::Released`] for each of its pods and ends.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Drain {
    /// Time for what is under way.
    #[prost(uint64, tag = "1")]
    pub(crate) limit_ms: u64,
    /// Whether another worker serves its pods by now, so that nobody waits for the end of this one: idle
    /// connections stay until the limit.
    #[prost(bool, tag = "2")]
    pub(crate) is_followed: bool,
}

/// What a worker says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FromShard {
    #[prost(oneof = "Report", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub(crate) report: Option<Report>,
}

/// What the supervisor learns.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Report {
    /// First: its version.
    #[prost(string, tag = "1")]
    Hello(String),
    /// The pod is served.
    #[prost(message, tag = "2")]
    Taken(Held),
    /// The pod is not served any more; its listeners are closed.
    #[prost(message, tag = "3")]
    Released(Held),
    /// The pod cannot be served.
    #[prost(message, tag = "4")]
    Refused(Refused),
    /// Sockets are needed.
    #[prost(message, tag = "5")]
    Want(Want),
    /// All is well: connections that are open.
    #[prost(uint64, tag = "6")]
    Heartbeat(u64),
    /// What the worker says about its configuration: once, after [`Report::Hello`], that it has none
    /// (`Hello`), then an answer to each [`Order::Change`] (`Ack` or `Nack`).
    #[prost(message, tag = "7")]
    Answer(ClientMessage),
    /// A certificate is needed.
    #[prost(message, tag = "8")]
    Csr(Csr),
    /// Answers [`Order::Scrape`].
    #[prost(message, tag = "9")]
    Scraped(Scraped),
    /// Whom it trusts and by whom its certificates are, whenever that changes.
    #[prost(message, tag = "10")]
    Trusts(WorkerTrusts),
    /// There is a certificate of this identity already. It follows [`Report::Taken`].
    #[prost(string, tag = "11")]
    Identified(String),
}

/// The worker's metrics.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Scraped {
    /// The number of the question.
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// OpenMetrics text; empty when it is too long for a frame.
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

/// A hold as it travels.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Held {
    #[prost(uint64, tag = "1")]
    sandbox: u64,
    #[prost(uint64, tag = "2")]
    generation: u64,
}

/// Why a pod cannot be served.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Refused {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    #[prost(string, tag = "2")]
    pub(crate) why: String,
}

/// Sockets in the namespace of a pod, for connections from there.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Want {
    #[prost(message, optional, tag = "1")]
    pub(crate) hold: Option<Held>,
    /// 4 or 6.
    #[prost(uint32, tag = "2")]
    pub(crate) family: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) count: u32,
}

impl From<Csr> for Report {
    fn from(csr: Csr) -> Self {
        Self::Csr(csr)
    }
}

impl From<WorkerTrusts> for Report {
    fn from(trusts: WorkerTrusts) -> Self {
        Self::Trusts(trusts)
    }
}

impl From<Hold> for Held {
    fn from(hold: Hold) -> Self {
        Self {
            sandbox: hold.sandbox.number(),
            generation: hold.generation,
        }
    }
}

impl From<Held> for Hold {
    fn from(held: Held) -> Self {
        Self {
            sandbox: Sandbox::of_number(held.sandbox),
            generation: held.generation,
        }
    }
}

impl Inlet {
    pub(crate) fn of(listener: &Listener) -> Self {
        let purpose = match listener.purpose {
            Purpose::Outbound => 1,
            Purpose::Inbound => 2,
            Purpose::Tunnel => 3,
        };
        Self {
            purpose,
            family: number(listener.family),
        }
    }

    /// What it is; nothing for what another version may mean.
    pub(crate) fn read(&self) -> Option<(Purpose, Family)> {
        let purpose = match self.purpose {
            1 => Purpose::Outbound,
            2 => Purpose::Inbound,
            3 => Purpose::Tunnel,
            _ => return None,
        };
        Some((purpose, family(self.family)?))
    }
}

/// A family as it travels.
pub(crate) fn number(family: Family) -> u32 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

/// The family of a number.
pub(crate) fn family(number: u32) -> Option<Family> {
    match number {
        4 => Some(Family::V4),
        6 => Some(Family::V6),
        _ => None,
    }
}
