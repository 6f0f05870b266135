//! `weft uninstall`: takes Weft out of a cluster and leaves nothing of it.
//!
//! First the mesh, so that nobody is captured by what goes; then the control plane, which would put back
//! what is missing; then what it gave to Gateways; then rights, keys and the namespace. What users wrote
//! stays: Gateways, routes, policies.

mod inventory;
mod mesh;
mod mesh_only;
mod remove;
mod statuses;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal, Write as _},
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use weft_source::kube::Cluster;

use self::{
    inventory::{Inventory, Item},
    mesh::Mesh,
};
use crate::{
    args::{Global, dns_label, duration},
    cluster,
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
};

/// Time for what nobody waited for. The garbage collector of a cluster that has new kinds takes up to half a
/// minute to know them, and so long to remove the last of them.
const REMAINDER: Duration = Duration::from_secs(60);

/// Options of `weft uninstall`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft uninstall --dry-run          what would go
  weft uninstall                    asks first
  weft uninstall --yes --stop-gateways --end-mesh
  weft uninstall --mesh-only        for those who go on with Gateways alone

Gateways, routes and policies stay: they are yours. What their statuses say on behalf of Weft is taken
back. The CRDs of the Gateway API stay: they are the
cluster's. Weft has neither CRDs nor webhooks of its own. The authority of the mesh, Secret weft-ca,
goes: what is installed afterwards is another mesh.")]
pub(crate) struct Options {
    #[command(flatten)]
    cluster: cluster::ClusterOptions,
    /// Namespace of the control plane
    #[arg(short = 'n', long, default_value = "weft-system", value_parser = dns_label, value_name = "NS")]
    namespace: String,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
    /// Go on although Gateways are served: their proxies go too
    #[arg(long)]
    stop_gateways: bool,
    /// Go on although namespaces are in the mesh: their labels go, and their pods speak in the clear
    #[arg(long)]
    end_mesh: bool,
    /// Only take the mesh apart, and clean the nodes; Gateways are served as before. Before
    /// `mesh.enabled` becomes false
    #[arg(long, conflicts_with = "stop_gateways")]
    mesh_only: bool,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// How long pods may take to finish their requests and go
    #[arg(long, default_value = "6m", value_parser = duration, value_name = "TIME")]
    timeout: Duration,
}

/// What happened; the JSON form only grows.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    /// Objects that went, or would go.
    removed: Vec<String>,
    /// Objects that stay on purpose, and why.
    kept: Vec<Kept>,
    /// Objects that should have gone and are still there.
    left: Vec<String>,
}

/// Something that stays on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Kept {
    object: String,
    why: String,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    if format == Format::Json && !options.yes && !options.dry_run {
        return Err(Failure::usage(
            "-o json cannot ask; add --yes, or --dry-run to see what would go",
        ));
    }
    cluster::block_on(uninstall(options, global, format))
}

async fn uninstall(options: &Options, global: Global, format: Format) -> Outcome {
    let cluster = options.cluster.connect().await?;
    if options.mesh_only {
        return mesh_only::uninstall(&cluster, options, format).await;
    }
    let found = Inventory::take(&cluster, &options.namespace).await?;
    let mut report = Report {
        version: 1,
        removed: everything(&found),
        kept: found.kept.clone(),
        left: Vec::new(),
    };
    if report.removed.is_empty() {
        return conclude(&report, format, "nothing of Weft is in this cluster");
    }
    if options.dry_run {
        let (objects, statuses) = (found.items.len(), found.statements.len());
        let would = format!("would remove {objects} objects and take back {statuses} statuses");
        if format == Format::Text {
            output::print(&plan(&found, cluster.url()))?;
        }
        return conclude(&report, format, &would);
    }
    may_stop(&found, options.stop_gateways)?;
    may_end(&found.mesh, options.end_mesh)?;
    if !options.yes && !is_confirmed(&plan(&found, cluster.url()))? {
        output::tell("nothing was removed");
        return Ok(Exit::Good);
    }
    let tell = |line: String| {
        if format == Format::Text {
            output::print(&line)
        } else {
            Ok(())
        }
    };
    let ended = found.mesh.end(&cluster, &options.namespace, &tell).await?;
    if let Err(waiting) = ended {
        report.left = waiting;
        print_left(&report, format)?;
        return Ok(Exit::Timeout);
    }
    let waited = remove::all(&cluster, &found, (options.timeout, global), tell).await?;
    if let Err(waiting) = waited {
        report.left = waiting;
        print_left(&report, format)?;
        return Ok(Exit::Timeout);
    }
    report.left = until_gone(&cluster, options).await?;
    if !report.left.is_empty() {
        print_left(&report, format)?;
        return Ok(Exit::Errors);
    }
    conclude(&report, format, "nothing of Weft is left in this cluster")
}

/// What is still there after [`REMAINDER`].
async fn until_gone(cluster: &Cluster, options: &Options) -> Result<Vec<String>, Failure> {
    let gone = async {
        while !left(cluster, options).await?.is_empty() {
            tokio::time::sleep(remove::LOOK).await;
        }
        Ok(Vec::new())
    };
    match tokio::time::timeout(REMAINDER, gone).await {
        Ok(gone) => gone,
        Err(_late) => left(cluster, options).await,
    }
}

/// Looks once more: what is still there, but for what stays on purpose.
async fn left(cluster: &Cluster, options: &Options) -> Result<Vec<String>, Failure> {
    let again = Inventory::take(cluster, &options.namespace).await?;
    Ok(everything(&again))
}

/// What is ours, in words.
fn everything(found: &Inventory) -> Vec<String> {
    let objects = found.items.iter().map(Item::to_string);
    let statements = found.statements.iter().map(ToString::to_string);
    objects.chain(statements).collect()
}

fn conclude(report: &Report, format: Format, last: &str) -> Outcome {
    if format == Format::Json {
        output::print_json(report)?;
        return Ok(Exit::Good);
    }
    let mut text = String::new();
    for kept in &report.kept {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} stays: {}", kept.object, kept.why);
    }
    let _ = writeln!(text, "{last}");
    output::print(&text)?;
    Ok(Exit::Good)
}

fn print_left(report: &Report, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::print_json(report);
    }
    for object in &report.left {
        output::tell(format_args!("still there: {object}"));
    }
    output::tell("run `weft uninstall` again once they are gone, or look at their finalizers");
    Ok(())
}

/// Whether clients are cut off, and whether that is wanted.
fn may_stop(found: &Inventory, is_wanted: bool) -> Result<(), Failure> {
    if is_wanted || found.gateways.is_empty() {
        return Ok(());
    }
    Err(Failure::errors(format!(
        "these Gateways are served by Weft, and nobody would serve them afterwards: {}; delete them, \
         give them another class, or add --stop-gateways",
        found.gateways.join(", ")
    )))
}

/// Whether pods speak in the clear, and whether that is wanted.
fn may_end(mesh: &Mesh, is_wanted: bool) -> Result<(), Failure> {
    if is_wanted || mesh.members.is_empty() {
        return Ok(());
    }
    Err(Failure::errors(format!(
        "these are in the mesh, and speak in the clear afterwards: {}; take them out of it with \
         `weft namespace disable`, or add --end-mesh",
        members(mesh)
    )))
}

fn members(mesh: &Mesh) -> String {
    let members = mesh.members.iter().map(ToString::to_string);
    members.collect::<Vec<_>>().join(", ")
}

fn plan(found: &Inventory, url: &str) -> String {
    let mut text = format!("What is Weft's in {url}:\n");
    for what in everything(found) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {what}");
    }
    if !found.gateways.is_empty() {
        let gateways = found.gateways.join(", ");
        let _ = writeln!(text, "Gateways that nobody will serve: {gateways}");
    }
    if !found.mesh.members.is_empty() {
        let members = members(&found.mesh);
        let _ = writeln!(text, "Out of the mesh, and in the clear: {members}");
    }
    text
}

/// Shows the plan and asks.
fn is_confirmed(plan: &str) -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(
            "standard input is no terminal to ask on; add --yes",
        ));
    }
    output::print(plan)?;
    output::print("Remove all of it? [y/N] ")?;
    io::stdout().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
