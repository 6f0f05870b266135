//! How the connections which the proxy dials are kept apart from everybody else's.
//!
//! The proxy dials an application in the name of a peer: with the peer's address and a port of the kernel's
//! choice. What ports the peer itself has in use is known in its own namespace only, so any of them may be
//! chosen, and the peer may choose that of a connection of ours as well. Two connections would then be one
//! to the kernel, and the answers of the one go to the other.
//!
//! So what the proxy sends is tracked in a zone of its own, and can be taken for nothing else; answers are
//! tracked with everybody's. Where an answer would be that of two connections, the kernel, which translates
//! addresses here anyway, gives the later of them another port. That costs nothing where there is no such
//! case, and needs no look at who is connected.
//!
//! The rule has a table of its own: a version that does not know it replaces the other one and leaves this
//! as it is, with connections in it that live.

use super::plan::{Action, Hook, Kind, Match, Plan, Rule, chain};

/// The zone. The namespace is the pod's, and others who use zones count from one.
const ZONE: u16 = 0x539;
/// What nft calls `raw`: before connections are tracked.
const BEFORE_TRACKING: i32 = -300;

impl Plan {
    /// The rule that keeps what the proxy dials apart.
    #[must_use]
    pub fn of_dials() -> Self {
        let rule = Rule {
            purpose: "what the proxy dials",
            matches: vec![Match::Dialled],
            action: Action::Apart(ZONE),
        };
        let (kind, hook) = (Kind::Filter, Hook::Output);
        Self {
            table: "weft_dials",
            sets: Vec::new(),
            chains: vec![chain("zone", kind, hook, BEFORE_TRACKING, vec![rule])],
        }
    }
}
