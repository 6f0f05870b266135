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
//! restart nothing is remembered: pods are found by their processes, and their rules by looking.

mod cni;
mod core;
mod files;
mod find;
mod kernel;
pub(crate) mod messages;
mod roster;
mod shards;
mod supervisor;

pub use self::{
    core::{Assignment, Hold, Notice, OfWorker, Sandbox},
    roster::{Member, Roster, Shard, Standing},
    shards::{ShardSettings, Shards},
    supervisor::{Assigned, Inputs, NodeError, Settings, Shown, Workers, supervise},
};
