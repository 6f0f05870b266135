//! `weft check`: whether a cluster has what Weft needs, whether the control plane and the proxies of nodes
//! are well, and whether Gateways are served; what was seen, and what to do about it.

mod codes;
mod control_plane;
mod gateways;
mod nodes;
mod picture;
mod prerequisites;
mod report;
mod rights;
mod surroundings;
#[cfg(test)]
mod tests;
mod time;

use std::{io, time::Duration};

use clap::Args;
use weft_source::kube::Cluster;

use self::{picture::Picture, report::Report};
use crate::{
    args::{Global, Reference, dns_label, duration},
    clock, cluster,
    exit::{Exit, Outcome},
    output::Format,
};

/// Time between two looks with `--wait`.
const LOOK: Duration = Duration::from_secs(1);

/// Options of `weft check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft check --pre                      before `weft install`
  weft check --wait 2m                  after it: until nothing is wrong
  weft check --gateway shop/edge -o json
  weft check --list                     every code, with its cure

A check that you may not look into is skipped and says which right is missing. Exit codes: 0 all good,
1 warnings only, 2 errors, 4 the API server cannot be reached, 5 errors when the time of --wait is over.")]
pub(crate) struct Options {
    #[command(flatten)]
    cluster: cluster::ClusterOptions,
    /// Namespace of the control plane
    #[arg(short = 'n', long, default_value = "weft-system", value_parser = dns_label, value_name = "NS")]
    namespace: String,
    /// Only what an installation needs, and whether you may install (WC1xx)
    #[arg(long, conflicts_with = "gateway")]
    pre: bool,
    /// Only this Gateway (WC8xx)
    #[arg(long, value_name = "NS/NAME")]
    gateway: Option<Reference>,
    /// Look again until there are no errors and all replicas are there, for so long
    #[arg(long, value_parser = duration, value_name = "TIME")]
    wait: Option<Duration>,
    /// End with 0 when there are only warnings
    #[arg(long)]
    allow_warnings: bool,
    /// List the codes instead of checking anything
    #[arg(long, conflicts_with_all = ["pre", "gateway", "wait"])]
    list: bool,
}

/// Which checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Before an installation.
    Before,
    /// All of them.
    All,
    /// Those of one Gateway.
    Gateway,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global
        .output
        .one_of(&[Format::Text, Format::Json, Format::Junit])?;
    if options.list {
        report::print_codes(format)?;
        return Ok(Exit::Good);
    }
    cluster::block_on(async {
        let cluster = options.cluster.connect().await?;
        let (report, exit) = until_good(&cluster, options).await;
        report.print(format, global.color.on(&io::stdout()), global.quiet)?;
        Ok(match exit {
            Exit::Warnings if options.allow_warnings => Exit::Good,
            exit => exit,
        })
    })
}

/// Looks once, or again and again while `--wait` says so; the last look counts.
async fn until_good(cluster: &Cluster, options: &Options) -> (Report, Exit) {
    let began = clock::now();
    loop {
        let report = look(cluster, options).await;
        let exit = report.exit();
        let Some(patience) = options.wait else {
            return (report, exit);
        };
        if exit < Exit::Errors && !report.is_underway {
            return (report, exit);
        }
        let spent = clock::now().saturating_duration_since(began);
        if spent + LOOK > patience {
            let timeout = exit >= Exit::Errors;
            return (report, if timeout { Exit::Timeout } else { exit });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(cluster: &Cluster, options: &Options) -> Report {
    let extent = match (options.pre, &options.gateway) {
        (true, _) => Extent::Before,
        (false, Some(_)) => Extent::Gateway,
        (false, None) => Extent::All,
    };
    let mut picture = Picture::take(cluster, &options.namespace, extent).await;
    if let Some(reference) = &options.gateway {
        picture.only(&reference.name);
    }
    judge(&picture, extent)
}

/// All verdicts on what was seen. Pure.
fn judge(picture: &Picture, extent: Extent) -> Report {
    let mut report = Report::default();
    if !prerequisites::reachable(picture, &mut report) {
        return report;
    }
    if extent != Extent::Gateway {
        prerequisites::judge(picture, &mut report);
        surroundings::judge(picture, &mut report);
        nodes::kernels(picture, &mut report);
        report.checks.sort_by_key(|check| check.code);
    }
    if extent == Extent::All {
        control_plane::judge(picture, &mut report);
        nodes::judge(picture, &mut report);
    }
    if extent != Extent::Before {
        gateways::judge(picture, &mut report, extent == Extent::Gateway);
    }
    report
}
