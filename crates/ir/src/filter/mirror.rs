//! `RequestMirror`: which requests are copied to which backend. The copy itself is IO and belongs
//! to the data path.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Target;

/// `HTTPRequestMirrorFilter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Where copies go. A target that cannot be used drops the mirror, never the request.
    pub target: Target,
    /// Share of the requests that is copied.
    #[serde(default)]
    pub fraction: Fraction,
}

/// A share of all requests, `numerator` of `denominator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fraction {
    /// At least `denominator` means every request.
    pub numerator: u32,
    /// At least 1; 0 is read as 1.
    pub denominator: u32,
}

impl Fraction {
    /// Every request: neither `percent` nor `fraction` is given.
    pub const ALL: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `percent` of 100.
    pub const fn percent(percent: u32) -> Self {
        Self {
            numerator: percent,
            denominator: 100,
        }
    }

    /// Whether a request is in the share. `random` is uniform over all of `u64`, drawn anew for
    /// every request and mirror.
    pub fn hit(self, random: u64) -> bool {
        // Scales the draw to [0, denominator) without division: always < denominator, so that
        // 100 % is always hit and 0 % never.
        let draw = (u128::from(random) * u128::from(self.denominator.max(1))) >> 64;
        draw < u128::from(self.numerator)
    }
}

impl Default for Fraction {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.numerator, self.denominator.max(1)) {
            (numerator, denominator) if numerator >= denominator => f.write_str("100%"),
            (numerator, 100) => write!(f, "{numerator}%"),
            (numerator, denominator) => write!(f, "{numerator}/{denominator}"),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to ", self.fraction)?;
        match &self.target {
            Target::Service {
                port, tls: None, ..
            } => write!(f, "{port}"),
            Target::Service {
                port,
                tls: Some(tls),
                ..
            } => write!(f, "{port} over {tls}"),
            Target::Fault { fault, reference } => {
                write!(f, "{reference} dropped ({})", fault.as_str())
            }
        }
    }
}
