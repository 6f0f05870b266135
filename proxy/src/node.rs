//! The supervisor of a node: captures the pods of the mesh and gives their listeners to workers. It reads
//! no byte of a pod or of a peer.
//!
//! ```text
//!  control plane ── roster ──> table ── steps ──> network namespaces of pods (rules, listeners)
//!  CNI plugin ── questions ──>   │
//!  processes of the node ────>   └── listeners ──> workers, which accept and read
//! ```
//!
//! What happens to one pod is decided in `core`, without IO, and tried again for that pod alone. After a
//! restart nothing is remembered: pods are found by their processes, and their rules by looking. What is
//! heard of the control plane and said to it is decided in `follower`, without IO as well; `agent` is the
//! process around both, and `takeover` how one hands the listeners to the next.

mod agent;
mod cni;
mod core;
mod crashes;
mod estate;
mod files;
mod find;
mod follower;
mod inherited;
mod kernel;
pub(crate) mod messages;
mod probes;
mod roster;
mod shards;
mod supervisor;
mod takeover;
mod terms;
mod view;

pub use self::{
    agent::{AgentError, AgentSettings, run},
    core::{Assignment, Hold, Notice, OfWorker, Sandbox},
    inherited::{Heir, Inherited, Listeners},
    roster::{Member, Roster, Shard, Standing},
    shards::{Fed, Revision, Settled, ShardSettings, Shards, Supply, Watched},
    supervisor::supervise,
    terms::{Assigned, Inputs, NodeError, Settings, Shown, Succession, Workers},
};
pub use crate::control::{Signer, Signing};
