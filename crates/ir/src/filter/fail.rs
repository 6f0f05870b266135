//! A filter that cannot be honoured: requests that it would have processed get an error instead
//! (HTTPRouteFilter.type: "the filter MUST NOT be skipped").

use std::fmt;

use serde::{Deserialize, Serialize};

/// Answers every request of the rule with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    /// Status of the answer, 5xx.
    pub status: u16,
    /// Why, for the access log and `explain`; never sent to the client.
    pub reason: Box<str>,
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reason)
    }
}
