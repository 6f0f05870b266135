//! `weft namespace`: takes a namespace into the mesh and out of it, and says how far its pods are. The label
//! is the interface, for this command as for everybody; what it adds is to wait and to say who lags.

mod standing;

use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::json;
use weft_api::{Kind, ObjectKey, ObjectRef, workload::MESH};
use weft_source::kube::{Cluster, Resource, Selection};

use self::standing::Overview;
pub(crate) use self::standing::{PodStanding, Standing, State};
use crate::{
    args::{Global, dns_label, duration},
    clock, cluster,
    exit::{Exit, Failure, Outcome},
    findings::counted,
    output::{self, Format, table},
    progress,
};

const NAMESPACES: Resource = Resource {
    api_version: "v1",
    plural: "namespaces",
};
const PODS: Resource = Resource {
    api_version: "v1",
    plural: "pods",
};
/// Time between two looks at pods that are on their way.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `weft namespace`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft namespace enable shop
  weft namespace status
  weft namespace status shop -o json
  weft namespace disable shop --no-wait

The label weft.dev/mesh of the namespace is all that is written; `kubectl label namespace shop
weft.dev/mesh=enabled` does the same. Running pods stay as they are: connections that are open stay open,
and new ones are encrypted. A pod's own label weft.dev/mesh goes before that of its namespace.")]
pub(crate) struct Options {
    #[command(flatten)]
    cluster: cluster::ClusterOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take a namespace into the mesh, and wait until its pods are captured
    Enable(Change),
    /// Take a namespace out of the mesh, and wait until its pods are let go
    Disable(Change),
    /// Show the pods of a namespace and whether they are captured, or all namespaces of the mesh
    Status {
        /// The namespace
        #[arg(value_parser = dns_label, value_name = "NAME")]
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Change {
    /// The namespace
    #[arg(value_parser = dns_label, value_name = "NAME")]
    name: String,
    /// Write the label and do not wait for the pods
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for them
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    timeout: Duration,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    cluster::block_on(async {
        let cluster = options.cluster.connect().await?;
        match &options.action {
            Action::Enable(change) => set(&cluster, change, true, (format, global)).await,
            Action::Disable(change) => set(&cluster, change, false, (format, global)).await,
            Action::Status { name: Some(name) } => {
                print(&look(&cluster, name).await?, format)?;
                Ok(Exit::Good)
            }
            Action::Status { name: None } => overview(&cluster, format).await,
        }
    })
}

/// Writes the label, and waits for the pods.
async fn set(
    cluster: &Cluster,
    change: &Change,
    is_wanted: bool,
    (format, global): (Format, Global),
) -> Outcome {
    let before = look(cluster, &change.name).await?;
    if before.is_enabled != is_wanted {
        let key = ObjectKey::cluster(change.name.as_str());
        let namespace = ObjectRef::new(Kind::Namespace, key);
        let label = is_wanted.then_some("enabled");
        let patch = json!({ "metadata": { "labels": { MESH: label } } });
        // It names no version, so there is none to differ from.
        let written = cluster.merge(&namespace, &patch).await;
        written.map_err(cluster::failure)?;
    }
    let (standing, exit) = if change.no_wait {
        (look(cluster, &change.name).await?, Exit::Good)
    } else {
        until_settled(cluster, change, global).await?
    };
    print(&standing, format)?;
    if exit == Exit::Timeout {
        output::tell(format_args!(
            "{} not there yet; `weft check` says what is wrong with the mesh",
            counted(standing.underway(), "pod")
        ));
    }
    Ok(exit)
}

/// Looks until no pod is on its way, or the time is over; shows how many are there.
async fn until_settled(
    cluster: &Cluster,
    change: &Change,
    global: Global,
) -> Result<(Standing, Exit), Failure> {
    let bar = progress::is_wanted(global).then(|| ProgressBar::new(0));
    let began = clock::now();
    loop {
        let standing = look(cluster, &change.name).await?;
        let (pods, waiting) = (standing.pods.len(), standing.underway());
        if let Some(bar) = &bar {
            bar.set_length(u64::try_from(pods).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(pods - waiting).unwrap_or(u64::MAX));
        }
        let is_late = clock::now().saturating_duration_since(began) >= change.timeout;
        if waiting > 0 && !is_late {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let exit = if waiting > 0 {
            Exit::Timeout
        } else {
            Exit::Good
        };
        return Ok((standing, exit));
    }
}

/// How a namespace stands.
async fn look(cluster: &Cluster, name: &str) -> Result<Standing, Failure> {
    let place = NAMESPACES.place("", name);
    let namespace = cluster.look_at(&place).await.map_err(cluster::failure)?;
    let namespace =
        namespace.ok_or_else(|| Failure::errors(format!("there is no namespace {name}")))?;
    let selection = Selection {
        namespace: name,
        ..Selection::default()
    };
    let pods = cluster.find(PODS, selection).await;
    Standing::of(namespace, pods.map_err(cluster::failure)?)
}

fn print(standing: &Standing, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::print_json(standing);
    }
    let state = if standing.is_enabled {
        "enabled"
    } else {
        "not enabled"
    };
    let mut text = format!("namespace {}: {state}\n", standing.namespace);
    if !standing.pods.is_empty() {
        let rows = standing.pods.iter().map(|pod| {
            let (name, node) = (pod.name.as_str(), pod.node.as_str());
            [name, node, pod.state.as_str(), pod.reason.as_str()]
        });
        text.push_str(&table::whole(["POD", "NODE", "STATE", "REASON"], rows));
        text.push('\n');
    }
    Ok(output::print(&text)?)
}

/// The namespaces that are enabled, and those with pods that say so themselves.
async fn overview(cluster: &Cluster, format: Format) -> Outcome {
    let all = Selection::default();
    let namespaces = cluster.find(NAMESPACES, all).await;
    let pods = cluster.find(PODS, all).await;
    let overview = Overview::of(
        namespaces.map_err(cluster::failure)?,
        pods.map_err(cluster::failure)?,
    )?;
    if format == Format::Json {
        output::print_json(&overview)?;
        return Ok(Exit::Good);
    }
    if overview.namespaces.is_empty() {
        output::print("no namespace is in the mesh; `weft namespace enable NAME` takes one in\n")?;
        return Ok(Exit::Good);
    }
    let rows = overview.namespaces.iter().map(|it| {
        let of = format!("{} of {}", it.captured, it.members);
        let label = if it.is_enabled { "enabled" } else { "" };
        [it.name.clone(), label.to_owned(), of]
    });
    let text = table::whole(["NAMESPACE", "LABEL", "CAPTURED"], rows);
    output::print(&format!("{text}\n"))?;
    Ok(Exit::Good)
}
