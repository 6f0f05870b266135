//! The command line: what can be typed. Values are checked here, meaning is given in the commands.

#[cfg(test)]
mod tests;
mod values;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::values::{HeaderField, NamedPort, PortPair, Reference, Setting, Target};
pub(crate) use self::values::{dns_label, duration};
use crate::{
    analyze, check, controller, identity, inspect, load, namespace,
    output::{Colour, Format},
    proxy, uninstall,
};

/// Route HTTP and gRPC by the Kubernetes Gateway API: as a gateway and as a mesh, from a directory
/// of YAML
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 all good, 1 warnings only, 2 errors, 3 usage, 4 a directory or \
                  cluster cannot be read, 5 not in time, 130 interrupted.\n\nStart with `weft demo`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Global {
    /// Form of the output
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) output: Format,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub(crate) color: Colour,
    /// Say less: no notes, no progress
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Say more; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a directory of YAML: gateway and mesh
    Run(Box<Run>),
    /// Be the control plane of a cluster: follow it, write statuses, configure proxies
    Controller(Box<controller::Options>),
    /// See it route: backends, a gateway, a mesh client, a canary from 0 to 100 %
    Demo(Demo),
    /// Say what is wrong with YAML before it runs
    Analyze(Box<analyze::Options>),
    /// Say where a request would go, and why
    Explain(Box<Explain>),
    /// List rules in the order of precedence
    Routes(Routes),
    /// Show an object with what is attached to it, how it is judged and why
    Describe(Box<inspect::Options>),
    /// Print the address of a Service in a running directory
    Resolve(Resolve),
    /// Start backends that say what reached them, to try routes on
    Echo(Echo),
    /// List the supported features of Gateway API
    Features,
    /// Print the manifests that install Weft in a cluster
    Install(Install),
    /// Take a namespace into the mesh or out of it, and show how far its pods are
    Namespace(namespace::Options),
    /// Show who the pods of the mesh are and by which roots they are known, and replace those
    Identity(Box<identity::Options>),
    /// Show what one proxy has in force: routes, endpoints, identities, connections
    Proxy(Box<proxy::Options>),
    /// Say whether a cluster, the control plane and Gateways are well, and what to do if not
    Check(Box<check::Options>),
    /// Take Weft out of a cluster, and leave nothing of it
    Uninstall(uninstall::Options),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  weft completion bash > /etc/bash_completion.d/weft")]
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    Version,
}

/// Options of `weft run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft run -f yaml/                      serve, and follow every edit
  weft run -f yaml/ --port-map 80=8081   listen on 8081 where the YAML says 80
  weft run -f yaml/ --admin 127.0.0.1:15000 &
  curl http://127.0.0.1:15000/metrics
  weft run -f yaml/ --check -o junit     judge only, for CI

The first SIGINT or SIGTERM lets requests finish (--drain-timeout), the second ends at once.")]
pub(crate) struct Run {
    /// Directory or file to serve; repeat for several
    #[arg(short = 'f', long = "file", required = true, value_name = "DIR|FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where addresses, names and statuses are written
    #[arg(long, default_value = ".weft", value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
    /// Let Gateways listen on this address too; 0.0.0.0 and :: stand for all of this machine
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Vec<IpAddr>,
    /// Listen on another port: FROM as in the YAML, TO as listened on
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) port_map: Vec<PortPair>,
    /// Namespace that clients belong to who dial the ClusterIP of a Service
    #[arg(long, default_value = "default", value_name = "NS")]
    pub(crate) client_namespace: String,
    /// Serve only Gateways of our own GatewayClass, as in a cluster
    #[arg(long)]
    pub(crate) strict_class: bool,
    /// Worker threads; 0 for one per processor
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) workers: usize,
    /// Serve /metrics, /healthz, /readyz and /config on this loopback address
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) admin: Option<SocketAddr>,
    /// Which requests get a line: off, errors, all
    #[arg(long, default_value_t, value_name = "MODE")]
    pub(crate) access_log: weft_telemetry::access_log::Mode,
    /// Write the access log to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log_file: Option<PathBuf>,
    /// How long requests may take to finish after a signal
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) drain_timeout: Duration,
    /// Judge the directory as `weft analyze` does and do not serve it
    #[arg(long)]
    pub(crate) check: bool,
    /// Stop once everything is loaded, listening and written to the state directory
    #[arg(long)]
    pub(crate) until_idle: bool,
    /// Write a line to this open file descriptor once everything serves
    #[arg(long, value_name = "N")]
    pub(crate) ready_fd: Option<u32>,
    /// Log filter, such as `info` or `warn,weft_forward=debug`
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_level: Option<String>,
}

/// Options of `weft demo`.
#[derive(Debug, Args)]
#[command(after_help = "Leaves nothing behind; needs neither root nor a network.")]
pub(crate) struct Demo {
    /// Run through once without a terminal, check every answer, and end with 2 at a mismatch
    #[arg(long)]
    pub(crate) once: bool,
}

/// When findings are a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FailOn {
    /// Errors fail with 2, warnings alone with 1
    Error,
    /// Warnings fail with 2 as well
    Warning,
}

/// Options of `weft explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft explain --gateway shop/edge --path /cart                 in the cluster
  weft explain -f yaml/ --cluster --gateway shop/edge           as if yaml/ were applied to it
  weft explain -f yaml/ --gateway shop/edge --host shop.example --path /cart
  weft explain -f yaml/ --to web.shop:80 -n pay --path /cart --header x-env=canary
  weft explain -f yaml/ --to greeter.shop:50051 --grpc --path /greet.Greeter/Hello")]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) origin: load::Origin,
    /// The Service a mesh client calls
    #[arg(
        long,
        value_name = "SVC[.NS][:PORT]",
        required_unless_present = "gateway"
    )]
    pub(crate) to: Option<Target>,
    /// The Gateway that is called
    #[arg(long, value_name = "NS/NAME[:PORT]", conflicts_with = "to")]
    pub(crate) gateway: Option<Reference>,
    /// Namespace of the client
    #[arg(
        short = 'n',
        long = "namespace",
        default_value = "default",
        value_name = "NS"
    )]
    pub(crate) namespace: String,
    /// Host of the request; by default the Service's name or the listener's hostname
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Path, with the query if there is one
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// Method
    #[arg(long, default_value = "GET")]
    pub(crate) method: http::Method,
    /// A header field; repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) header: Vec<HeaderField>,
    /// Server name of the TLS connection; by default the host
    #[arg(long)]
    pub(crate) sni: Option<String>,
    /// Ask as a gRPC call: POST, content-type application/grpc
    #[arg(long)]
    pub(crate) grpc: bool,
}

/// Options of `weft routes`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft routes                      in the cluster
  weft routes -f yaml/ -n shop -o json")]
pub(crate) struct Routes {
    #[command(flatten)]
    pub(crate) origin: load::Origin,
    /// Only routes of this namespace
    #[arg(short = 'n', long = "namespace", value_name = "NS")]
    pub(crate) namespace: Option<String>,
}

/// Options of `weft resolve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  curl http://$(weft resolve web.shop:80)/
  curl http://$(weft resolve -n pay web.shop:80)/     as a client of namespace pay")]
pub(crate) struct Resolve {
    /// The Service, and a port of it to have the port listened on as well
    #[arg(value_name = "SVC[.NS][:PORT]")]
    pub(crate) service: Target,
    /// Namespace of the client
    #[arg(short = 'n', long = "namespace", value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// State directory of the run
    #[arg(long, default_value = ".weft", value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
}

/// Options of `weft echo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  weft echo stable=9001 canary=9002

A backend answers with one line, NAME METHOD PATH VERSION, and after it with what it is sent; the
header field x-served-by says its name too. Every port speaks HTTP/1, HTTP/2 with prior knowledge,
WebSocket (each message returns) and gRPC (health checks, reflection, weft.echo.v1.Echo; messages of
other services return unchanged).")]
pub(crate) struct Echo {
    /// Backends: the name each says and the port it listens on
    #[arg(required = true, value_name = "NAME=PORT")]
    pub(crate) backends: Vec<NamedPort>,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDR")]
    pub(crate) bind: IpAddr,
    /// Say the header fields that arrived as well
    #[arg(long)]
    pub(crate) headers: bool,
}

/// Options of `weft install`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft install | kubectl apply -f -
  weft install --set replicas=3 --set 'nodeSelector={pool: infra}'
  weft install -f values.yaml > clusters/one/weft.yaml

The Helm chart charts/weft has the same templates and values. The CRDs of the Gateway API have to be
there already; neither installs them.")]
pub(crate) struct Install {
    /// Namespace of the control plane
    #[arg(short = 'n', long, default_value = "weft-system", value_parser = dns_label, value_name = "NS")]
    pub(crate) namespace: String,
    /// File of values, as for Helm; repeat for several
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value, in YAML; repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// What to print
    #[arg(long, default_value = "manifests", value_name = "WHAT")]
    pub(crate) show: Show,
}

/// What `weft install` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Show {
    /// Objects for `kubectl apply`
    Manifests,
    /// Every value with its default, as values.yaml
    Values,
    /// The JSON schema of values
    Schema,
}
