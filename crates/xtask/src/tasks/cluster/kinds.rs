//! `cargo x cluster kinds`: whether every kind of workload behaves in the mesh, on a real cluster.
//!
//! The workloads are manifests in `tests/cluster/kinds`, and judge themselves: a Job ends when it has seen
//! what it asks for, and everything else becomes ready. What is written here is which there are, what each
//! asks, and that nothing of them had to be tried twice.

mod debian;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::rows::{MEMBERS, NAMESPACES, ROWS, Row};
use super::{builds, command, is_up, load};
use crate::command::{succeed, workspace_root};

/// What is started one after the other: servers, the pod whose wait is measured, and everything else.
const STEPS: [&str; 3] = ["step=first", "step=alone", "step=then"];
/// How long what is asked first may take until it serves.
const PATIENCE: &str = "--timeout=120s";
/// How often, and how long after each other, it is looked at what asks.
const LOOKS: usize = 180;
const LOOK: Duration = Duration::from_millis(500);

/// Options of `cargo x cluster kinds`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what is asked
    #[arg(long)]
    list: bool,
    /// Leave the workloads in the cluster
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        ROWS.iter().for_each(|row| println!("{row}"));
        return Ok(ExitCode::SUCCESS);
    }
    if !is_up()? {
        bail!("no cluster: run `cargo x cluster up`");
    }
    let echo = builds::ensure(&["echo-advanced"])?;
    let mut archives = Vec::from_iter(echo.images().cloned());
    archives.push(debian::image(&directory())?);
    load(&archives)?;
    let judged = judge();
    if !args.keep {
        kubectl(
            &[
                &["delete", "namespace", "--ignore-not-found"],
                &NAMESPACES[..],
            ]
            .concat(),
        )?;
    }
    let failed = judged?;
    println!("    {} kinds, {failed} of them do not behave", ROWS.len());
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Starts everything, and says of each row what became of it; how many are not as they should be.
fn judge() -> Result<usize> {
    let directory = directory();
    let directory = directory
        .to_str()
        .context("the checkout has a strange path")?;
    let common = format!("{directory}/common.yaml");
    let [servers, alone, others] = STEPS;
    kubectl(&["apply", "--filename", &common])?;
    kubectl(&["apply", "--filename", directory, "--selector", servers])?;
    for namespace in NAMESPACES {
        let rollout = ["rollout", "status", "deployment", PATIENCE];
        kubectl(&[&rollout[..], &["--namespace", namespace]].concat())?;
    }
    kubectl(&["apply", "--filename", directory, "--selector", alone])?;
    settled(&ROWS[..1])?;
    kubectl(&["apply", "--filename", directory, "--selector", others])?;
    let ends = settled(ROWS)?;
    let mut failed = 0;
    for row in ROWS {
        let end = ends.get(row.object).map_or("did not begin", String::as_str);
        let verdict = if end == row.expected { "met" } else { "MISSED" };
        println!("    {row:<90} {end:<22} {verdict}");
        if end != row.expected {
            failed += 1;
            explain(row);
        }
    }
    let odd = odd_pods()?;
    odd.iter().for_each(|pod| println!("    {pod}"));
    Ok(failed + odd.len())
}

/// What became of every row, once nothing is under way any more or time is over.
fn settled(asked: &[Row]) -> Result<BTreeMap<&'static str, String>> {
    let mut ends = BTreeMap::new();
    for _ in 0..LOOKS {
        for row in asked {
            ends.insert(row.object, row.state(&kubectl(&row.question())?));
        }
        let is_over = |row: &Row| {
            let end = ends.get(row.object).map(String::as_str);
            end == Some(row.expected) || end == Some(rows::FAILED)
        };
        if asked.iter().all(is_over) {
            break;
        }
        std::thread::sleep(LOOK);
    }
    Ok(ends)
}

/// Pods of which kubectl says something else than is so, or of which something was started twice. Who is a
/// member follows from the manifests.
fn odd_pods() -> Result<Vec<String>> {
    let columns = "--output=custom-columns=:metadata.name,:status.phase,:spec.hostNetwork,\
                   :metadata.labels.weft\\.dev/mesh,:metadata.annotations.weft\\.dev/captured,\
                   :status.containerStatuses[*].restartCount";
    let mut odd = Vec::new();
    for namespace in NAMESPACES {
        let list = [
            "get",
            "pods",
            "--namespace",
            namespace,
            "--no-headers",
            columns,
        ];
        for pod in kubectl(&list)?.lines() {
            let fields: Vec<&str> = pod.split_whitespace().collect();
            let [name, "Running", host, label, captured, restarts] = fields[..] else {
                continue;
            };
            let is_member = MEMBERS.contains(&namespace) && host != "true" && label != "disabled";
            let expected = if is_member { "true" } else { "<none>" };
            if captured != expected {
                odd.push(format!(
                    "{namespace}/{name} is said to be captured: {captured}, not {expected}"
                ));
            }
            if restarts.split(',').any(|count| count != "0") {
                odd.push(format!(
                    "{namespace}/{name} has restarted containers: {restarts}"
                ));
            }
        }
    }
    Ok(odd)
}

/// What people need to find out why.
fn explain(row: &Row) {
    let logs = [
        "logs",
        row.object,
        "--all-containers",
        "--prefix",
        "--tail=15",
    ];
    let events = ["get", "events", "--no-headers", "--sort-by=.lastTimestamp"];
    for question in [&logs[..], &events[..]] {
        match kubectl(&[question, &["--namespace", row.namespace]].concat()) {
            Ok(said) => {
                let lines: Vec<_> = said.lines().collect();
                let last = lines.len().saturating_sub(15);
                lines[last..]
                    .iter()
                    .for_each(|line| println!("      | {line}"));
            }
            Err(error) => println!("      | {error:#}"),
        }
    }
}

fn directory() -> PathBuf {
    workspace_root().join("tests/cluster/kinds")
}

/// Runs kubectl as the administrator of the bed; what it prints.
fn kubectl(args: &[&str]) -> Result<String> {
    let kubectl = || args.join(" ");
    succeed(command()?.arg("kubectl").args(args)).with_context(kubectl)
}
