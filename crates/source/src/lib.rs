//! Where objects come from and where statuses go: a directory of YAML, or a cluster's API server, as
//! a stream of events.
//!
//! [`Loader`] reads files once or again and says what changed; [`Watch`] does so whenever files
//! change; [`StatusFiles`] writes statuses back. What an API server would refuse is refused here,
//! with a [`Finding`] that names file, line and cure, and never disturbs any other object.
//! [`kube`] is the same for a cluster.

mod admit;
mod clock;
mod finding;
mod input;
pub mod kube;
mod loader;
mod place;
mod schema;
mod status;
mod watch;
mod yaml;

pub use finding::{CODES, Code, Finding, Severity};
pub use input::{Channel, Options, Progress, SourceError};
pub use loader::{Batch, Event, Loader, Places};
pub use place::{Place, Snippet};
pub use status::{StatusError, StatusFiles};
pub use watch::Watch;
