//! `weft proxy`: what one proxy has in force, as it says itself. It is asked by running `weft-proxy
//! admin` in its container: what it shows is on a Unix socket there, for whoever may start programs in
//! the pod, and for nobody on the network.

mod dump;
mod metrics;
mod place;

use clap::{Args, Subcommand};
use serde::Serialize;

use self::{
    dump::Dump,
    place::{Ask, Place},
};
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
  weft proxy log --node n1                     what it logs now
  weft proxy log weft_proxy=debug,info --node n1

What is shown is what the proxy has in force; `weft routes` says what the objects of the cluster
mean. What is logged is changed for the process and its workers until they end. The user of the
kubeconfig needs create and get of pods/exec in the proxy's namespace.")]
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
    /// List the identities it has, those of its workers included, and until when
    Identities(Whose),
    /// Count connections, open ones and those of its life
    Connections(Whose),
    /// Show what it logs, or change that while it runs
    Log(Log),
}

/// Options of `weft proxy log`.
#[derive(Debug, Args)]
struct Log {
    /// A level (error, warn, info, debug, trace, off), or target=level pairs; none: only show
    #[arg(value_parser = filter, value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

/// A filter, as far as that can be known here: the proxy has the last word.
fn filter(text: &str) -> Result<String, String> {
    let is_of_filter = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    match text.trim() {
        "" => Err("write a level or target=level pairs, such as info,weft_proxy=debug".to_owned()),
        text if text.bytes().all(is_of_filter) => Ok(text.to_owned()),
        _ => Err("only printable ASCII is a filter".to_owned()),
    }
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

/// The JSON form of `weft proxy log`.
#[derive(Debug, Serialize)]
struct Logged<'a> {
    /// The filter in force.
    log: &'a str,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let (Action::Routes(whose)
    | Action::Endpoints(whose)
    | Action::Identities(whose)
    | Action::Connections(whose)
    | Action::Log(Log { whose, .. })) = &options.action;
    let asked: &[Ask<'_>] = match &options.action {
        Action::Connections(_) => &[Ask::Show("/metrics")],
        // Those of its workers are known by what they say of themselves.
        Action::Identities(_) => &[Ask::Show("/config"), Ask::Show("/metrics")],
        Action::Log(Log { filter, .. }) => match filter {
            Some(filter) => &[Ask::Set("/log", filter)],
            None => &[Ask::Show("/log")],
        },
        Action::Routes(_) | Action::Endpoints(_) => &[Ask::Show("/config")],
    };
    let (place, answers) = cluster::block_on(async {
        let cluster = whose.cluster.connect().await?;
        let place = whose.find(&cluster).await?;
        let mut answers = Vec::new();
        for ask in asked {
            answers.push(place.ask(&cluster, *ask).await?);
        }
        Ok((place, answers))
    })?;
    if !global.quiet && format == Format::Text {
        output::tell(format_args!("proxy {place}"));
    }
    show(options, (&place, &answers), format, global)?;
    Ok(Exit::Good)
}

/// Prints what was answered.
fn show(
    options: &Options,
    (place, answers): (&Place, &[String]),
    format: Format,
    global: Global,
) -> Result<(), Failure> {
    let shown = answers.first().map_or("", String::as_str);
    match options.action {
        Action::Routes(_) => {
            let dump = Dump::parse(shown)?;
            let paint = Paint(global.color.on(&std::io::stdout()));
            routes::print_tables(&dump.tables.unwrap_or_default(), format, paint)?;
        }
        Action::Endpoints(_) => {
            let ports = Dump::parse(shown)?.endpoints;
            let rows = ports.iter().flat_map(dump::Port::rows);
            let head = [
                "SERVICE", "PORT", "ADDRESS", "STATE", "ZONE", "POD", "MEMBER",
            ];
            let text = table::whole(head, rows);
            print(place, dump::Endpoints { endpoints: &ports }, text, format)?;
        }
        Action::Identities(_) => {
            let mut identities = Dump::parse(shown)?.identities;
            identities.extend(
                answers
                    .get(1)
                    .map_or(Vec::new(), |it| metrics::identities(it)),
            );
            let now = clock::today();
            let rows = identities.iter().map(|identity| identity.row(now));
            let head = ["IDENTITY", "HELD BY", "ENDS IN", "RENEWED", "TROUBLE"];
            let text = table::whole(head, rows);
            let shown = dump::Identities {
                identities: &identities,
            };
            print(place, shown, text, format)?;
        }
        Action::Log(_) => {
            let log = shown.trim();
            print(place, Logged { log }, log.to_owned(), format)?;
        }
        Action::Connections(_) => {
            let rows = metrics::connections(shown);
            let head = ["ENTERS AT", "PROTOCOL", "TLS", "OPEN", "OPENED"];
            let text = table::whole(head, rows.iter().map(metrics::Connections::row));
            print(place, metrics::Counted { connections: rows }, text, format)?;
        }
    }
    Ok(())
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
