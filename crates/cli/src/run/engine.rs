//! A running directory: started, looked at, stopped. `weft run` and `weft demo` share it.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_proxy::{
    loopback::Loopback,
    open_files,
    standalone::{self, DataPath},
};
use weft_source::{Batch, Finding, Options, Progress, Severity, Watch};
use weft_telemetry::{
    access_log::{self, AccessLog},
    metrics::{LabelGroups, Registry},
};
use weft_translate::ClassPolicy;

use super::{
    addresses::AddressBook,
    admin::AdminState,
    assemble::Assembly,
    authority,
    control::{Control, Shared, View},
    limits,
    ports::{ByListening, Ports},
    sockets::Sockets,
    state_dir::StateDir,
    writer::Writer,
};
use crate::{clock, exit::Failure, findings, version::BUILD};

/// How to run a directory.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Files and directories.
    pub(crate) files: Vec<PathBuf>,
    /// Where addresses and statuses are written.
    pub(crate) state_dir: PathBuf,
    /// Addresses Gateways listen on beside their own and localhost.
    pub(crate) open_addresses: Vec<IpAddr>,
    /// Ports to listen on elsewhere.
    pub(crate) port_map: BTreeMap<u16, u16>,
    /// Namespace of the clients that dial the ClusterIP of a Service.
    pub(crate) client_namespace: Arc<str>,
    /// Which Gateways are served.
    pub(crate) classes: ClassPolicy,
    /// Worker threads; 0 for one per processor.
    pub(crate) workers: usize,
    /// The access log.
    pub(crate) access_log: access_log::Config,
    /// Whether changes and findings are told on standard error.
    pub(crate) tells: bool,
}

/// A running directory.
pub(crate) struct Engine {
    data_path: Arc<DataPath>,
    registry: Registry,
    shared: Arc<Shared>,
    /// Outlives the drain: what is under way goes through it.
    _mesh: Arc<Loopback>,
    stop: CancellationToken,
    control: Option<JoinHandle<()>>,
}

impl Engine {
    /// Loads the files and serves what they say; when this returns, everything loaded serves. Then
    /// follows the files until stopped.
    ///
    /// # Errors
    /// Files that cannot be read at all, a state directory that cannot be used, or a system without
    /// threads. Bad objects are no error.
    pub(crate) fn start(
        settings: Settings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, Failure> {
        let state_dir = StateDir::open(&settings.state_dir)?;
        if let Err(error) = limits::raise_open_files() {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
        open_files::make_room();
        let registry = Registry::new(BUILD, LabelGroups::default());
        let access_log = AccessLog::start(&settings.access_log, registry.process())?;
        let data_path = Arc::new(DataPath::start(standalone::Config {
            workers: settings.workers,
            registry: registry.clone(),
            access_log,
            seed: seed(),
        })?);
        let recorded = state_dir.earlier().recorded();
        let book = AddressBook::new(state_dir.path(), recorded);
        let ports = Ports::new(settings.port_map, Box::new(ByListening(book.probes())));
        let sockets = Sockets::new(
            book,
            ports,
            settings.client_namespace,
            settings.open_addresses,
        );
        let directory = state_dir.path().to_owned();
        let mesh = Arc::new(Loopback::new(Box::new(move || authority::open(&directory))));
        let assembly = Assembly::new(
            settings.classes,
            sockets,
            (Arc::clone(&data_path), Arc::clone(&mesh)),
            registry.config(),
        );
        let (first, watch) = load(&settings.files, state_dir.path(), on_progress)?;
        let writer = Writer::start(state_dir)?;
        let mut control = Control::new(assembly, writer, watch.places(), settings.tells);
        control.first(first);
        let shared = control.shared();
        let stop = CancellationToken::new();
        let follow = control.follow(watch, stop.clone())?;
        Ok(Self {
            data_path,
            registry,
            shared,
            _mesh: mesh,
            stop,
            control: Some(follow),
        })
    }

    /// What is served now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.shared.view()
    }

    /// What is served, followed: changes after every batch of edits.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.shared.follow()
    }

    /// Errors and warnings of the files and their translation.
    pub(crate) fn finding_counts(&self) -> (usize, usize) {
        let view = self.view();
        let count = |severity| findings::count(&view.of_files, &view.output, severity);
        (count(Severity::Error), count(Severity::Warning))
    }

    /// Errors and warnings, sorted by place.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.shared.findings()
    }

    /// What the admin endpoint shows.
    pub(crate) fn admin_state(&self) -> Arc<AdminState> {
        Arc::new(AdminState::new(
            self.registry.clone(),
            Arc::clone(&self.data_path),
            Arc::clone(&self.shared),
        ))
    }

    /// Follows the files no longer, lets requests finish for at most `limit`, and writes what is to
    /// be written. Returns how many requests were cut.
    pub(crate) async fn stop(mut self, limit: Duration) -> usize {
        self.stop.cancel();
        let cut = self.data_path.drain(limit).await;
        if let Some(control) = self.control.take() {
            // It ends soon: it was told to, and it waits for nothing but the disk.
            if control.join().is_err() {
                tracing::error!("the thread that follows the files has panicked");
            }
        }
        cut
    }
}

/// Reads the files, and watches them from then on, all but what is written here.
fn load(
    files: &[PathBuf],
    state_dir: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<(Batch, Watch), Failure> {
    let options = Options {
        exclude: vec![state_dir.to_owned()],
        ..Options::default()
    };
    let started = clock::now();
    let (first, watch) = Watch::start(files, options, on_progress).map_err(Failure::unreachable)?;
    let took = clock::now().saturating_duration_since(started);
    tracing::info!(
        documents = first.documents,
        files = first.files,
        ?took,
        "loaded"
    );
    Ok((first, watch))
}

/// The start of the random numbers that split and balance. The standard library's hash keys are
/// random per process, which is all that is needed here.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
