//! `weft proxy`: what one proxy has in force, as it says itself. It is asked by running `weft-proxy
//! admin` in its container: what it shows is on a Unix socket there, for whoever may start programs in
//! the pod, and for nobody on the network.

mod dump;
mod metrics;
mod place;

use clap::{Args, Subcommand};
use serde::Serialize;

use self::{dump::Dump, place::Place};
use crate::{
    args::{Global, dns_label},
    clock, cluster,
    exit::{Exit, Failure, Outcome},
    output::{self, Format, Paint, table},
    routes,
};

/// Options of `weft proxy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft proxy routes --gateway shop/edge
  weft proxy endpoints --pod shop/edge-weft-7d9c-x2x4l
  weft proxy identities --node n1 -o json
  weft proxy connections --pod shop/web-0      the proxy of the node it is on

What is shown is what the proxy has in force; `weft routes` says what the objects of the cluster
mean. The user of the kubeconfig needs create and get of pods/exec in the proxy's namespace.")]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the rules in force, in the order of precedence
    Routes(Whose),
    /// List the endpoints of Service ports
    Endpoints(Whose),
    /// List the identities it has, and until when
    Identities(Whose),
    /// Count connections, open ones and those of its life
    Connections(Whose),
}

/// Which proxy.
#[derive(Debug, Args)]
struct Whose {
    #[command(flatten)]
    cluster: cluster::ClusterOptions,
    #[command(flatten)]
    which: Which,
    /// Namespace of the control plane and of the proxies of nodes
    #[arg(long, default_value = "weft-system", value_parser = dns_label, value_name = "NS", help_heading = "Cluster")]
    control_namespace: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// A pod: a proxy, or one of the mesh, whose node's proxy is asked
    #[arg(long, value_name = "NS/POD")]
    pod: Option<String>,
    /// A Gateway: the first of its pods that is ready
    #[arg(long, value_name = "NS/NAME")]
    gateway: Option<String>,
    /// A node: its proxy
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
}

/// What a proxy has, and which one; the JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<T> {
    version: u32,
    proxy: String,
    #[serde(flatten)]
    shown: T,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let (Action::Routes(whose)
    | Action::Endpoints(whose)
    | Action::Identities(whose)
    | Action::Connections(whose)) = &options.action;
    let path = match options.action {
        Action::Connections(_) => "/metrics",
        _ => "/config",
    };
    let (place, shown) = cluster::block_on(async {
        let cluster = whose.cluster.connect().await?;
        let place = whose.find(&cluster).await?;
        let shown = place.ask(&cluster, path).await?;
        Ok((place, shown))
    })?;
    if !global.quiet && format == Format::Text {
        output::tell(format_args!("proxy {place}"));
    }
    match options.action {
        Action::Routes(_) => {
            let dump = Dump::parse(&shown)?;
            let paint = Paint(global.color.on(&std::io::stdout()));
            routes::print_tables(&dump.tables.unwrap_or_default(), format, paint)?;
        }
        Action::Endpoints(_) => {
            let ports = Dump::parse(&shown)?.endpoints;
            let rows = ports.iter().flat_map(dump::Port::rows);
            let head = [
                "SERVICE", "PORT", "ADDRESS", "STATE", "ZONE", "POD", "MEMBER",
            ];
            let text = table::whole(head, rows);
            print(&place, dump::Endpoints { endpoints: &ports }, text, format)?;
        }
        Action::Identities(_) => {
            let identities = Dump::parse(&shown)?.identities;
            let now = clock::today();
            let rows = identities.iter().map(|identity| identity.row(now));
            let text = table::whole(["IDENTITY", "ENDS IN", "RENEWED", "TROUBLE"], rows);
            let shown = dump::Identities {
                identities: &identities,
            };
            print(&place, shown, text, format)?;
        }
        Action::Connections(_) => {
            let rows = metrics::connections(&shown);
            let head = ["ENTERS AT", "PROTOCOL", "TLS", "OPEN", "OPENED"];
            let text = table::whole(head, rows.iter().map(metrics::Connections::row));
            print(&place, metrics::Counted { connections: rows }, text, format)?;
        }
    }
    Ok(Exit::Good)
}

fn print(
    place: &Place,
    shown: impl Serialize,
    text: String,
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Json => output::print_json(&Report {
            version: 1,
            proxy: place.to_string(),
            shown,
        }),
        _ => Ok(output::print(&format!("{text}\n"))?),
    }
}
