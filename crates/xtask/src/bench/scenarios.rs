//! The scenarios, in the order of a full run.

mod churn;
mod endpoints;
mod h1;
mod h2;
mod idle;
mod mesh;
mod scale;
mod tls;

use anyhow::Result;

use super::figures::Table;
use super::lab::Lab;

/// Where scenarios run, which is also the part of the report that they stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One proxy on loopback.
    Loopback,
    /// Two proxies, and a cable between two network namespaces.
    Cable,
}

/// Something worth measuring.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// One line: what it measures.
    pub(crate) purpose: &'static str,
    pub(crate) run: fn(&Lab) -> Result<Vec<Table>>,
}

/// Every scenario.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "h1",
        part: Part::Loopback,
        purpose: "HTTP/1.1 hop: CPU per request, latency at 12,000 requests/s (P1, P2)",
        run: h1::run,
    },
    Scenario {
        name: "h2",
        part: Part::Loopback,
        purpose: "HTTP/2 hop and gRPC-like calls: CPU per request (P3)",
        run: h2::run,
    },
    Scenario {
        name: "tls",
        part: Part::Loopback,
        purpose: "TLS termination: new connections, kept ones, a download of 1 GiB (P4)",
        run: tls::run,
    },
    Scenario {
        name: "idle",
        part: Part::Loopback,
        purpose: "memory with 10 routes, and of each of 4,000 idle connections (P9, P10)",
        run: idle::run,
    },
    Scenario {
        name: "scale",
        part: Part::Loopback,
        purpose: "1, 1,000 and 10,000 routes: start, memory, cost, one change (P11, P12, P13)",
        run: scale::run,
    },
    Scenario {
        name: "endpoints",
        part: Part::Loopback,
        purpose: "memory of 10,000 endpoints (P14)",
        run: endpoints::run,
    },
    Scenario {
        name: "churn",
        part: Part::Loopback,
        purpose: "requests that fail while routes change 20 times a second (P15)",
        run: churn::run,
    },
    Scenario {
        name: "mesh",
        part: Part::Cable,
        purpose: "two proxies with mutual TLS between them: CPU, latency, memory (P6 to P10)",
        run: mesh::run,
    },
];
