//! Telemetry: metrics, the access log, program logs, and the stable words all three share.
//!
//! A leaf-like room: it takes values and never reaches into the state of the rooms that use it.
//! Time enters through parameters.

pub mod access_log;
pub mod logging;
pub mod metrics;
mod reason;
mod timestamp;

pub use self::reason::{Fault, Reason};
pub use self::timestamp::rfc3339;
