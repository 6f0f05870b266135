//! Which backend, which endpoint, and whether one more try is affordable.
//!
//! A request passes three decisions, each one function of this room:
//!
//! 1. [`WeightedSplit::next`]: which backend of the rule (`weight` of a `backendRef`);
//! 2. [`pick`]: which endpoint of that backend (two random choices, the better one by latency
//!    and requests in flight);
//! 3. [`RetryBudget::try_retry`]: whether a failed attempt may be repeated elsewhere.
//!
//! What an endpoint did is reported through the [`InFlight`] guard, which also keeps the number of
//! requests in flight and may answer that the endpoint has just been ejected ([`Ejection`]).
//!
//! The room is pure: times are `u64` nanoseconds of one monotonic clock of the caller's choice
//! (any origin, the same for all calls), randomness is a `u64` argument. Everything is lock-free
//! and nothing on the request path allocates. State lives in [`EndpointState`] behind the
//! caller's `Arc`, so that it survives a swap of the tables.

mod budget;
mod endpoint;
mod health;
mod in_flight;
mod latency;
mod pick;
mod split;

#[cfg(test)]
mod tests;

pub use budget::RetryBudget;
pub use endpoint::{Cause, Ejection, EndpointState, Failure, Outcome, Snapshot};
pub use health::{EJECTION_BASE_NS, EJECTION_CAP_NS, Phase};
pub use in_flight::InFlight;
pub use pick::pick;
pub use split::WeightedSplit;

/// Nanoseconds in one second, the unit conversions of this room start from.
const SECOND_NS: u64 = 1_000_000_000;
