//! The mesh as far as this process takes part in it: in whose name members are reached, and where they
//! answer.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use weft_certs::Expected;
use weft_ir::{Endpoint, Name};
use weft_tunnel::{Target, wire};

use crate::{caller::Caller, live::InletKey};

/// What it takes to reach members of the mesh. Apart from tables and endpoints, which name them: keys
/// and roots are this process' own.
#[derive(Debug, Default)]
pub struct Members {
    /// In whose name traffic leaves that brings no caller of its own. Without any it reaches no member.
    pub callers: HashMap<Sender, Arc<Caller>>,
    /// Who answers for the members, by the SPIFFE ID that [`Endpoint::member`] has. A member that is not
    /// here is not reached.
    pub answering: HashMap<Arc<str>, Answering>,
}

/// Whose traffic it is. It follows from where the traffic came in, and never from what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// A Gateway.
    Gateway(Name),
    /// The clients of a namespace.
    Namespace(Arc<str>),
}

impl Sender {
    /// Whose traffic comes in there.
    pub fn of(key: &InletKey) -> Self {
        match key {
            InletKey::Gateway { gateway, .. } => Self::Gateway(gateway.clone()),
            InletKey::Mesh {
                client_namespace, ..
            } => Self::Namespace(Arc::clone(client_namespace)),
        }
    }
}

/// Where a member answers, and as whom.
#[derive(Clone, Debug)]
pub struct Answering {
    /// Where its tunnel ends; `None` for the port of HBONE on the address of the endpoint.
    pub door: Option<SocketAddr>,
    /// Who has to answer there.
    pub expected: Expected,
}

/// Which way connections to an endpoint take.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// To the endpoint itself.
    Direct,
    /// Through the tunnel, to a member that has to prove who it is.
    Tunnel { member: Arc<str>, target: Target },
    /// To a member of which nobody knows where it answers: none.
    Nowhere { member: Arc<str> },
}

impl Way {
    pub(crate) fn to(endpoint: &Endpoint, members: &Members) -> Self {
        let Some(member) = &endpoint.member else {
            return Self::Direct;
        };
        let member = Arc::clone(member);
        match members.answering.get(&member) {
            None => Self::Nowhere { member },
            Some(Answering { door, expected }) => {
                let own = SocketAddr::new(endpoint.address.ip(), wire::PORT);
                let target = Target::new(door.unwrap_or(own), expected.clone());
                Self::Tunnel { member, target }
            }
        }
    }

    /// Whether connections that went the one way are as good as those that go the other. Whom to expect
    /// follows from the member.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Direct, Self::Direct) => true,
            (
                Self::Tunnel { member, target },
                Self::Tunnel {
                    member: other,
                    target: to,
                },
            ) => member == other && target.endpoint() == to.endpoint(),
            (Self::Nowhere { member }, Self::Nowhere { member: other }) => member == other,
            _ => false,
        }
    }
}
