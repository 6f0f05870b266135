//! One worker thread: a single-threaded runtime with its own connection pools.
//!
//! Connections are spread over the workers when they are accepted and stay there, so that request,
//! pool and upstream connection share a core and their locks are never contended.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use weft_balance::RetryBudget;
use weft_telemetry::metrics::TlsMetrics;
use weft_tunnel::Timing;

use crate::{
    body::Methods, caller::Caller, clock::Clock, handshake::Tunnels, limits, upstream::Upstream,
};

/// What the tasks of one worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Position among the workers; the index of this worker's pools.
    pub(crate) index: usize,
    /// The clock of the data path.
    pub(crate) clock: Clock,
    /// Retries this worker may still make.
    pub(crate) budget: RetryBudget,
    /// Client connections that are open here.
    pub(crate) connections: AtomicUsize,
    /// Requests, tunnels and opaque connections under way here.
    pub(crate) exchanges: AtomicUsize,
    /// Its connections to members of the mesh.
    pub(crate) tunnels: weft_tunnel::Pool,
    /// What was seen of the gRPC methods that are called here.
    pub(crate) methods: Arc<Methods>,
    random: AtomicU64,
    upstreams: Mutex<Vec<Weak<Upstream>>>,
}

impl Worker {
    fn new(index: usize, clock: Clock, seed: u64, tls: Arc<TlsMetrics>) -> Self {
        let handshakes = Arc::new(Tunnels(tls));
        let mesh_clock = weft_certs::Clock::system();
        Self {
            index,
            clock,
            budget: RetryBudget::new(),
            connections: AtomicUsize::new(0),
            exchanges: AtomicUsize::new(0),
            tunnels: weft_tunnel::Pool::counted(mesh_clock, Timing::default(), handshakes),
            methods: Arc::default(),
            random: AtomicU64::new(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            upstreams: Mutex::default(),
        }
    }

    /// A number for balancing and sampling, not for secrets (SplitMix64; Steele et al. 2014).
    pub(crate) fn random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Counts something that a drain has to wait for until the answer is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.exchanges.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Remembers an endpoint whose pool needs sweeping.
    pub(crate) fn remember(&self, upstream: &Arc<Upstream>) {
        self.lock().push(Arc::downgrade(upstream));
    }

    /// Closes what is kept of a caller that has gone; what is under way on it ends first.
    fn forget(&self, caller: &Arc<Caller>) {
        for upstream in self.lock().iter().filter_map(Weak::upgrade) {
            upstream.forget(self.index, caller);
        }
        if let Some(source) = caller.source() {
            self.tunnels.drain(|key| key.is_of(source));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Upstream>>> {
        self.upstreams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes idle upstream connections for as long as the worker lives.
    async fn sweep(self: Arc<Self>) {
        // Two sweeps make one idle period.
        let mut tick = tokio::time::interval(limits::UPSTREAM_IDLE / 2);
        loop {
            tick.tick().await;
            self.lock().retain(|upstream| match upstream.upgrade() {
                Some(upstream) => {
                    if let Some(pool) = upstream.existing_pool(self.index) {
                        pool.sweep();
                    }
                    true
                }
                None => false,
            });
        }
    }
}

/// Something under way on a worker.
pub(crate) struct Busy(Arc<Worker>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.exchanges.fetch_sub(1, Relaxed);
    }
}

/// A worker with the handle of its runtime.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    /// What its tasks share.
    pub(crate) worker: Arc<Worker>,
    /// Its runtime.
    pub(crate) runtime: Handle,
}

/// The worker threads of a process. Dropping it stops them once their current poll returns.
#[derive(Debug)]
pub struct Workers {
    dispatch: Dispatch,
    threads: Vec<thread::JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads (at least one). `seed` starts their random numbers; handshakes of tunnels
    /// are counted in `tls`.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(count: usize, clock: Clock, seed: u64, tls: &Arc<TlsMetrics>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let worker = Arc::new(Worker::new(index, clock, seed, Arc::clone(tls)));
            handles.push(WorkerHandle {
                worker: Arc::clone(&worker),
                runtime: runtime.handle().clone(),
            });
            let stop = stop.clone();
            let run = move || {
                let tunnels = worker.tunnels.clone();
                runtime.spawn(async move { tunnels.keep().await });
                runtime.spawn(worker.sweep());
                runtime.block_on(stop.cancelled());
                // Tasks that are left are dropped with the runtime; a drain came before.
                runtime.shutdown_background();
            };
            threads.push(
                thread::Builder::new()
                    .name(format!("weft-worker-{index}"))
                    .spawn(run)?,
            );
        }
        Ok(Self {
            dispatch: Dispatch(handles.into()),
            threads,
            stop,
        })
    }

    /// One worker on the thread of the runtime that this is called in: for a process that does everything
    /// on one thread. It ends with the runtime, or when it is dropped.
    ///
    /// # Errors
    /// Outside of a runtime.
    pub fn here(clock: Clock, seed: u64, tls: &Arc<TlsMetrics>) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let worker = Arc::new(Worker::new(0, clock, seed, Arc::clone(tls)));
        let stop = CancellationToken::new();
        let tunnels = worker.tunnels.clone();
        let keep = async move { tunnels.keep().await };
        runtime.spawn(stop.clone().run_until_cancelled_owned(keep));
        let sweep = Arc::clone(&worker).sweep();
        runtime.spawn(stop.clone().run_until_cancelled_owned(sweep));
        Ok(Self {
            dispatch: Dispatch([WorkerHandle { worker, runtime }].into()),
            threads: Vec::new(),
            stop,
        })
    }

    /// Closes the connections to endpoints that a caller has left behind. Those that are in use are used
    /// to their end.
    pub fn forget(&self, caller: &Arc<Caller>) {
        for handle in &*self.dispatch.0 {
            handle.worker.forget(caller);
        }
    }

    /// How to give connections to the workers; does not keep them running.
    pub fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// Requests, tunnels and opaque connections under way.
    pub fn exchanges(&self) -> usize {
        let workers = self.dispatch.0.iter();
        workers
            .map(|handle| handle.worker.exchanges.load(Relaxed))
            .sum()
    }

    /// Client connections that are open.
    pub fn connections(&self) -> usize {
        let workers = self.dispatch.0.iter();
        workers
            .map(|handle| handle.worker.connections.load(Relaxed))
            .sum()
    }
}

/// The workers as an accept loop sees them.
#[derive(Clone, Debug)]
pub struct Dispatch(Arc<[WorkerHandle]>);

impl Dispatch {
    /// The worker with the fewest client connections.
    pub fn least_loaded(&self) -> &WorkerHandle {
        self.0
            .iter()
            .min_by_key(|handle| handle.worker.connections.load(Relaxed))
            .expect("there is at least one worker")
    }

    /// Completes once every worker has looked after its tasks; never, if one of them hangs.
    ///
    /// # Errors
    /// When the workers have ended.
    pub async fn pulse(&self) -> io::Result<()> {
        let workers = self.0.iter();
        let beats: Vec<_> = workers.map(|it| it.runtime.spawn(async {})).collect();
        for beat in beats {
            beat.await?;
        }
        Ok(())
    }

    /// Runs a task on the first worker, until it ends or the workers do. `make` prepares it in reach
    /// of the worker's event queue.
    ///
    /// # Errors
    /// Those of `make`; nothing runs then.
    pub fn spawn_on_first<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        if let Some(first) = self.0.first() {
            let _in_reach = first.runtime.enter();
            drop(first.runtime.spawn(make()?));
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
