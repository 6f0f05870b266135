//! The supervisor with a kernel: pods are captured while they run and while they start, stay captured
//! when somebody meddles, and are let go without harm. Who accepts here is the test, in the place of
//! the workers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use weft_certs::Clock;
use weft_intercept::{
    Netns,
    capture::{self, Fault, Settings as Rules},
    handoff::{Operation, Reply},
    sockets::{Listener, Purpose, original_destination},
};
use weft_proxy::node::{
    Assigned, Hold, Inherited, Inputs, Member, OfWorker, Roster, Settings, Shard, Shown, Standing,
    Succession, Workers, supervise,
};

use weft_tests::netns::{Node, PATIENCE, Pod, becomes, can_make_namespaces};

use super::pair::Pair;

/// Takes every pod at once, and lets go of it at once.
#[derive(Clone)]
struct Accepting {
    said: mpsc::Sender<(Shard, u64, OfWorker)>,
    pods: Arc<Mutex<BTreeMap<String, Arc<Vec<Listener>>>>>,
}

impl Accepting {
    fn say(&self, shard: &Shard, what: OfWorker) {
        let said = self.said.try_send((shard.clone(), 1, what));
        said.expect("few things are said");
    }
}

impl Workers for Accepting {
    fn start(&mut self, shard: &Shard) {
        self.say(shard, OfWorker::Ready);
    }

    fn end(&mut self, shard: &Shard) {
        self.say(shard, OfWorker::Gone);
    }

    fn assign(&mut self, shard: &Shard, _life: u64, hold: Hold, pod: Assigned) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.insert(pod.member.uid.clone(), pod.listeners);
        self.say(shard, OfWorker::Identified(pod.member.identity.clone()));
        self.say(shard, OfWorker::Taken(hold));
    }

    fn revoke(&mut self, shard: &Shard, _life: u64, hold: Hold, _drain: Duration) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.clear();
        self.say(shard, OfWorker::Released(hold));
    }

    fn lenient(&mut self, _shard: &Shard, _life: u64, _hold: Hold, _is_lenient: bool) {}
}

/// A supervisor that runs.
struct Running {
    roster: watch::Sender<Option<Arc<Roster>>>,
    shown: watch::Receiver<Shown>,
    pods: Arc<Mutex<BTreeMap<String, Arc<Vec<Listener>>>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(node: &Node, roster: Roster) -> Self {
        Self::start_after(node, roster, Succession::default())
    }

    fn start_after(node: &Node, roster: Roster, succession: Succession) -> Self {
        let settings = Settings {
            cni_socket: node.path("run/cni.sock"),
            namespaces_file: node.path("lib/namespaces.json"),
            proc: node.proc(),
            host_process: 1,
            drain: Duration::from_secs(30),
        };
        let (roster, hears) = watch::channel(Some(Arc::new(roster)));
        let (said, hearing) = mpsc::channel(16);
        let (end, ending) = oneshot::channel();
        let (shows, shown) = watch::channel(Shown::default());
        let workers = Accepting {
            said,
            pods: Arc::default(),
        };
        let pods = Arc::clone(&workers.pods);
        let inputs = Inputs {
            roster: hears,
            said: hearing,
            ending,
            succession,
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let supervised = supervise(settings, Clock::system(), workers, inputs, shows);
            let _workers = runtime.block_on(supervised).expect("it has its socket");
        });
        Self {
            roster,
            shown,
            pods,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Waits until what is shown is so.
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

    fn captures(&mut self, pod: &Pod) {
        let uid = pod.uid.clone();
        self.shows("the pod is captured", |shown| {
            let mut captured = shown.captured.iter();
            captured.any(|(member, is_captured)| member.uid == uid && *is_captured)
        });
    }

    /// The listener of a pod that a worker was given.
    fn listener(&self, pod: &Pod, purpose: Purpose) -> TcpListener {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = pods.get(&pod.uid).expect("the pod was assigned");
        let found = listeners.iter().find(|it| it.purpose == purpose);
        let socket = &found.expect("it has each listener").socket;
        socket.set_nonblocking(false).expect("a socket can be set");
        socket.try_clone().expect("descriptors are left")
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

fn roster(members: &[&Pod]) -> Roster {
    let member = |pod: &&Pod| {
        let member = Member {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            uid: pod.uid.clone(),
            identity: "spiffe://cluster.local/ns/shop/sa/web"
                .parse()
                .expect("an identity"),
            ips: vec![pod.ip],
            probes: BTreeSet::new(),
            shard: Shard::new("shop"),
            is_strict: true,
            capture: Rules::default(),
            drain: None,
        };
        (pod.uid.clone(), Standing::Member(Arc::new(member)))
    };
    Roster {
        namespaces: BTreeSet::from(["shop".to_owned()]),
        pods: members.iter().map(member).collect(),
    }
}

/// What the pod dials arrives at the worker's listener, with where it wanted to go.
fn is_captured(running: &Running, from: &Pod, to: &Pod) {
    let listener = running.listener(from, Purpose::Outbound);
    let mut client = from.dial(to.at(80)).expect("the listener takes it");
    // The supervisor's own probes may have arrived before, and where they went is forgotten with the rules
    // of then.
    let mut accepted = loop {
        let (accepted, _) = listener.accept().expect("it was dialled");
        let wanted = original_destination(&accepted, capture::Family::V4);
        if wanted.is_ok_and(|wanted| wanted == to.at(80)) {
            break accepted;
        }
    };
    client.write_all(b"hello").expect("they are connected");
    let mut said = [0; 5];
    accepted.read_exact(&mut said).expect("they are connected");
    assert_eq!(&said, b"hello");
}

/// Whether the pod has no rules.
fn is_bare(pod: &Pod) -> bool {
    let report = capture::inspect(&pod.netns, &Rules::default());
    let faults = report.expect("it can be asked").faults;
    faults.contains(&Fault::NoTable)
}

#[test]
fn a_running_pod_joins_and_leaves_without_a_restart() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    pair.node.runs(100, &pair.web);
    let application = pair.cart.listen(80);
    let mut running = Running::start(&pair.node, roster(&[&pair.web]));
    running.captures(&pair.web);
    running.shows("the plugin can hold pods back", |shown| shown.is_ready);
    is_captured(&running, &pair.web, &pair.cart);
    running.roster.send_replace(Some(Arc::new(roster(&[]))));
    running.shows("it has left", |shown| shown.captured.is_empty());
    let tunnels = running.listener(&pair.web, Purpose::Tunnel);
    let _late = pair.cart.dial(pair.web.at(15008));
    tunnels
        .accept()
        .expect("a peer hears of it later than we do");
    running.shows("nothing is left to do", |shown| shown.leaving.is_empty());
    assert!(is_bare(&pair.web), "its rules were taken away before");
    // As it was said to be gone if it were there: otherwise nothing is wrong with it.
    let probes = BTreeSet::from([pair.web.at(8080)]);
    let has_gone = || {
        let wrong = capture::node::apply(&pair.node.own, &probes);
        wrong.expect("it can be asked") == Some(Fault::NoTable)
    };
    assert!(
        becomes(has_gone),
        "without probes the node itself has no rules"
    );
    let _client = pair.web.dial(pair.cart.at(80)).expect("nobody is between");
    application
        .accept()
        .expect("it arrives at the application itself");
}

#[test]
fn a_pod_starts_when_the_plugin_is_told_that_it_is_captured() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    let mut running = Running::start(&pair.node, roster(&[&pair.web]));
    running.shows("the plugin can hold pods back", |shown| shown.is_ready);
    assert_eq!(pair.node.ask(Operation::Add, &pair.web), Reply::Ok {});
    is_captured(&running, &pair.web, &pair.cart);
    assert_eq!(pair.node.ask(Operation::Check, &pair.web), Reply::Ok {});
    capture::remove(&pair.web.netns).expect("somebody meddles");
    assert_eq!(pair.node.ask(Operation::Check, &pair.web), Reply::Ok {});
    running.shows("damage is counted", |shown| {
        shown.repairs.contains_key("no_table")
    });
    is_captured(&running, &pair.web, &pair.cart);
    assert_eq!(pair.node.ask(Operation::Del, &pair.web), Reply::Ok {});
    let refused = pair.cart.dial(pair.web.at(15008));
    refused.expect_err("nobody listens in the pod any more");
}

#[test]
fn a_supervisor_finds_what_the_one_before_it_has_captured() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    pair.node.runs(100, &pair.web);
    for life in ["the first", "the second"] {
        let mut running = Running::start(&pair.node, roster(&[&pair.web]));
        running.captures(&pair.web);
        is_captured(&running, &pair.web, &pair.cart);
        drop(running);
        let report = capture::inspect(&pair.web.netns, &Rules::default());
        let faults = report.expect("it can be asked").faults;
        assert_eq!(faults, [], "{life}: the rules outlive it");
    }
}

#[test]
fn a_supervisor_that_ends_leaves_nothing_in_a_pod_that_has_left() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    pair.node.runs(100, &pair.web);
    let mut running = Running::start(&pair.node, roster(&[&pair.web]));
    running.captures(&pair.web);
    running.roster.send_replace(Some(Arc::new(roster(&[]))));
    running.shows("it is leaving", |shown| !shown.leaving.is_empty());
    drop(running);
    assert!(is_bare(&pair.web), "nobody else would take its rules away");
}

#[test]
fn a_process_in_the_wrong_namespace_is_not_believed() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    let impostor = Pod {
        netns: Arc::new(Netns::scratch().expect("a namespace")),
        namespace: pair.web.namespace.clone(),
        name: pair.web.name.clone(),
        uid: pair.web.uid.clone(),
        identity: pair.web.identity.clone(),
        ..pair.web
    };
    pair.node.runs(100, &impostor);
    pair.node.runs(101, &pair.web);
    let mut running = Running::start(&pair.node, roster(&[&pair.web]));
    running.captures(&pair.web);
    is_captured(&running, &pair.web, &pair.cart);
    let report = capture::inspect(&impostor.netns, &Rules::default());
    let faults = report.expect("it can be asked").faults;
    assert!(faults.contains(&Fault::NoTable), "{faults:?}");
}

#[test]
fn the_supervisor_that_follows_has_the_same_listeners() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    pair.node.runs(100, &pair.web);
    let (follow, heirs) = mpsc::channel(1);
    let first = Succession {
        heirs: Some(heirs),
        ..Succession::default()
    };
    let mut old = Running::start_after(&pair.node, roster(&[&pair.web]), first);
    old.captures(&pair.web);
    let (heir, listeners) = oneshot::channel();
    follow.blocking_send(heir).expect("it listens for its heir");
    let listeners = listeners.blocking_recv().expect("it has some");
    let duplicates = listeners.iter().flat_map(|it| it.iter());
    let duplicates =
        duplicates.map(|it| it.socket.try_clone().expect("descriptors are left").into());
    let succession = Succession {
        inherited: Arc::new(Inherited::of(duplicates.collect())),
        heirs: None,
    };
    drop(listeners);
    // Nobody accepts it before the one supervisor has ended and the other has begun.
    let _waiting = pair
        .cart
        .dial(pair.web.at(15008))
        .expect("the listener is there");
    let mut new = Running::start_after(&pair.node, roster(&[&pair.web]), succession);
    new.captures(&pair.web);
    let checked = pair.node.ask(Operation::Check, &pair.web);
    assert_eq!(checked, Reply::Ok {}, "the plugin asks the new one");
    drop(old);
    let tunnels = new.listener(&pair.web, Purpose::Tunnel);
    tunnels.accept().expect("it waited in the socket");
    is_captured(&new, &pair.web, &pair.cart);
}
