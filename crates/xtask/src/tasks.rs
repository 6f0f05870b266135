//! The tasks of `cargo x`, one file each.

mod bench;
mod ci;
mod cluster;
mod conformance;
mod docs;
mod golden;
mod image;
mod kinds;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::bench::{backend, latency};

/// What `cargo x` can do.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run every check of the repository, stage by stage
    Test(test::Args),
    /// `test` with CI=true: a skipped stage or an ignored test is a failure
    Ci(test::Args),
    /// Compare the golden pairs of tests/golden, or rewrite them
    Golden(golden::Args),
    /// Rewrite the generated tables of the documentation
    Docs,
    /// Make a real Kubernetes on this machine, use it, remove it
    Cluster(cluster::Args),
    /// Run the official suite of the Gateway API on a cluster
    Conformance(conformance::Args),
    /// Write OCI archives of what is deployed
    Image(image::Args),
    /// Measure Weft beside Envoy, nginx and haproxy
    Bench(bench::Args),
    /// The back-end of `bench`
    #[command(hide = true)]
    BenchBackend(backend::Args),
    /// The open-loop client of `bench`
    #[command(hide = true)]
    BenchLatency(latency::Args),
}

impl Task {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Test(args) => test::run(&args),
            Self::Ci(args) => ci::run(&args),
            Self::Golden(args) => golden::run(&args),
            Self::Docs => docs::run(),
            Self::Cluster(args) => cluster::run(&args),
            Self::Conformance(args) => conformance::run(&args),
            Self::Image(args) => image::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::BenchBackend(args) => backend::run(&args),
            Self::BenchLatency(args) => latency::run(&args),
        }
    }
}
