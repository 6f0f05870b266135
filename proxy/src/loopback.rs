//! The mesh within one process: an identity for everybody, and the doors behind which members answer.
//!
//! Where a node would stand in front of every pod, one process does. Each identity has a socket on
//! loopback, its *door*, that ends tunnels in its name and leads to the endpoints that are its own, and
//! to no others. What is sent to a member goes through its door, with mutual TLS on the way.

mod carry;
mod door;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use tokio::runtime::{Builder, Handle, Runtime};
use weft_certs::{Clock, Expected, Identity, InProcess, LeafLife, Renewer, Signer};
use weft_forward::{Answering, Caller, Members, Sender};
use weft_ir::Endpoints;
use weft_spiffe::SpiffeId;

use self::door::Door;
use crate::chance::Chance;

/// A signer of this process answers at once, or something is wrong with it; nothing else waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives the signer of the identities, when the first member appears; what is wrong is for people.
pub type Authority = dyn Fn() -> Result<Arc<dyn Signer>, String> + Send + Sync;

/// The mesh of one process. Nothing of it exists before the first member does.
pub struct Loopback {
    authority: Box<Authority>,
    /// Held while membership changes, never for a request.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// By SPIFFE ID.
    known: BTreeMap<Arc<str>, Known>,
    members: Arc<Members>,
}

/// What runs while there is a mesh.
struct Running {
    /// Threads for handshakes, renewals, and what goes through the doors; taken when it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    issuance: InProcess,
    chance: Chance,
}

/// One identity, and what is made of it. Kept once made: it is little, and may be wanted again.
struct Known {
    identity: Identity,
    caller: Option<Arc<Caller>>,
    door: Option<Door>,
}

/// What membership came to.
#[derive(Debug)]
pub struct Settled {
    /// What the data path has to know; the same as before, by pointer, where nothing is different.
    pub members: Arc<Members>,
    /// What did not work, for people. Whom it concerns is not reached, in plaintext least of all.
    pub problems: Vec<String>,
}

impl Loopback {
    /// No member yet. `authority` is asked once there is one.
    #[must_use]
    pub fn new(authority: Box<Authority>) -> Self {
        Self {
            authority,
            state: Mutex::default(),
        }
    }

    /// Brings doors and identities in line with the members among `endpoints`, and with the SPIFFE IDs
    /// of those that send to them. Doors open before this returns, and stay open for a while for what is
    /// on its way when an endpoint leaves.
    ///
    /// Blocks while identities are made, some milliseconds for each new one.
    pub fn settle(&self, endpoints: &Endpoints, senders: &BTreeMap<Sender, Arc<str>>) -> Settled {
        // Nothing is left half done where a panic could come from.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served: BTreeMap<Arc<str>, BTreeSet<SocketAddr>> = BTreeMap::new();
        let all = endpoints.values().flat_map(|set| set.all());
        for (endpoint, member) in all.filter_map(|it| Some((it, it.member.as_ref()?))) {
            let addresses = served.entry(Arc::clone(member)).or_default();
            addresses.insert(endpoint.address);
        }
        if served.is_empty() && state.running.is_none() {
            return Settled {
                members: Arc::clone(&state.members),
                problems: Vec::new(),
            };
        }
        let problems = self.bring(&mut state, &served, senders);
        Settled {
            members: Arc::clone(&state.members),
            problems,
        }
    }

    fn bring(
        &self,
        state: &mut State,
        served: &BTreeMap<Arc<str>, BTreeSet<SocketAddr>>,
        senders: &BTreeMap<Sender, Arc<str>>,
    ) -> Vec<String> {
        let running = match &mut state.running {
            Some(running) => running,
            none => match (self.authority)().and_then(Running::start) {
                Ok(running) => none.insert(running),
                Err(problem) => {
                    let problem = format!("no identities for the mesh: {problem}");
                    return vec![problem];
                }
            },
        };
        let wanted: BTreeSet<&Arc<str>> = served.keys().chain(senders.values()).collect();
        let is_new = |id: &&Arc<str>| !state.known.contains_key(*id);
        let new: Vec<Arc<str>> = wanted.into_iter().filter(is_new).cloned().collect();
        let mut problems = running.identify(new, &mut state.known);
        let nobody = BTreeSet::new();
        for (id, known) in &mut state.known {
            if let Err(error) = known.serve(running, served.get(id).unwrap_or(&nobody)) {
                problems.push(format!("nobody answers as {id}: {error}"));
            }
        }
        let mut members = Members::default();
        for (sender, id) in senders {
            let known = state.known.get_mut(id);
            if let Some(caller) = known.and_then(Known::caller) {
                members.callers.insert(sender.clone(), caller);
            }
        }
        for id in served.keys() {
            let known = state.known.get(id);
            if let Some((known, door)) = known.and_then(|it| Some((it, it.door.as_ref()?))) {
                let answering = Answering {
                    door: Some(door.address()),
                    expected: Expected::OneOf(vec![known.identity.id()]),
                };
                members.answering.insert(Arc::clone(id), answering);
            }
        }
        if !is_same(&members, &state.members) {
            state.members = Arc::new(members);
        }
        problems
    }
}

/// A door stays where it is, and a caller who it is, for as long as the process lives.
fn is_same(one: &Members, other: &Members) -> bool {
    let names = |it: &Members| it.answering.keys().cloned().collect::<BTreeSet<_>>();
    let callers = |it: &Members| {
        let callers = it.callers.iter();
        let pairs = callers.map(|(sender, caller)| (sender.clone(), Arc::as_ptr(caller) as usize));
        pairs.collect::<HashMap<_, _>>()
    };
    names(one) == names(other) && callers(one) == callers(other)
}

impl Running {
    fn start(signer: Arc<dyn Signer>) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .thread_name("weft-members")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            issuance: InProcess {
                signer,
                life: LeafLife::default(),
                clock: Clock::system(),
            },
            chance: Chance::new(u64::from(std::process::id())),
        })
    }

    /// Makes identities, all at once, and keeps them fresh.
    fn identify(
        &mut self,
        ids: Vec<Arc<str>>,
        known: &mut BTreeMap<Arc<str>, Known>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut asked = Vec::new();
        for id in ids {
            match SpiffeId::parse(&id).map_err(|error| error.to_string()) {
                Ok(parsed) => match self.ask(&parsed) {
                    Ok(answer) => asked.push((Arc::clone(&id), answer)),
                    Err(error) => problems.push(format!("no identity for {id}: {error}")),
                },
                Err(error) => problems.push(format!("{id} is no identity: {error}")),
            }
        }
        for (id, answer) in asked {
            match answer.recv_timeout(PATIENCE) {
                Ok(identity) => {
                    let entry = Known {
                        identity,
                        caller: None,
                        door: None,
                    };
                    known.insert(id, entry);
                }
                Err(_late) => problems.push(format!("the authority gave no certificate for {id}")),
            }
        }
        problems
    }

    fn ask(&mut self, id: &SpiffeId) -> Result<mpsc::Receiver<Identity>, String> {
        let mut chance = Chance::new(self.chance.next());
        let InProcess { clock, .. } = &self.issuance;
        let renewer = Renewer::new(id, self.issuance.clone(), clock.clone(), move || {
            chance.draw()
        });
        let mut renewer = renewer.map_err(|error| error.to_string())?;
        let (answer, asked) = mpsc::sync_channel(1);
        // It ends with the runtime, or when nobody waits for the identity any more.
        self.handle.spawn(async move {
            let identity = renewer.obtain().await;
            if answer.send(identity.clone()).is_ok() {
                renewer.keep(identity).await;
            }
        });
        Ok(asked)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it has waited for what was to be waited for.
            runtime.shutdown_background();
        }
    }
}

impl Known {
    /// Lets tunnels through to these endpoints.
    fn serve(&mut self, running: &Running, addresses: &BTreeSet<SocketAddr>) -> io::Result<()> {
        match &self.door {
            Some(door) => door.serve(&running.handle, addresses),
            None if addresses.is_empty() => {}
            None => {
                self.door = Some(Door::open(&running.handle, &self.identity, addresses)?);
            }
        }
        Ok(())
    }

    fn caller(&mut self) -> Option<Arc<Caller>> {
        if self.caller.is_none() {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            match Caller::new(&self.identity, address) {
                Ok(caller) => self.caller = Some(Arc::new(caller)),
                Err(error) => tracing::error!(%error, "an identity cannot be used"),
            }
        }
        self.caller.clone()
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").finish_non_exhaustive()
    }
}
