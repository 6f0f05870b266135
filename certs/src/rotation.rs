//! Rotation of roots and intermediates: a state machine whose steps wait for acknowledgements.
//!
//! Pure: it is told the time and what nodes have reported, and says which phase comes next and who is
//! being waited for. Whoever drives it persists the value before acting on it.
//!
//! | phase | issuer | bundle | left when |
//! |---|---|---|---|
//! | 0 [`Rotation::Stable`] | one | one root | a rotation begins |
//! | 1 [`Rotation::Distribute`] | old | both roots | every node has acknowledged both |
//! | 2 [`Rotation::Activate`] | new | both roots | no node has leaves of the old issuer, or all have expired |
//! | 3 [`Rotation::Retire`] | new | new root | every node has acknowledged the smaller bundle |
//!
//! An intermediate under the same root changes no bundle: phases 1 and 3 are left out.

use serde::{Deserialize, Serialize};

/// Clock differences that are allowed for before leaves count as expired.
const SKEW_S: i64 = 5 * 60;

/// An issuer by the fingerprints of its certificates, see [`crate::Authority`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Of the certificate that issues leaves.
    pub issuer: String,
    /// Of its root.
    pub root: String,
}

/// Where a rotation stands. Serialisable, to be kept in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all_fields = "camelCase")]
pub enum Rotation {
    /// One issuer, nothing to do.
    Stable {
        /// The issuer.
        current: IssuerRef,
        /// Version of the bundle with its root.
        bundle_version: u64,
    },
    /// The new root is being added everywhere; the old issuer signs.
    Distribute {
        /// Signs.
        old: IssuerRef,
        /// Will sign.
        new: IssuerRef,
        /// Version of the bundle with both roots.
        bundle_version: u64,
    },
    /// The new issuer signs; nodes renew their leaves early.
    Activate {
        /// Still trusted.
        old: IssuerRef,
        /// Signs.
        new: IssuerRef,
        /// Version of the bundle in force.
        bundle_version: u64,
        /// When the last leaf of the old issuer has expired, seconds since 1970.
        old_leaves_end_unix_s: i64,
    },
    /// The old root is being removed everywhere.
    Retire {
        /// Signs.
        new: IssuerRef,
        /// Version of the bundle without the old root.
        bundle_version: u64,
    },
}

/// What one node, gateway or replica of the control plane has reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Its name, for the status.
    pub node: String,
    /// The newest bundle it has acknowledged.
    pub bundle_version: u64,
    /// Leaves it holds that the old issuer has signed.
    pub old_leaves: usize,
}

/// Why somebody is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// It has not acknowledged the bundle in force.
    Bundle {
        /// What it acknowledged last.
        acknowledged: u64,
    },
    /// It holds leaves of the old issuer.
    OldLeaves(usize),
}

/// Somebody who is being waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laggard {
    /// Its name.
    pub node: String,
    /// Why.
    pub lag: Lag,
}

/// What a step is decided by.
#[derive(Clone, Debug)]
pub struct StepInput<'a> {
    /// Seconds since 1970.
    pub now_unix_s: i64,
    /// Every live node, gateway, standalone peer and replica of the control plane.
    pub reports: &'a [NodeReport],
    /// Longest life of a leaf, seconds.
    pub max_leaf_life_s: i64,
    /// An operator's order not to wait. Whoever passes it logs it.
    pub forced: bool,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The phase after it, possibly the same.
    pub rotation: Rotation,
    /// Who kept it from going on; those passed over when it was forced.
    pub laggards: Vec<Laggard>,
}

impl Rotation {
    /// No rotation under way.
    #[must_use]
    pub fn stable(current: IssuerRef) -> Self {
        Self::Stable {
            current,
            bundle_version: 1,
        }
    }

    /// The number of the phase, 0 to 3.
    #[must_use]
    pub fn phase(&self) -> u8 {
        match self {
            Self::Stable { .. } => 0,
            Self::Distribute { .. } => 1,
            Self::Activate { .. } => 2,
            Self::Retire { .. } => 3,
        }
    }

    /// Who signs.
    #[must_use]
    pub fn signing(&self) -> &IssuerRef {
        match self {
            Self::Stable { current, .. } => current,
            Self::Distribute { old, .. } => old,
            Self::Activate { new, .. } | Self::Retire { new, .. } => new,
        }
    }

    /// Fingerprints of the roots in the bundle.
    #[must_use]
    pub fn roots(&self) -> Vec<&str> {
        let mut roots = match self {
            Self::Stable { current, .. } => vec![current.root.as_str()],
            Self::Distribute { old, new, .. } | Self::Activate { old, new, .. } => {
                vec![old.root.as_str(), new.root.as_str()]
            }
            Self::Retire { new, .. } => vec![new.root.as_str()],
        };
        roots.dedup();
        roots
    }

    /// The version of the bundle that nodes have to acknowledge.
    #[must_use]
    pub fn bundle_version(&self) -> u64 {
        match self {
            Self::Stable { bundle_version, .. }
            | Self::Distribute { bundle_version, .. }
            | Self::Activate { bundle_version, .. }
            | Self::Retire { bundle_version, .. } => *bundle_version,
        }
    }

    /// Begins to replace the issuer by `new`. A rotation under way is finished first: there are never
    /// three generations.
    #[must_use]
    pub fn begin(self, new: IssuerRef, input: &StepInput<'_>) -> Self {
        match self {
            Self::Stable {
                current,
                bundle_version,
            } if current.root != new.root => Self::Distribute {
                old: current,
                new,
                bundle_version: bundle_version + 1,
            },
            Self::Stable {
                current,
                bundle_version,
            } if current != new => activate(current, new, bundle_version, input),
            other => other,
        }
    }

    /// Goes on by at most one phase when everybody who matters has followed, or an operator says so.
    #[must_use]
    pub fn step(self, input: &StepInput<'_>) -> Step {
        let laggards = self.laggards(input);
        if !laggards.is_empty() && !input.forced {
            let rotation = self;
            return Step { rotation, laggards };
        }
        let rotation = match self {
            stable @ Self::Stable { .. } => stable,
            Self::Distribute {
                old,
                new,
                bundle_version,
            } => activate(old, new, bundle_version, input),
            Self::Activate {
                old,
                new,
                bundle_version,
                ..
            } if old.root != new.root => Self::Retire {
                new,
                bundle_version: bundle_version + 1,
            },
            Self::Activate {
                new,
                bundle_version,
                ..
            }
            | Self::Retire {
                new,
                bundle_version,
            } => Self::Stable {
                current: new,
                bundle_version,
            },
        };
        Step { rotation, laggards }
    }

    /// Who is being waited for.
    #[must_use]
    pub fn laggards(&self, input: &StepInput<'_>) -> Vec<Laggard> {
        let lag = |report: &NodeReport| {
            let acknowledged = report.bundle_version;
            match self {
                Self::Stable { .. } => None,
                _ if acknowledged < self.bundle_version() => Some(Lag::Bundle { acknowledged }),
                Self::Activate {
                    old_leaves_end_unix_s,
                    ..
                } if report.old_leaves > 0 && input.now_unix_s <= *old_leaves_end_unix_s => {
                    Some(Lag::OldLeaves(report.old_leaves))
                }
                _ => None,
            }
        };
        let reports = input.reports.iter();
        reports
            .filter_map(|report| {
                lag(report).map(|lag| Laggard {
                    node: report.node.clone(),
                    lag,
                })
            })
            .collect()
    }
}

fn activate(
    old: IssuerRef,
    new: IssuerRef,
    bundle_version: u64,
    input: &StepInput<'_>,
) -> Rotation {
    Rotation::Activate {
        old,
        new,
        bundle_version,
        old_leaves_end_unix_s: input.now_unix_s + input.max_leaf_life_s + SKEW_S,
    }
}

/// Whether an issuer is due for rotation: more than half of its life is over.
#[must_use]
pub fn is_rotation_due((not_before_unix_s, not_after_unix_s): (i64, i64), now_unix_s: i64) -> bool {
    let life = not_after_unix_s.saturating_sub(not_before_unix_s);
    now_unix_s.saturating_sub(not_before_unix_s) > life / 2
}

#[cfg(test)]
mod tests;
