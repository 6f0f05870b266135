//! The process of a node: the supervisor, its stream from the control plane, and what of that is on disk.
//!
//! It begins with what the supervisor before has handed over and what was saved, so that pods are served
//! before the control plane answers. Asked to end, it leaves rules and routes in the pods, and its workers
//! finish what is under way.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};
use weft_certs::{Clock, RenewalStatus};
use weft_spiffe::TrustDomain;
use weft_wire::{
    Identity,
    proto::config::{Role, WorkerTrusts},
};

use super::{
    estate::{self, Estate},
    follower::{self, Event, Follower, Outlets},
    shards::{Fed, ShardSettings, Shards, Supply},
    supervisor::supervise,
    takeover,
    terms::{Inputs, NodeError, Settings, Shown, Succession},
    view::AdminState,
};
use crate::{
    admin::{self, AdminError},
    control::{self, Member, NameError, Proof, StateDirError},
    open_files,
    signals::{self, Signals},
};

/// Events that may wait; whoever brings more waits.
const EVENTS: usize = 64;
/// What workers may have said that nobody has heard yet.
const SAID: usize = 256;
/// Time between two attempts to tell the control plane what it has not taken.
const REPORT_AGAIN: Duration = Duration::from_millis(250);
/// Where the supervisor that follows finds this one, in the state directory.
const TAKEOVER: &str = "takeover.sock";

/// How the process of a node runs.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Name of the node.
    pub node: String,
    /// Tells processes of the same node apart: the UID of the pod.
    pub instance: String,
    /// The control plane, and who the process is to it.
    pub control: control::Settings,
    /// Directory of the saved configuration.
    pub state_dir: PathBuf,
    /// Address of the admin endpoint.
    pub admin: SocketAddr,
    /// Where things are on the node, and how long pods drain that leave the mesh.
    pub supervisor: Settings,
    /// The workers.
    pub shards: ShardSettings,
    /// Time for what is under way when the process ends.
    pub drain_limit: Duration,
    /// Whether standard input leads to what an earlier supervisor has left.
    pub is_kept: bool,
}

/// Why the process of a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Names that make no identity.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The admin endpoint cannot listen.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The supervisor cannot do its work.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// There is no runtime around the process that could be the node's.
    #[error(
        "process {0} cannot be that of a container runtime; give the pod the process identifiers of \
         its node (hostPID: true)"
    )]
    Alone(u32),
    /// The system refuses signals, sockets or an event queue.
    #[error("the process cannot be set up: {0}")]
    System(#[from] io::Error),
}

/// Serves the pods of the node until a signal, then lets the workers finish.
///
/// # Errors
/// See [`AgentError`]. A control plane that is away is none.
pub fn run(settings: AgentSettings) -> Result<(), AgentError> {
    // Without the processes of the node, whatever started this one has no number.
    if settings.supervisor.host_process == 0 {
        return Err(AgentError::Alone(settings.supervisor.host_process));
    }
    let (runtime, signals) = signals::listening()?;
    open_files::raise();
    open_files::make_room();
    let clock = Clock::system();
    let member = Member::new(&settings.control, Proof::CertificateAndToken, clock.clone())?;
    control::make_state_dir(&settings.state_dir)?;
    let estate = if settings.is_kept {
        estate::begin()?
    } else {
        Estate::default()
    };
    let ran = if estate.is_to_end {
        runtime.block_on(drain(settings, estate, clock, signals))
    } else {
        runtime.block_on(serve(settings, estate, (member, clock), signals))
    };
    runtime.shutdown_background();
    ran
}

async fn serve(
    settings: AgentSettings,
    mut estate: Estate,
    (member, clock): (Member, Clock),
    mut signals: Signals,
) -> Result<(), AgentError> {
    let (events, mut happening) = mpsc::channel(EVENTS);
    let (outlets, ends) = outlets(member.workers());
    let mut follower = start(&settings, member.domain(), outlets, clock.clone());
    let mut tasks = JoinSet::new();
    let saver = tokio::spawn(control::keep(settings.state_dir.clone(), ends.saved));
    let (fed, feeding) = mpsc::channel(EVENTS);
    tasks.spawn(pass_on(feeding, events.clone()));
    let (said, hearing) = mpsc::channel(SAID);
    let shards = estate.shards(Shards::new(settings.shards.clone(), clock.clone(), said));
    let shards = shards.supplied(Supply {
        configuration: ends.configuration,
        trusted: ends.trusted,
        signer: member.signer(),
        fed,
    });
    let (renewal, renewing) = watch::channel(RenewalStatus::default());
    tasks.spawn(member.run(events, renewal));
    let (shows, shown) = watch::channel(Shown::default());
    let state = Arc::new(AdminState {
        view: ends.view,
        shown: shown.clone(),
        renewal: renewing,
        workers: shards.watched(),
        control: settings.control.clone(),
    });
    admin::show((settings.admin, &settings.state_dir), state, &mut tasks).await?;
    let (end, ending) = oneshot::channel();
    let inputs = Inputs {
        roster: ends.roster,
        said: hearing,
        ending,
        succession: succeed(&settings.state_dir, estate, &mut tasks).await?,
    };
    let supervisor = settings.supervisor;
    let mut supervising = tokio::spawn(supervise(supervisor, clock, shards, inputs, shows));
    tokio::select! {
        () = follow(&mut follower, &mut happening, shown.clone()) => {}
        () = signals.next() => tracing::info!("asked to end; the workers finish what is under way"),
        // It ends before it is asked to only when it cannot begin.
        ended = &mut supervising => {
            ended.map_err(io::Error::other)??;
            return Ok(());
        }
    }
    follower.leave();
    drop(end);
    let reporting = async || follow(&mut follower, &mut happening, shown.clone()).await;
    wind_up(supervising, reporting, settings.drain_limit, &mut signals).await?;
    tasks.shutdown().await;
    drop(follower);
    control::kept(saver).await;
    Ok(())
}

/// Waits for a supervisor that was told to end, then for what its workers have under way.
async fn wind_up(
    mut supervising: JoinHandle<Result<Shards, NodeError>>,
    mut reporting: impl AsyncFnMut(),
    limit: Duration,
    signals: &mut Signals,
) -> Result<(), AgentError> {
    let shards = finish(&mut supervising, reporting()).await?;
    tokio::select! {
        () = shards.drain(limit) => {}
        () = reporting() => {}
        () = signals.next() => tracing::warn!("asked to end again; the workers are killed"),
    }
    Ok(())
}

/// Waits for a supervisor that was told to end, and reports what it still does.
async fn finish<S>(
    supervising: &mut JoinHandle<Result<S, NodeError>>,
    reporting: impl Future<Output = ()>,
) -> Result<S, AgentError> {
    let ended = tokio::select! {
        ended = &mut *supervising => Some(ended),
        () = reporting => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => supervising.await,
    };
    Ok(ended.map_err(io::Error::other)??)
}

/// Takes over from the supervisor before, and is there for the one that follows.
async fn succeed(
    state_dir: &Path,
    mut estate: Estate,
    tasks: &mut JoinSet<()>,
) -> io::Result<Succession> {
    let path = state_dir.join(TAKEOVER);
    let inherited = match estate.listeners() {
        Some(inherited) => inherited,
        None => takeover::inherit(&path).await,
    };
    let inherited = Arc::new(inherited.kept(estate.store()));
    let (listener, (heirs, following)) = takeover::listen(&path)?;
    let retire = move || estate.retire();
    tasks.spawn(takeover::serve(listener, heirs, retire));
    Ok(Succession {
        inherited,
        heirs: Some(following),
    })
}

/// Ends the workers that an earlier supervisor has left, in peace, and nothing else.
async fn drain(
    settings: AgentSettings,
    mut estate: Estate,
    clock: Clock,
    mut signals: Signals,
) -> Result<(), AgentError> {
    tracing::info!("the workers of the supervisor before finish what is under way");
    let (said, mut hearing) = mpsc::channel(SAID);
    let shards = estate.shards(Shards::new(settings.shards, clock, said));
    tokio::select! {
        () = shards.drain(settings.drain_limit) => {}
        // Nobody has a use for what they say.
        () = async { while hearing.recv().await.is_some() {} } => {}
        () = signals.next() => tracing::warn!("asked to end; the workers are killed"),
    }
    Ok(())
}

/// What workers have taken, among what else happens.
async fn pass_on(mut feeding: mpsc::Receiver<Fed>, events: mpsc::Sender<Event>) {
    while let Some(fed) = feeding.recv().await {
        if events.send(Event::Worker(fed)).await.is_err() {
            return;
        }
    }
}

/// Where what the follower knows arrives.
struct Ends {
    roster: watch::Receiver<Option<Arc<super::Roster>>>,
    configuration: watch::Receiver<Option<Arc<super::Revision>>>,
    trusted: watch::Receiver<Option<Arc<control::Trusted>>>,
    saved: watch::Receiver<Option<Arc<weft_wire::Snapshot>>>,
    view: watch::Receiver<follower::View>,
}

fn outlets(workers: watch::Sender<Vec<WorkerTrusts>>) -> (Outlets, Ends) {
    let (roster, to_supervisor) = watch::channel(None);
    let (configuration, to_workers) = watch::channel(None);
    let (trusted, to_trust) = watch::channel(None);
    let (saved, to_save) = watch::channel(None);
    let (view, seen) = watch::channel(follower::View::default());
    let outlets = Outlets {
        roster,
        configuration,
        trusted,
        saved,
        workers,
        view,
    };
    let ends = Ends {
        roster: to_supervisor,
        configuration: to_workers,
        trusted: to_trust,
        saved: to_save,
        view: seen,
    };
    (outlets, ends)
}

/// The follower with what was saved.
fn start(
    settings: &AgentSettings,
    domain: TrustDomain,
    outlets: Outlets,
    clock: Clock,
) -> Follower {
    let identity = Identity {
        role: Role::Node,
        name: settings.node.clone(),
        namespace: String::new(),
        instance: settings.instance.clone(),
    };
    let host = &settings.control.host;
    let (subscriber, is_saved) = control::resume(&settings.state_dir, identity, host);
    let who = (settings.node.as_str(), domain);
    let mut follower = Follower::new(who, subscriber, outlets, clock);
    if is_saved {
        follower.restore();
    }
    follower
}

/// Handles events until nobody brings any.
async fn follow(
    follower: &mut Follower,
    happening: &mut mpsc::Receiver<Event>,
    mut shown: watch::Receiver<Shown>,
) {
    let mut is_supervised = true;
    loop {
        let is_left = {
            let shown = shown.borrow_and_update();
            follower.report(&shown)
        };
        let patience = follower.patience();
        // All branches may be dropped at any point.
        tokio::select! {
            event = happening.recv() => match event {
                Some(event) => follower.handle(event),
                None => return,
            },
            // What a supervisor that has ended has shown last stays.
            changed = shown.changed(), if is_supervised => is_supervised = changed.is_ok(),
            () = tokio::time::sleep(patience.unwrap_or_default()), if patience.is_some() => {
                follower.settle();
            }
            () = tokio::time::sleep(REPORT_AGAIN), if is_left => {}
        }
    }
}
