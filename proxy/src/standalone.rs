//! The data path of one process: configuration comes in as values, sockets are opened or given.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use weft_certs::AcceptorError;
use weft_forward::{Clock, Configuration, Live, Shared, Workers};
use weft_ir::Tables;
use weft_telemetry::{access_log::AccessLog, metrics::Registry};

use crate::listen::{Bind, BindError, Listeners, Supply};

/// How the data path runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Worker threads; 0 takes one per processor the process may use.
    pub workers: usize,
    /// Metrics of the process.
    pub registry: Registry,
    /// Access log of the process.
    pub access_log: AccessLog,
    /// Start of the random numbers that balance and split traffic.
    pub seed: u64,
}

/// Everything that a change of configuration can bring.
#[derive(Clone, Debug)]
pub struct Update {
    /// Counts the changes; shown by the admin endpoint and `weft_config_generation`.
    pub generation: u64,
    /// Routes, endpoints and certificates.
    pub configuration: Configuration,
    /// Every listening socket that is to be open.
    pub binds: Arc<BTreeSet<Bind>>,
}

/// What did not work of an update; everything else is in effect.
#[derive(Debug, Default)]
pub struct Applied {
    /// Sockets that could not be opened.
    pub failed: Vec<BindError>,
    /// An HTTPS port that could not be prepared.
    pub tls: Option<AcceptorError>,
}

/// A running data path.
#[derive(Debug)]
pub struct DataPath {
    // Declared before the workers: sockets close before the threads end.
    listeners: Mutex<Listeners>,
    live: Arc<Live>,
    workers: Workers,
    tables: ArcSwap<(u64, Arc<Tables>)>,
}

impl DataPath {
    /// Starts the worker threads. Nothing listens yet; sockets are opened here.
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub fn start(config: Config) -> io::Result<Self> {
        Self::start_with(config, Supply::Own)
    }

    /// Starts the worker threads. It serves sockets that are [given](Self::give) and opens none.
    ///
    /// # Errors
    /// As [`DataPath::start`].
    pub fn start_without_sockets(config: Config) -> io::Result<Self> {
        Self::start_with(config, Supply::Given(BTreeMap::new()))
    }

    fn start_with(config: Config, supply: Supply) -> io::Result<Self> {
        let count = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let tls = config.registry.tls();
        let workers = Workers::start(count, Clock::start(), config.seed, &tls)?;
        let live = Arc::new(Live::new(config.registry.clone(), count, config.seed));
        let shared = Shared::new(config.access_log, &config.registry, Arc::clone(&live));
        let listeners = Listeners::new(Arc::clone(&live), shared, workers.dispatch(), supply)?;
        Ok(Self {
            listeners: Mutex::new(listeners),
            live,
            workers,
            tables: ArcSwap::default(),
        })
    }

    /// Takes over a socket that listens already. It is served while a [`Bind`] names its address.
    ///
    /// # Errors
    /// When its mode cannot be set.
    pub fn give(&self, address: SocketAddr, socket: TcpListener) -> io::Result<()> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .give(address, socket)
    }

    /// Closes a given socket that no [`Bind`] names any more.
    pub fn let_go(&self, address: SocketAddr) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .let_go(address);
    }

    /// Client connections that are open.
    pub fn connections(&self) -> usize {
        self.workers.connections()
    }

    /// Requests, tunnels and opaque connections under way.
    pub fn exchanges(&self) -> usize {
        self.workers.exchanges()
    }

    /// Completes once every thread of the data path has looked after its tasks; never, if one hangs.
    ///
    /// # Errors
    /// When the threads have ended.
    pub async fn pulse(&self) -> io::Result<()> {
        self.workers.dispatch().pulse().await
    }

    /// Swaps to a new configuration and opens and closes sockets. Requests under way finish as
    /// they began. Blocks for the time it takes, which is that of the parts that changed.
    pub fn apply(&self, update: &Update) -> Applied {
        let tables = Arc::clone(&update.configuration.tables);
        let tls = self.live.apply(update.configuration.clone()).err();
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let failed = listeners.set(&update.binds);
        self.tables.store(Arc::new((update.generation, tables)));
        Applied { failed, tls }
    }

    /// Generation and tables that are in effect.
    pub fn tables(&self) -> (u64, Arc<Tables>) {
        let current = self.tables.load();
        (current.0, Arc::clone(&current.1))
    }

    /// Open listening sockets.
    pub fn sockets(&self) -> usize {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Stops accepting, asks clients to leave, and waits until nothing is under way and every
    /// answer is out, at most `limit`. Returns how many requests, tunnels and opaque connections
    /// were still open then.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        let inlets = self.live.inlets();
        for inlet in &inlets {
            inlet.drain();
        }
        let wait = async {
            self.quiet().await;
            // Nobody has asked for anything in a while: connections may end without another answer.
            for inlet in &inlets {
                inlet.close();
            }
            // What is left is on its way out.
            while self.workers.connections() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(limit, wait).await.is_ok();
        for inlet in &inlets {
            inlet.close();
        }
        if in_time { 0 } else { self.workers.exchanges() }
    }

    /// Waits until nothing is under way and nothing new comes for a moment.
    async fn quiet(&self) {
        let mut quiet = 0;
        // An upgraded connection counts as an exchange only.
        while quiet < QUIET_LOOKS && self.workers.connections() + self.workers.exchanges() > 0 {
            tokio::time::sleep(LOOK).await;
            let busy = self.workers.exchanges() > 0;
            quiet = if busy { 0 } else { quiet + 1 };
        }
    }
}

/// How often a drain looks, and how many looks without a request end it: a client that keeps its
/// connection busy is told to leave by its next answer, one that stays idle that long is let go.
const LOOK: Duration = Duration::from_millis(20);
const QUIET_LOOKS: u32 = 25;
