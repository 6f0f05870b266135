//! A supervisor whose workers are processes, in a thread of the test.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use weft_certs::Clock;
use weft_intercept::capture;
use weft_proxy::node::{
    Inputs, Member, Roster, Settings, Shard, ShardSettings, Shards, Shown, Standing, Succession,
    Supply, Watched, supervise,
};

use weft_tests::{
    binary,
    netns::{Node, PATIENCE, Pod},
};

use super::authority::MeshAuthority;

/// Nobody's user, as in a container.
const NOBODY: u32 = 65534;

/// What workers say of themselves: refusals included, which are not worth a line otherwise.
const LOG: &str = "info,weft_proxy::shard=debug";

/// A supervisor with its workers. Dropping it ends them; their log is shown if the test has failed.
pub(super) struct Running {
    shown: watch::Receiver<Shown>,
    workers: Watched,
    log: PathBuf,
    pub(super) roster: watch::Sender<Option<Arc<Roster>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(node: &Node, roster: Roster) -> Self {
        // A mesh of which nobody else is.
        let (supply, _fed) = MeshAuthority::new("cluster.local").supply(&[]);
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
        let log = node.path("workers.log");
        let shards = ShardSettings {
            program: Some(logging(node, &log)),
            arguments: vec![
                "shard".to_owned(),
                "--log-format=json".to_owned(),
                format!("--log={LOG}"),
            ],
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
        let (watches, watched) = std::sync::mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let shards = Shards::new(shards, Clock::system(), said).supplied(supply);
                watches.send(shards.watched()).expect("the test waits");
                let supervised = supervise(settings, Clock::system(), shards, inputs, shows);
                supervised.await.expect("it has its socket");
            });
        });
        Self {
            shown,
            workers: watched.recv().expect("there is a supervisor"),
            log,
            roster,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Waits until so many pods are captured, and no other member is left.
    pub(super) fn captures(&mut self, count: usize) {
        self.shows(&format!("{count} pods are captured"), |shown| {
            let captured = shown.captured.iter().filter(|(_, it)| *it).count();
            captured == count && shown.captured.len() == count
        });
    }

    /// Waits until the plugin can ask.
    pub(super) fn is_ready(&mut self) {
        self.shows("the plugin can hold pods back", |shown| shown.is_ready);
    }

    fn shows(&mut self, what: &str, is_so: impl FnMut(&Shown) -> bool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let waited = runtime.block_on(async {
            let waiting = self.shown.wait_for(is_so);
            tokio::time::timeout(PATIENCE, waiting).await.is_ok()
        });
        assert!(waited, "{what}: {:?}", self.shown.borrow());
    }

    /// What the workers have said so far, a JSON object per line.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("workers write it")
    }

    /// The metrics of the workers.
    pub(super) fn metrics(&self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let texts = runtime.block_on(self.workers.metrics(PATIENCE));
        texts.into_iter().map(|(_, text)| text).collect()
    }
}

/// The program of a worker, with what it says in a file.
fn logging(node: &Node, log: &Path) -> PathBuf {
    let (program, script) = (binary::directory().join("weft-proxy"), node.path("worker"));
    let lines = format!(
        "#!/bin/sh\nexec {} \"$@\" 2>>{}\n",
        program.display(),
        log.display()
    );
    fs::write(&script, lines).expect("a file");
    fs::write(log, "").expect("a file");
    // It is run, and written to, by another user.
    for (file, mode) in [(&*script, 0o755), (log, 0o666)] {
        fs::set_permissions(file, Permissions::from_mode(mode)).expect("a file of our own");
    }
    script
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            let _shown = io::stderr().write_all(self.log().as_bytes());
        }
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
