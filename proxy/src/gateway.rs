//! A gateway: the parent process, which owns everything that has to outlive a worker and reads no byte
//! of a client.
//!
//! ```text
//!  control plane ══ stream, certificates ══ parent ── listening sockets (kept open, never accepted on)
//!                                             │ channel: sockets, configuration, certificates, drain
//!  clients ───────────────────────────────> worker ──> endpoints
//! ```
//!
//! The worker can be killed at any moment: connections wait in the sockets until the next one serves
//! them, tenths of a second later. The control plane can be away: the parent has the configuration in
//! memory, and on disk for its own restart. Two keys speak for the Gateway: the parent's to the control
//! plane, and one of each worker to members of the mesh, which its worker has made and no file ever has.

mod core;
mod sockets;
mod view;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use weft_certs::{Clock, RenewalStatus};
use weft_wire::{Identity, proto::config::Role};

use self::{
    core::{Core, Signers},
    view::{AdminState, View},
};
use crate::{
    admin::{self, AdminError},
    channel::{FromWorker, Report, ToWorker},
    child::{self, Program, Talk},
    control::{self, Member, NameError, Proof, StateDirError},
    open_files,
    signals::{self, Signals},
};

/// Events that may wait for the parent; whoever brings more waits.
const EVENTS: usize = 64;
/// Time between two attempts at sockets that could not be had.
const RETRY_SOCKETS: Duration = Duration::from_secs(1);
/// Time a worker has beyond its drain limit to end.
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// How a gateway runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the Gateway.
    pub name: String,
    /// Tells processes of the same Gateway apart.
    pub instance: String,
    /// The control plane, and who the proxy is to it. The Gateway is in the proxy's namespace.
    pub control: control::Settings,
    /// Directory of the saved configuration.
    pub state_dir: PathBuf,
    /// Address of the admin endpoint.
    pub admin: SocketAddr,
    /// Time between the signal to end and the end of accepting: what load balancers take to notice.
    pub drain_delay: Duration,
    /// Time for what is under way after that.
    pub drain_limit: Duration,
    /// Arguments that make this program a worker.
    pub worker: Vec<String>,
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Names that make no identity.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The admin endpoint cannot listen.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system refuses signals or an event queue.
    #[error("the process cannot be set up: {0}")]
    System(#[from] io::Error),
}

/// What happens to the worker.
type OfWorker = child::Happened<Report, ToWorker>;

/// How the worker is talked to.
struct Talking;

impl Talk for Talking {
    type To = ToWorker;
    type From = FromWorker;
    type Report = Report;

    fn report(message: FromWorker) -> Option<Report> {
        message.report
    }
}

impl From<control::Happened> for Event {
    fn from(happened: control::Happened) -> Self {
        Self::Link(happened)
    }
}

impl From<OfWorker> for Event {
    fn from(happened: OfWorker) -> Self {
        Self::Worker(happened)
    }
}

/// What happens to a parent.
#[derive(Debug)]
enum Event {
    Link(control::Happened),
    Worker(OfWorker),
    /// Somebody asks for the worker's metrics; dropped without an answer when there are none.
    Scrape(oneshot::Sender<String>),
    /// Have the worker log by this filter.
    Log(String),
}

/// Serves until a signal, then drains.
///
/// # Errors
/// See [`GatewayError`]. A control plane that is away is none.
pub fn run(settings: Settings) -> Result<(), GatewayError> {
    let (runtime, signals) = signals::listening()?;
    let clock = Clock::system();
    let member = Member::new(&settings.control, Proof::Certificate, clock.clone())?;
    control::make_state_dir(&settings.state_dir)?;
    open_files::raise();
    open_files::make_room();
    let ran = runtime.block_on(serve(settings, member, clock, signals));
    runtime.shutdown_background();
    ran
}

async fn serve(
    settings: Settings,
    member: Member,
    clock: Clock,
    mut signals: Signals,
) -> Result<(), GatewayError> {
    let (events, mut happening) = mpsc::channel(EVENTS);
    let (view, seen) = watch::channel(View::default());
    let (saved, to_save) = watch::channel(None);
    let (last, is_last) = watch::channel(false);
    let signers = Signers::new((member.id(), member.signer()), member.workers());
    let mut core = start(&settings, signers, (saved, view), clock.clone());
    let mut tasks = JoinSet::new();
    let saver = tokio::spawn(control::keep(settings.state_dir.clone(), to_save));
    let program = Program::new(settings.worker.clone(), clock);
    let supervisor = tasks.spawn(child::supervise::<Talking, Event>(
        program,
        events.clone(),
        is_last,
    ));
    let (renewal, renewing) = watch::channel(RenewalStatus::default());
    tasks.spawn(member.run(events.clone(), renewal));
    let shown = Arc::new(AdminState {
        view: seen,
        renewal: renewing,
        events,
        control: settings.control.clone(),
    });
    admin::show((settings.admin, &settings.state_dir), shown, &mut tasks).await?;
    follow(&mut core, &mut happening, signals.next()).await;
    tracing::info!("asked to end; readiness is withdrawn");
    core.leave();
    let delay = tokio::time::sleep(settings.drain_delay);
    follow(&mut core, &mut happening, delay).await;
    last.send_replace(true);
    if core.drain(settings.drain_limit) {
        let limit = settings.drain_limit.saturating_add(AFTER_DRAIN);
        let ended = outlive(&mut core, &mut happening, &supervisor);
        tokio::select! {
            drained = timeout(limit, ended) => if drained.is_err() {
                tracing::error!("the worker did not end in time and is killed");
            },
            () = signals.next() => tracing::warn!("asked to end again; the worker is killed"),
        }
    }
    // The worker, if there still is one, is killed with the task that holds it.
    tasks.shutdown().await;
    drop(core);
    control::kept(saver).await;
    Ok(())
}

/// The parent with what was saved.
fn start(
    settings: &Settings,
    signers: Signers,
    (saved, view): (
        watch::Sender<Option<Arc<weft_wire::Snapshot>>>,
        watch::Sender<View>,
    ),
    clock: Clock,
) -> Core {
    let identity = Identity {
        role: Role::Gateway,
        name: settings.name.clone(),
        namespace: settings.control.namespace.clone(),
        instance: settings.instance.clone(),
    };
    let host = &settings.control.host;
    let (subscriber, is_saved) = control::resume(&settings.state_dir, identity, host);
    let mut core = Core::new(subscriber.with_tunnels(), signers, (saved, view), clock);
    if is_saved {
        core.restore();
    }
    core
}

/// The next event; meanwhile the worker gets the certificates it has asked for. Can be dropped.
async fn next(core: &mut Core, happening: &mut mpsc::Receiver<Event>) -> Option<Event> {
    loop {
        tokio::select! {
            event = happening.recv() => return event,
            Some(signed) = core.signed() => core.certify(signed),
        }
    }
}

/// Handles events until the last worker has ended.
async fn outlive(core: &mut Core, happening: &mut mpsc::Receiver<Event>, supervisor: &AbortHandle) {
    while !supervisor.is_finished() {
        let Some(event) = next(core, happening).await else {
            return;
        };
        let is_over = matches!(event, Event::Worker(child::Happened::Ended { .. }));
        core.handle(event);
        if is_over {
            return;
        }
    }
}

/// Handles events until `end` completes, or nobody is left to wait for.
async fn follow(
    core: &mut Core,
    happening: &mut mpsc::Receiver<Event>,
    end: impl Future<Output = ()>,
) {
    tokio::pin!(end);
    let mut retry = tokio::time::interval(RETRY_SOCKETS);
    while !core.is_alone() {
        // All branches may be dropped at any point.
        tokio::select! {
            () = &mut end => return,
            event = next(core, happening) => match event {
                Some(event) => core.handle(event),
                None => return,
            },
            _ = retry.tick(), if core.has_failed_sockets() => core.retry_sockets(),
        }
    }
}
