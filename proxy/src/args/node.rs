//! The arguments of `weft-proxy node`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use weft_proxy::{init, node};

use super::{ControlArgs, LogArgs, seconds};

/// `weft-proxy node`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Name of the node.
    #[arg(long, env = "WEFT_NODE_NAME")]
    name: String,
    /// Tells proxies of the same node apart: the UID of this pod.
    #[arg(long, env = "WEFT_INSTANCE")]
    instance: String,
    #[command(flatten)]
    control: ControlArgs,
    /// Directory for the saved configuration, on the node.
    #[arg(
        long,
        env = "WEFT_STATE_DIR",
        default_value = "/var/lib/weft/node",
        value_name = "DIR"
    )]
    state_dir: PathBuf,
    #[command(flatten)]
    host: HostArgs,
    /// Address of /healthz, /readyz and /metrics; on loopback also /config.
    #[arg(
        long,
        env = "WEFT_ADMIN",
        default_value = "[::]:15021",
        value_name = "IP:PORT"
    )]
    admin: SocketAddr,
    /// Seconds that connections have to end: when this process ends, or a pod leaves the mesh.
    #[arg(long, env = "WEFT_DRAIN_LIMIT", default_value = "300", value_parser = seconds, value_name = "SECONDS")]
    drain_limit: Duration,
    /// User and group of the workers.
    #[arg(
        long,
        env = "WEFT_WORKER_USER",
        default_value_t = 65534,
        value_name = "UID"
    )]
    worker_user: u32,
    /// Requests that get a line on standard output: off, errors or all.
    #[arg(
        long,
        env = "WEFT_ACCESS_LOG",
        default_value = "errors",
        value_name = "MODE"
    )]
    access_log: String,
    /// Standard input leads to what an earlier supervisor has left (`weft-proxy init` starts it so).
    #[arg(long, hide = true)]
    kept: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Where things are on the node.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostArgs {
    /// Socket on which the CNI plugin asks, on the node.
    #[arg(
        long,
        env = "WEFT_CNI_SOCKET",
        default_value = "/run/weft/cni.sock",
        value_name = "FILE"
    )]
    cni_socket: PathBuf,
    /// File from which the CNI plugin knows whom to hold back when nobody answers, on the node.
    #[arg(
        long,
        env = "WEFT_NAMESPACES_FILE",
        default_value = "/var/lib/weft/cni/namespaces.json",
        value_name = "FILE"
    )]
    namespaces_file: PathBuf,
    /// Processes of the node.
    #[arg(long, env = "WEFT_PROC", default_value = "/proc", value_name = "DIR")]
    proc: PathBuf,
    /// A process in the network and the file system of the node; else the one that started this, which
    /// is of the container runtime.
    #[arg(long, env = "WEFT_HOST_PROCESS", value_name = "PID")]
    host_process: Option<u32>,
}

impl NodeArgs {
    /// The same arguments, for the supervisor that `init` starts.
    pub(crate) fn init(&self, arguments: Vec<OsString>) -> init::Settings {
        init::Settings {
            arguments,
            host_process: self.host.host_process,
        }
    }

    /// What was asked for.
    pub(crate) fn settings(self, seed: u64) -> node::AgentSettings {
        let arguments = self.shard();
        // The proxy of a node is in the namespace of the control plane.
        let namespace = self.control.control_namespace.clone();
        node::AgentSettings {
            node: self.name,
            instance: self.instance,
            control: self.control.settings(namespace, seed),
            state_dir: self.state_dir,
            admin: self.admin,
            supervisor: self.host.settings(self.drain_limit),
            shards: node::ShardSettings {
                program: None,
                arguments,
                user: Some(self.worker_user),
            },
            drain_limit: self.drain_limit,
            is_kept: self.kept,
        }
    }

    /// The arguments of workers: what is their business, and nothing else.
    fn shard(&self) -> Vec<String> {
        vec![
            "shard".to_owned(),
            format!("--access-log={}", self.access_log),
            format!("--log={}", self.log.log),
            format!("--log-format={}", self.log.log_format),
        ]
    }
}

impl HostArgs {
    fn settings(self, drain: Duration) -> node::Settings {
        let runtime = std::os::unix::process::parent_id;
        node::Settings {
            cni_socket: self.cni_socket,
            namespaces_file: self.namespaces_file,
            proc: self.proc,
            host_process: self.host_process.unwrap_or_else(runtime),
            drain,
        }
    }
}
