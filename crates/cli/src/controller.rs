//! `weft controller`: the control plane in a cluster.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use weft_certs::LeafLife;
use weft_control::{Controller, SERVICE_ACCOUNT, Settings, deploy};
use weft_proxy::Signals;
use weft_source::kube::{Access, WatchOptions};
use weft_spiffe::TrustDomain;
use weft_telemetry::{
    logging,
    metrics::{LabelGroups, Registry},
};

use crate::{
    args::{Global, duration},
    clock,
    exit::{Exit, Failure, Outcome},
    output,
    version::BUILD,
};

/// Options of `weft controller`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every option can be set by the environment variable it names.

Examples:
  weft controller                            in a pod, as the manifests run it
  weft controller --kubeconfig ~/.kube/config --admin 127.0.0.1:15021

Ports: 15010 configuration streams (mutual TLS), 15012 certificates (TLS, a bound token of audience
weft-identity), 15021 /healthz /readyz /metrics (plain HTTP).

The first SIGINT or SIGTERM ends in order: proxies are told to call another replica, statuses on
their way are written, the lease is given up. The second ends at once."
)]
pub(crate) struct Options {
    /// Kubeconfig file; by default that of KUBECONFIG, or the service account of the pod
    #[arg(long, env = "WEFT_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, env = "WEFT_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Namespace of the control plane: of its identity, lease and certification authority
    #[arg(
        short = 'n',
        long,
        env = "WEFT_NAMESPACE",
        default_value = "weft-system",
        value_name = "NS"
    )]
    namespace: String,
    /// Name of this replica among the others, such as that of its pod
    #[arg(long, env = "WEFT_REPLICA", value_name = "NAME")]
    replica: Option<String>,
    /// Trust domain of all identities; never to be changed once proxies run
    #[arg(
        long,
        env = "WEFT_TRUST_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME",
        value_parser = trust_domain
    )]
    trust_domain: TrustDomain,
    /// Serve configuration streams here
    #[arg(
        long,
        env = "WEFT_CONFIG",
        default_value = "[::]:15010",
        value_name = "ADDR:PORT"
    )]
    config: SocketAddr,
    /// Address at which other replicas reach this one, such as that of its pod; by default that of
    /// --config
    #[arg(long, env = "WEFT_ADVERTISE", value_name = "ADDR")]
    advertise: Option<IpAddr>,
    /// Sign certificates here
    #[arg(
        long,
        env = "WEFT_IDENTITY",
        default_value = "[::]:15012",
        value_name = "ADDR:PORT"
    )]
    identity: SocketAddr,
    /// Serve /healthz, /readyz and /metrics here
    #[arg(
        long,
        env = "WEFT_ADMIN",
        default_value = "[::]:15021",
        value_name = "ADDR:PORT"
    )]
    admin: SocketAddr,
    /// Image of weft-proxy; with it every accepted Gateway is given a Deployment, a Service and a
    /// service account
    #[arg(long, env = "WEFT_PROXY_IMAGE", value_name = "IMAGE")]
    proxy_image: Option<String>,
    /// From the signal to end, gateways accept connections for so long
    #[arg(long, env = "WEFT_DRAIN_DELAY", default_value = "5s", value_parser = duration, value_name = "TIME")]
    drain_delay: Duration,
    /// After that, their requests and connections may take so long to end
    #[arg(long, env = "WEFT_DRAIN_LIMIT", default_value = "300s", value_parser = duration, value_name = "TIME")]
    drain_limit: Duration,
    /// Serve the proxies of nodes as well: watch pods, attach routes to Services
    #[arg(long, env = "WEFT_MESH")]
    mesh: bool,
    /// Life of the certificates of proxies, 10m to 90 days
    #[arg(
        long,
        env = "WEFT_CERTIFICATE_LIFE",
        default_value = "24h",
        value_name = "TIME",
        value_parser = leaf_life
    )]
    certificate_life: LeafLife,
    /// Shortest time in each phase of a rotation of the authority: longer than nodes take to show
    /// pods another ConfigMap
    #[arg(long, env = "WEFT_ROTATION_DWELL", default_value = "2m", value_parser = duration, value_name = "TIME")]
    rotation_dwell: Duration,
    /// Time over which certificates are renewed once another one issues, 1s to 24h; a tenth of their
    /// life where that is shorter
    #[arg(long, env = "WEFT_ROTATION_SPREAD", default_value = "10m", value_parser = spread, value_name = "TIME")]
    rotation_spread: Duration,
    /// Form of the log: json or text
    #[arg(
        long,
        env = "WEFT_LOG_FORMAT",
        default_value = "json",
        value_name = "FORMAT"
    )]
    log_format: logging::Format,
    /// Log filter, such as `info` or `warn,weft_control=debug`
    #[arg(long, env = "WEFT_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    logging::init(options.log_format, &options.log).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(serve(options.settings(), global));
    // The second signal may leave work behind that nobody waits for.
    runtime.shutdown_background();
    exit
}

impl Options {
    fn settings(&self) -> Settings {
        let replica = self.replica.clone().unwrap_or_else(|| {
            // A pod may start its container again: the date tells both processes apart.
            let host = std::env::var("HOSTNAME").unwrap_or_default();
            let since = clock::today().duration_since(UNIX_EPOCH);
            format!("{host}-{}", since.unwrap_or_default().as_millis())
        });
        Settings {
            access: Access {
                kubeconfig: self.kubeconfig.clone(),
                context: self.context.clone(),
            },
            namespace: self.namespace.clone(),
            trust_domain: self.trust_domain.clone(),
            config: self.config,
            advertise: self.advertise,
            identity: self.identity,
            admin: self.admin,
            life: self.certificate_life,
            rotation_dwell: self.rotation_dwell,
            rotation_spread: self.rotation_spread,
            mesh: self.mesh,
            deploy: self.proxy_image.as_ref().map(|image| deploy::Settings {
                image: image.clone(),
                // The Service beside this process.
                control_plane: format!("{SERVICE_ACCOUNT}.{}.svc", self.namespace),
                control_namespace: self.namespace.clone(),
                trust_domain: self.trust_domain.clone(),
                drain_delay: self.drain_delay,
                drain_limit: self.drain_limit,
            }),
            watch: WatchOptions::new(Settings::jitter(&replica)),
            replica,
        }
    }
}

async fn serve(settings: Settings, global: Global) -> Outcome {
    let mut signals = Signals::new()?;
    let registry = Registry::new(BUILD, LabelGroups::default());
    let started = Controller::start(settings, registry).await;
    let mut controller = started.map_err(Failure::unreachable)?;
    if !global.quiet {
        let at = controller.addresses();
        output::tell(format_args!(
            "configuration at {}, certificates at {}, health and metrics at http://{}",
            at.config, at.identity, at.admin
        ));
    }
    tokio::select! {
        () = signals.next() => {}
        ended = controller.ended() => {
            return match ended {
                Ok(()) => Ok(Exit::Good),
                Err(error) => Err(Failure::unreachable(error)),
            };
        }
    }
    tokio::select! {
        stopped = controller.stop() => match stopped {
            Ok(()) => Ok(Exit::Good),
            Err(error) => Err(Failure::unreachable(error)),
        },
        () = signals.next() => Ok(Exit::Interrupted),
    }
}

fn trust_domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|error| error.to_string())
}

fn leaf_life(text: &str) -> Result<LeafLife, String> {
    let life: Duration = duration(text)?;
    LeafLife::new(life).map_err(|error| error.to_string())
}

fn spread(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(24 * 3600);
    let spread: Duration = duration(text)?;
    if (LEAST..=MOST).contains(&spread) {
        Ok(spread)
    } else {
        Err("renewals are spread over 1s to 24h".to_owned())
    }
}
