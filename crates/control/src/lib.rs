//! The control plane in a cluster: what the API server says becomes configuration for proxies and
//! statuses for people, and proxies become members of the mesh.
//!
//! ```text
//!  watches ──> World (store, translate) ──> Hub ══ Config.Stream ══ proxies
//!     ^              │                       │ what they have taken
//!     └── statuses ──┴───────────────────────┘        Identity.Sign <── proxies
//!         (the leader)         Replicas.Report <── other replicas
//! ```

mod admin;
mod applied;
mod authority;
mod controller;
pub mod deploy;
mod deployer;
mod door;
mod events;
mod hub;
mod identity;
pub mod orders;
mod proto;
mod reconcile;
mod replicas;
mod roots;
mod stream;
mod world;

pub use crate::{
    authority::CaError,
    controller::{
        Addresses, CONFIG_PORT, ControlError, Controller, IDENTITY_PORT, NODE_SERVICE_ACCOUNT,
        SERVICE_ACCOUNT, Settings,
    },
};
