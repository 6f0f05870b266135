//! The second front end: a cluster's API server. Watches come out as the same events a directory
//! gives, statuses go back, and a Lease says which replica may write them.
//!
//! Everything is read as JSON and parsed object by object, so one that cannot be read is a finding
//! and keeps its last good version. This file's children are the only code that talks to a cluster.

mod applied;
mod clock;
mod cluster;
mod direct;
mod discovery;
mod exec;
mod frames;
mod item;
mod kind;
mod known;
mod lease;
mod lines;
mod metadata;
mod named;
mod once;
mod pace;
mod raw;
mod settings;
mod status;
mod trouble;
mod watches;

pub use applied::Place;
pub use clock::{Clock, SystemClock};
pub use cluster::{Access, Cluster, ConnectError};
pub use direct::{Created, InstalledApi, RequestError, TokenOwner, TokenPod};
pub use discovery::Versions;
pub use exec::Executed;
pub use lease::{Leader, Lease, LeaseOptions};
pub use once::Snapshot;
pub use pace::{Jitter, Retry};
pub use raw::{Resource, Selection, ServerVersion};
pub use settings::{WATCHED_KINDS, WatchOptions};
pub use status::{StatusOptions, StatusWriter, WriteCounts};
pub use watches::{Update, Watches};
