//! The arguments of `weft-proxy`, each also an environment variable where a manifest sets it.

mod node;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use weft_proxy::{control, gateway, shard, worker};
use weft_telemetry::{
    access_log::{self, AccessLogError},
    metrics::BuildInfo,
};

pub(crate) use self::node::NodeArgs;

/// Weft's data path in a cluster.
#[derive(Debug, Parser)]
#[command(name = "weft-proxy", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) role: Role,
}

/// What the process is.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Serve one Gateway: own its sockets, follow the control plane, run a worker.
    Gateway(Box<GatewayArgs>),
    /// Serve the pods of a node: capture them, follow the control plane, run their workers.
    Node(Box<NodeArgs>),
    /// Run the same, and again whenever it dies, so that connections of pods outlive it.
    Init(Box<NodeArgs>),
    /// Print what the proxy in this container shows of itself.
    Admin(AdminArgs),
    /// Serve connections for a parent process, which starts this by itself.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Serve pods for the supervisor of their node, which starts this by itself.
    #[command(hide = true)]
    Shard(ShardArgs),
}

/// Program logs.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log: a level, or target=level pairs.
    #[arg(long, env = "WEFT_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// How log lines look: text or json.
    #[arg(
        long,
        env = "WEFT_LOG_FORMAT",
        default_value = "json",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: String,
}

/// How the data path runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataPathArgs {
    /// Threads of the data path; 0 takes one per processor.
    #[arg(long, env = "WEFT_THREADS", default_value_t = 0, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Requests that get a line on standard output: off, errors or all.
    #[arg(
        long,
        env = "WEFT_ACCESS_LOG",
        default_value = "errors",
        value_name = "MODE"
    )]
    pub(crate) access_log: String,
}

/// The control plane, and who the process is to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ControlArgs {
    /// Service account of this pod.
    #[arg(long, env = "WEFT_SERVICE_ACCOUNT")]
    service_account: String,
    /// Host of the control plane.
    #[arg(long, env = "WEFT_CONTROL_PLANE", value_name = "HOST")]
    control_plane: String,
    /// Its port for configuration streams.
    #[arg(
        long,
        env = "WEFT_CONFIG_PORT",
        default_value_t = 15010,
        value_name = "PORT"
    )]
    config_port: u16,
    /// Its port for certificates.
    #[arg(
        long,
        env = "WEFT_IDENTITY_PORT",
        default_value_t = 15012,
        value_name = "PORT"
    )]
    identity_port: u16,
    /// Its namespace, which its identity names.
    #[arg(long, env = "WEFT_CONTROL_NAMESPACE", default_value = "weft-system")]
    control_namespace: String,
    /// Trust domain of the mesh.
    #[arg(long, env = "WEFT_TRUST_DOMAIN", default_value = "cluster.local")]
    trust_domain: String,
    /// Roots of the control plane, in PEM.
    #[arg(
        long,
        env = "WEFT_ROOT_FILE",
        default_value = "/var/run/secrets/weft/root/root.pem",
        value_name = "FILE"
    )]
    root_file: PathBuf,
    /// Projected service account token of audience weft-identity.
    #[arg(
        long,
        env = "WEFT_TOKEN_FILE",
        default_value = "/var/run/secrets/weft/token/token",
        value_name = "FILE"
    )]
    token_file: PathBuf,
}

/// `weft-proxy admin`.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// State directory of the proxy.
    #[arg(
        long,
        env = "WEFT_STATE_DIR",
        default_value = "/var/lib/weft",
        value_name = "DIR"
    )]
    pub(crate) state_dir: PathBuf,
    /// What to print: /config, /log, /metrics, /readyz.
    #[arg(value_parser = ["/config", "/log", "/metrics", "/readyz"], value_name = "PATH")]
    pub(crate) path: String,
    /// What to put there before: a filter for /log.
    #[arg(long, value_name = "VALUE")]
    pub(crate) set: Option<String>,
}

/// `weft-proxy gateway`.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Name of the Gateway.
    #[arg(long, env = "WEFT_GATEWAY_NAME")]
    name: String,
    /// Namespace of the Gateway and of this pod.
    #[arg(long, env = "WEFT_GATEWAY_NAMESPACE")]
    namespace: String,
    /// Tells pods of the same Gateway apart, such as the pod's UID.
    #[arg(long, env = "WEFT_INSTANCE", default_value = "")]
    instance: String,
    /// Addresses of this pod, separated by commas, as members of the mesh are told where requests come
    /// from.
    #[arg(
        long,
        env = "WEFT_POD_IPS",
        value_delimiter = ',',
        value_name = "IP,..."
    )]
    pod_ips: Vec<IpAddr>,
    #[command(flatten)]
    control: ControlArgs,
    /// Directory for the saved configuration.
    #[arg(
        long,
        env = "WEFT_STATE_DIR",
        default_value = "/var/lib/weft",
        value_name = "DIR"
    )]
    state_dir: PathBuf,
    /// Address of /healthz, /readyz and /metrics; on loopback also /config.
    #[arg(
        long,
        env = "WEFT_ADMIN",
        default_value = "[::]:15021",
        value_name = "IP:PORT"
    )]
    admin: SocketAddr,
    /// Seconds to keep accepting after SIGTERM, until load balancers have noticed.
    #[arg(long, env = "WEFT_DRAIN_DELAY", default_value = "5", value_parser = seconds, value_name = "SECONDS")]
    drain_delay: Duration,
    /// Seconds that requests and connections have to end after that.
    #[arg(long, env = "WEFT_DRAIN_LIMIT", default_value = "300", value_parser = seconds, value_name = "SECONDS")]
    drain_limit: Duration,
    #[command(flatten)]
    data_path: DataPathArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// `weft-proxy worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// SPIFFE ID of the Gateway, as which members of the mesh are reached.
    #[arg(long, value_name = "ID")]
    identity: String,
    /// An address of the pod; the most usual first.
    #[arg(long = "address", value_name = "IP")]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    data_path: DataPathArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// `weft-proxy shard`.
#[derive(Debug, Args)]
pub(crate) struct ShardArgs {
    /// Which of the node's workers it is: for whoever looks at the processes.
    #[arg(long)]
    pub(crate) name: String,
    /// Requests that get a line on standard output: off, errors or all.
    #[arg(
        long,
        env = "WEFT_ACCESS_LOG",
        default_value = "errors",
        value_name = "MODE"
    )]
    access_log: String,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl LogArgs {
    /// Format and filter.
    pub(crate) fn terms(&self) -> (&str, &str) {
        (&self.log_format, &self.log)
    }
}

impl ControlArgs {
    /// What was asked for, of a pod in this namespace.
    fn settings(self, namespace: String, seed: u64) -> control::Settings {
        control::Settings {
            namespace,
            service_account: self.service_account,
            host: self.control_plane,
            config_port: self.config_port,
            identity_port: self.identity_port,
            control_namespace: self.control_namespace,
            trust_domain: self.trust_domain,
            root_file: self.root_file,
            token_file: self.token_file,
            seed,
        }
    }
}

impl GatewayArgs {
    /// What was asked for.
    pub(crate) fn settings(self, seed: u64) -> gateway::Settings {
        let control = self.control.clone();
        let control = control.settings(self.namespace.clone(), seed);
        let worker = self.worker(&control.identity());
        gateway::Settings {
            name: self.name,
            instance: self.instance,
            control,
            state_dir: self.state_dir,
            admin: self.admin,
            drain_delay: self.drain_delay,
            drain_limit: self.drain_limit,
            worker,
        }
    }

    /// The arguments of the worker: what is its business, and nothing else.
    fn worker(&self, identity: &str) -> Vec<String> {
        let Self {
            data_path,
            log,
            pod_ips,
            ..
        } = self;
        let mut arguments = vec![
            "worker".to_owned(),
            format!("--identity={identity}"),
            format!("--threads={}", data_path.threads),
            format!("--access-log={}", data_path.access_log),
            format!("--log={}", log.log),
            format!("--log-format={}", log.log_format),
        ];
        arguments.extend(pod_ips.iter().map(|ip| format!("--address={ip}")));
        arguments
    }
}

impl WorkerArgs {
    /// What was asked for.
    pub(crate) fn settings(
        self,
        build: BuildInfo,
        seed: u64,
    ) -> Result<worker::Settings, AccessLogError> {
        let access_log = access_log::Config {
            mode: self.data_path.access_log.parse()?,
            ..access_log::Config::default()
        };
        Ok(worker::Settings {
            threads: self.data_path.threads,
            access_log,
            build,
            seed,
            identity: self.identity,
            addresses: self.addresses,
        })
    }
}

impl ShardArgs {
    /// What was asked for.
    pub(crate) fn settings(
        &self,
        build: BuildInfo,
        seed: u64,
    ) -> Result<shard::Settings, AccessLogError> {
        let access_log = access_log::Config {
            mode: self.access_log.parse()?,
            ..access_log::Config::default()
        };
        Ok(shard::Settings {
            access_log,
            build,
            seed,
        })
    }
}
