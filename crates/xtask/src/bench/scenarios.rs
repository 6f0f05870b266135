//! The scenarios, in the order of a full run.

mod churn;
mod endpoints;
mod h1;
mod h2;
mod idle;
mod scale;
mod tls;

use anyhow::Result;

use super::figures::Table;
use super::lab::Lab;

/// Something worth measuring.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// One line: what it measures.
    pub(crate) purpose: &'static str,
    pub(crate) run: fn(&Lab) -> Result<Vec<Table>>,
}

/// Every scenario.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "h1",
        purpose: "HTTP/1.1 hop: CPU per request, latency at 12,000 requests/s (P1, P2)",
        run: h1::run,
    },
    Scenario {
        name: "h2",
        purpose: "HTTP/2 hop and gRPC-like calls: CPU per request (P3)",
        run: h2::run,
    },
    Scenario {
        name: "tls",
        purpose: "TLS termination: new connections, kept ones, a download of 1 GiB (P4)",
        run: tls::run,
    },
    Scenario {
        name: "idle",
        purpose: "memory with 10 routes, and of each of 4,000 idle connections (P9, P10)",
        run: idle::run,
    },
    Scenario {
        name: "scale",
        purpose: "1, 1,000 and 10,000 routes: start, memory, cost, one change (P11, P12, P13)",
        run: scale::run,
    },
    Scenario {
        name: "endpoints",
        purpose: "memory of 10,000 endpoints (P14)",
        run: endpoints::run,
    },
    Scenario {
        name: "churn",
        purpose: "requests that fail while routes change 20 times a second (P15)",
        run: churn::run,
    },
];
