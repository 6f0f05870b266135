//! SPIFFE IDs: the names of workloads, and of the domains that vouch for them.
//!
//! Parsing is strict, following the SPIFFE-ID specification: what is not plainly valid is refused,
//! never repaired, because two readers that repair differently disagree about who somebody is.
//! Comparison is byte for byte. There is no order, prefix or wildcard on identities here; anything
//! of that kind belongs to the policy language. An IP address is never an identity.
//!
//! In Weft's own trust domain an ID is exactly `spiffe://<domain>/ns/<namespace>/sa/<account>`, see
//! [`SpiffeId::for_workload`] and [`SpiffeId::workload`]. Foreign domains may use any path.

mod error;
mod id;
mod kubernetes;
#[cfg(test)]
mod tests;
mod trust_domain;

pub use self::error::{Component, SpiffeIdError};
pub use self::id::{MAX_ID_BYTES, SpiffeId};
pub use self::kubernetes::Workload;
pub use self::trust_domain::{MAX_TRUST_DOMAIN_BYTES, TrustDomain};
