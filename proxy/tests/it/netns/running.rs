//! A supervisor whose workers are processes, in a thread of the test.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use weft_certs::Clock;
use weft_intercept::capture;
use weft_proxy::node::{
    Inputs, Member, Roster, Settings, Shard, ShardSettings, Shards, Shown, Standing, Succession,
    Supply, supervise,
};

use super::{
    mesh::Mesh,
    pods::{Node, PATIENCE, Pod},
};

/// Nobody's user, as in a container.
const NOBODY: u32 = 65534;

/// A supervisor with its workers.
pub(super) struct Running {
    shown: watch::Receiver<Shown>,
    pub(super) roster: watch::Sender<Option<Arc<Roster>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(node: &Node, roster: Roster) -> Self {
        // A mesh of which nobody else is.
        let (supply, _fed) = Mesh::new("cluster.local").supply(&[]);
        Self::supplied(node, roster, supply)
    }

    /// With a configuration and certificates for the workers.
    pub(super) fn supplied(node: &Node, roster: Roster, supply: Supply) -> Self {
        let settings = Settings {
            cni_socket: node.path("run/cni.sock"),
            namespaces_file: node.path("lib/namespaces.json"),
            proc: node.proc(),
            host_process: 1,
            drain: Duration::from_secs(5),
        };
        let shards = ShardSettings {
            program: Some(env!("CARGO_BIN_EXE_weft-proxy").into()),
            arguments: vec!["shard".to_owned(), "--log-format=text".to_owned()],
            user: Some(NOBODY),
        };
        let (roster, hears) = watch::channel(Some(Arc::new(roster)));
        let (said, hearing) = mpsc::channel(64);
        let (end, ending) = oneshot::channel();
        let (shows, shown) = watch::channel(Shown::default());
        let inputs = Inputs {
            roster: hears,
            said: hearing,
            ending,
            succession: Succession::default(),
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let shards = Shards::new(shards, Clock::system(), said).supplied(supply);
                let supervised = supervise(settings, Clock::system(), shards, inputs, shows);
                supervised.await.expect("it has its socket");
            });
        });
        Self {
            shown,
            roster,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Waits until so many pods are captured, and no other member is left.
    pub(super) fn captures(&mut self, count: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let waited = runtime.block_on(async {
            let waiting = self.shown.wait_for(|shown| {
                let captured = shown.captured.iter().filter(|(_, it)| *it).count();
                captured == count && shown.captured.len() == count
            });
            tokio::time::timeout(PATIENCE, waiting).await.is_ok()
        });
        assert!(
            waited,
            "{count} pods are captured: {:?}",
            self.shown.borrow()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the supervisor panicked"
            );
        }
    }
}

/// Pods that are members, each with its worker and whether plaintext to it is refused.
pub(super) fn roster(members: &[(&Pod, &str, bool)]) -> Roster {
    let member = |(pod, shard, is_strict): &(&Pod, &str, bool)| {
        let member = Member {
            namespace: (*shard).to_owned(),
            pod: "pod".to_owned(),
            uid: pod.uid.clone(),
            identity: pod.identity.clone(),
            ips: pod.ips().to_vec(),
            probes: BTreeSet::new(),
            shard: Shard::new(shard),
            is_strict: *is_strict,
            capture: capture::Settings::default(),
            drain: None,
        };
        (pod.uid.clone(), Standing::Member(Arc::new(member)))
    };
    Roster {
        namespaces: BTreeSet::from(["shop".to_owned()]),
        pods: members.iter().map(member).collect(),
    }
}
