//! The whole control plane of one process, from start to end.

mod settings;
mod start;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use weft_certs::{Clock, RenewalStatus};
use weft_source::kube::{Cluster, ConnectError, Lease, StatusWriter};
use weft_telemetry::metrics::{IdentityMetrics, Registry};

pub use self::settings::{
    CONFIG_PORT, IDENTITY_PORT, NODE_SERVICE_ACCOUNT, SERVICE_ACCOUNT, Settings,
};
use crate::{
    admin::{self, Progress, Shown},
    authority::CaError,
    hub::Hub,
};

/// So long statuses on their way may take once we end.
const FLUSH: Duration = Duration::from_secs(2);
/// So long it may take to give up the lease.
const RELEASE: Duration = Duration::from_secs(2);

/// Why the control plane cannot start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The API server cannot be found.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no authority, and waiting does not help.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// Our own identity cannot be named or used.
    #[error("the control plane cannot have an identity: {0}")]
    Identity(String),
    /// The cluster is not followed any more.
    #[error("watching the cluster has ended; restart the controller")]
    Blind,
}

/// A running control plane. Dropping it ends everything at once; [`Controller::stop`] ends it in
/// order.
#[derive(Debug)]
pub struct Controller {
    addresses: Addresses,
    ends: watch::Sender<bool>,
    renewal: watch::Receiver<Option<RenewalStatus>>,
    main: JoinHandle<Result<(), ControlError>>,
    /// Aborted when it is dropped.
    _admin: JoinSet<()>,
}

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Configuration streams, mutual TLS.
    pub config: SocketAddr,
    /// Certificates, one-sided TLS.
    pub identity: SocketAddr,
    /// Health and metrics, plain HTTP.
    pub admin: SocketAddr,
}

/// The sockets, before anything is served.
struct Sockets {
    config: TcpListener,
    identity: TcpListener,
}

/// What the parts share.
struct Shared {
    settings: Settings,
    cluster: Cluster,
    hub: Arc<Hub>,
    registry: Registry,
    clock: Clock,
    ends: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
    renewal: watch::Sender<Option<RenewalStatus>>,
}

impl Controller {
    /// Listens and begins to work. An API server that is away is a matter of waiting, which
    /// `/readyz` tells. Needs a runtime.
    ///
    /// # Errors
    /// [`ControlError::Connect`] and [`ControlError::Bind`].
    pub async fn start(settings: Settings, registry: Registry) -> Result<Self, ControlError> {
        let cluster = Cluster::connect(settings.access.clone()).await?;
        let (config, config_address) = bind(settings.config).await?;
        let (identity, identity_address) = bind(settings.identity).await?;
        let (admin, admin_address) = bind(settings.admin).await?;
        let hub = Hub::new();
        let (ends, ending) = watch::channel(false);
        let waiting = Progress::NoAuthority("it has not been looked for yet".to_owned());
        let (progress, progressing) = watch::channel(waiting);
        let (renewal, renewing) = watch::channel(None);
        let shown = Shown {
            hub: Arc::clone(&hub),
            registry: registry.clone(),
            progress: progressing,
        };
        let mut serving_admin = JoinSet::new();
        serving_admin.spawn(admin::serve(admin, shown));
        let shared = Shared {
            settings,
            cluster,
            hub,
            registry,
            clock: Clock::system(),
            ends: ending,
            progress,
            renewal,
        };
        let main = tokio::spawn(shared.run(Sockets { config, identity }));
        Ok(Self {
            addresses: Addresses {
                config: config_address,
                identity: identity_address,
                admin: admin_address,
            },
            ends,
            renewal: renewing,
            main,
            _admin: serving_admin,
        })
    }

    /// Where it listens, with the ports the system chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// How the renewal of its own certificate goes; `None` before there is one.
    #[must_use]
    pub fn renewal(&self) -> Option<RenewalStatus> {
        self.renewal.borrow().clone()
    }

    /// Waits until it ends by itself, which it does only for a reason. Can be dropped and called again.
    ///
    /// # Errors
    /// The reason.
    pub async fn ended(&mut self) -> Result<(), ControlError> {
        finished((&mut self.main).await)
    }

    /// Ends in order: statuses on their way are written and another replica may lead; meanwhile no new
    /// connections, and streams are told to go elsewhere. Takes about five seconds.
    ///
    /// # Errors
    /// What went wrong before.
    pub async fn stop(mut self) -> Result<(), ControlError> {
        self.ends.send_replace(true);
        finished((&mut self.main).await)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.main.abort();
    }
}

fn finished(
    joined: Result<Result<(), ControlError>, tokio::task::JoinError>,
) -> Result<(), ControlError> {
    joined.unwrap_or_else(|error| {
        tracing::error!("the controller has panicked: {error}");
        Err(ControlError::Blind)
    })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ControlError> {
    let failed = |source| ControlError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Shows how the renewal of the own certificate goes, and passes it on.
async fn tell(
    mut status: watch::Receiver<RenewalStatus>,
    shown: Arc<IdentityMetrics>,
    renewal: watch::Sender<Option<RenewalStatus>>,
) {
    loop {
        let now = status.borrow_and_update().clone();
        shown.set(now.metrics());
        renewal.send_replace(Some(now));
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Ends what writes to the cluster.
async fn resign(writer: &StatusWriter, lease: Lease) {
    if tokio::time::timeout(FLUSH, writer.flush()).await.is_err() {
        tracing::info!("statuses on their way are left to the next leader");
    }
    if tokio::time::timeout(RELEASE, lease.release())
        .await
        .is_err()
    {
        tracing::info!("the lease is left to expire");
    }
}
