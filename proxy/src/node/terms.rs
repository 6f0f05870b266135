//! What a supervisor is given, what it gives its workers, and what it shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use weft_intercept::{Netns, capture::Fault, sockets::Listener};

use super::{
    core::{Assignment, Hold, Notice, OfWorker},
    inherited::{Heir, Inherited},
    roster::{Member, Roster, Shard},
};

/// Where things are on the node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket on which the CNI plugin asks.
    pub cni_socket: PathBuf,
    /// The file the plugin reads when nobody answers there.
    pub namespaces_file: PathBuf,
    /// The processes of the node (`/proc` with the node's own process identifiers).
    pub proc: PathBuf,
    /// One of them that is in the node's own namespaces, as the runtime is: of its network and of its
    /// files, in which paths of network namespaces are. The first process need not be: machines may
    /// have several nodes.
    pub host_process: u32,
    /// How long captured connections may go on in a pod that leaves the mesh.
    pub drain: Duration,
}

impl Settings {
    /// The directory of a process of the node itself.
    pub(super) fn host(&self) -> PathBuf {
        self.proc.join(self.host_process.to_string())
    }
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The plugin cannot ask.
    #[error("the socket of the CNI plugin, {path}: {source}; mount its directory from the node")]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What serves the pods: one worker per shard, in processes or wherever. It is told what to do in order,
/// and says what happened in [`Inputs::said`].
pub trait Workers: Send {
    /// Have a worker of this name, and another when it ends, until [`Workers::end`].
    fn start(&mut self, shard: &Shard);
    /// Have it no longer.
    fn end(&mut self, shard: &Shard);
    /// Give a pod to the worker that lives this life: its listeners, which stay open here.
    fn assign(&mut self, shard: &Shard, life: u64, hold: Hold, pod: Assigned);
    /// Take a pod back, and let what is under way there end within `drain`.
    fn revoke(&mut self, shard: &Shard, life: u64, hold: Hold, drain: Duration);
    /// Take plaintext in a pod whatever else is said of it, or do so no longer.
    fn lenient(&mut self, shard: &Shard, life: u64, hold: Hold, is_lenient: bool);
    /// The workers of another supervisor serve the same pods from now on: nobody waits for the end of
    /// these.
    fn be_followed(&mut self) {}
    /// Let go of what an earlier supervisor has left and this one has not asked for, if anything of it
    /// is there.
    fn forget(&mut self) {}
}

/// A pod as a worker is given it.
pub type Assigned = Assignment<Arc<Netns>, Arc<Vec<Listener>>>;

/// The supervisors before and after.
#[derive(Debug, Default)]
pub struct Succession {
    /// What the one before has handed over.
    pub inherited: Arc<Inherited>,
    /// Those that follow and want the listeners. Once one has them, nothing more is done to pods here.
    pub heirs: Option<mpsc::Receiver<Heir>>,
}

/// Where a supervisor hears from.
#[derive(Debug)]
pub struct Inputs {
    /// What the control plane says; nothing before it has.
    pub roster: watch::Receiver<Option<Arc<Roster>>>,
    /// What workers say, and of which life of which of them it is. Lives are numbered from 1, and no
    /// two of one name have the same number.
    pub said: mpsc::Receiver<(Shard, u64, OfWorker)>,
    /// The end of this process.
    pub ending: oneshot::Receiver<()>,
    /// Who was before and who follows.
    pub succession: Succession,
}

/// What the supervisor shows: for metrics, events and readiness.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The members of this node, and which of them are captured.
    pub captured: Vec<(Arc<Member>, bool)>,
    /// The addresses with which pods were captured that have started since, by UID.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Pods that are members no longer, and from which what captured them is still to be removed, by UID;
    /// and whether that takes long, because connections that were captured go on.
    pub leaving: BTreeMap<String, bool>,
    /// How often a capture was damaged from outside and repaired, by
    /// [`Fault::reason`](weft_intercept::capture::Fault::reason).
    pub repairs: BTreeMap<&'static str, u64>,
    /// What happened last to each pod that is not as it should be, by UID.
    pub problems: BTreeMap<String, String>,
    /// When the capture of a pod was last repaired, in seconds since 1970, and what had been damaged from
    /// outside, by UID.
    pub repaired: BTreeMap<String, (u64, String)>,
    /// The shards whose workers end again and again.
    pub crashing: BTreeSet<Shard>,
    /// Whether the plugin has what it needs to hold pods back by itself. The CNI chain is installed
    /// after that and not before.
    pub is_ready: bool,
}

impl Shown {
    /// Takes over what has happened to a pod, at that second since 1970.
    pub(super) fn note(&mut self, notice: &Notice, at_unix_s: u64) {
        match notice {
            Notice::Captured(member) => {
                self.problems.remove(&member.uid);
            }
            Notice::LetGo(member) => {
                self.problems.remove(&member.uid);
                self.repaired.remove(&member.uid);
            }
            Notice::Repaired(member, faults) => {
                self.problems.remove(&member.uid);
                let faults: Vec<_> = faults.iter().map(|it: &Fault| it.reason()).collect();
                for fault in &faults {
                    *self.repairs.entry(fault).or_default() += 1;
                }
                let repaired = (at_unix_s, faults.join(", "));
                self.repaired.insert(member.uid.clone(), repaired);
            }
            Notice::Failed(member, why) => {
                self.problems.insert(member.uid.clone(), why.clone());
            }
        }
    }
}
