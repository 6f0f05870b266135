//! `weft-proxy node` as a pod of a node runs it: what it asks the control plane for and tells it, what it
//! does without, and how one process follows another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::{
        fd::{AsFd, AsRawFd},
        unix::{
            fs::{PermissionsExt, symlink},
            net::UnixStream,
        },
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use weft_intercept::{
    Netns,
    handoff::{self, Operation, Reply, Request, VERSION},
};
use weft_ir::{Name, Workload};
use weft_tests::{
    binary,
    control_plane::{ControlPlane, TOKEN},
    proxy::free_port,
    rawclient::RawClient,
    wait::{PATIENCE, eventually},
};
use weft_wire::{Configuration, proto::config::Capture};

const UID: &str = "0c5a1f6e-8d3b-4b0e-9a57-4a8f3e2d1c0b";
const IDENTITY: &str = "spiffe://cluster.local/ns/shop/sa/web";
const POD: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 2);

/// A node with one pod, on whose disk processes of Weft find what they left there.
struct Node {
    directory: TempDir,
    pod: Netns,
    /// The network of the node itself.
    own: Netns,
}

/// A process of Weft on the node.
struct Agent {
    child: Child,
    admin: SocketAddr,
}

/// Without root the tests say so and do nothing, but for a CI machine, which has to be able to.
fn can_make_namespaces() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        is_root || !is_ci,
        "CI=true allows no skips: run this test as root"
    );
    if !is_root {
        let line = "skipped: network namespaces are made by root; run `sudo -E cargo test`\n";
        let _written = io::stderr().write_all(line.as_bytes());
    }
    is_root
}

impl Node {
    fn new() -> Self {
        let make = || Netns::scratch().expect("root makes namespaces");
        let node = Self {
            directory: tempfile::tempdir().expect("a directory"),
            pod: make(),
            own: make(),
        };
        let ip = |command: String| {
            let run = || Command::new("ip").args(command.split(' ')).status();
            let status = node.pod.within(run).expect("it can be entered");
            assert!(
                status.expect("iproute2 is installed").success(),
                "{command}"
            );
        };
        ip("link set lo up".to_owned());
        ip("link add eth0 type veth peer name other".to_owned());
        ip("link set eth0 up".to_owned());
        ip(format!("addr add {POD}/24 dev eth0"));
        node.process(1, "0::/init.scope", &node.own);
        let cgroup = format!("0::/kubepods/besteffort/pod{UID}/abc");
        node.process(100, &cgroup, &node.pod);
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn process(&self, number: u32, cgroup: &str, netns: &Netns) {
        let directory = self.path("proc").join(number.to_string());
        fs::create_dir_all(directory.join("ns")).expect("a directory");
        fs::write(directory.join("cgroup"), cgroup).expect("a file");
        symlink(path_of(netns), directory.join("ns/net")).expect("a link");
        symlink("/", directory.join("root")).expect("a link");
    }

    /// Starts a process of Weft, beside another or after it.
    fn start(&self, control_plane: &ControlPlane, instance: &str) -> Agent {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::write(self.path("root.pem"), control_plane.root_pem()).expect("a file");
        fs::write(self.path("token"), TOKEN).expect("a file");
        let path = |name: &str| self.path(name).display().to_string();
        let arguments = [
            ("name", "n1".to_owned()),
            ("instance", instance.to_owned()),
            ("service-account", "weft-node".to_owned()),
            ("control-plane", "127.0.0.1".to_owned()),
            ("config-port", control_plane.config.port().to_string()),
            ("identity-port", control_plane.signing.port().to_string()),
            ("root-file", path("root.pem")),
            ("token-file", path("token")),
            ("state-dir", path("state")),
            ("cni-socket", path("run/cni.sock")),
            ("namespaces-file", path("cni/namespaces.json")),
            ("proc", path("proc")),
            ("host-process", "1".to_owned()),
            ("admin", admin.to_string()),
            ("drain-limit", "5".to_owned()),
            ("log-format", "text".to_owned()),
        ];
        let arguments = arguments.map(|(name, value)| format!("--{name}={value}"));
        let child = Command::new(binary::directory().join("weft-proxy"))
            .arg("node")
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("`weft-proxy` starts");
        Agent { child, admin }
    }

    /// What the plugin is told.
    async fn ask(&self, op: Operation) -> Reply {
        let request = Request {
            v: VERSION,
            op,
            netns: Some(path_of(&self.pod)),
            container: "abc".to_owned(),
            ifname: "eth0".to_owned(),
            pod: "web".to_owned(),
            namespace: "shop".to_owned(),
            uid: UID.to_owned(),
            ips: vec![POD.into()],
        };
        let socket = self.path("run/cni.sock");
        let asking = tokio::task::spawn_blocking(move || {
            let stream = UnixStream::connect(socket).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            handoff::write(&request, &stream).expect("it reads");
            handoff::read(&stream).expect("it answers")
        });
        asking.await.expect("it does not panic")
    }

    /// Whether somebody listens for tunnels in the pod.
    fn listens(&self) -> bool {
        let dial = || std::net::TcpStream::connect((POD, 15008)).is_ok();
        self.pod.within(dial).expect("it can be entered")
    }
}

impl Agent {
    async fn page(&self, path: &str) -> Option<(u16, String)> {
        let tcp = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let mut client = RawClient::over(tcp);
        let lines = format!("GET {path} HTTP/1.1\nhost: localhost\nconnection: close");
        let answer = client.ask(&lines).await;
        Some((answer.status, answer.text()))
    }

    async fn says(&self, path: &str, status: u16, words: &str) {
        let mut last = None;
        let waiting = async {
            loop {
                last = self.page(path).await;
                let says = |(found, text): &(u16, String)| *found == status && text.contains(words);
                if last.as_ref().is_some_and(says) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            said.is_ok(),
            "{path} does not say {status} `{words}`: {last:?}"
        );
    }

    async fn ends(&mut self) {
        let number = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let number = number.expect("a process has a number");
        kill_process(number, Signal::TERM).expect("it is asked to end");
        let has_ended = || self.child.try_wait().expect("its status").is_some();
        eventually(PATIENCE, "the process ends", has_ended).await;
        let status = self.child.wait().expect("its status");
        assert!(status.success(), "it was asked to end: {status}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Where others find a namespace, while this process has it.
fn path_of(netns: &Netns) -> PathBuf {
    let descriptor = netns.as_fd().as_raw_fd();
    format!("/proc/{}/fd/{descriptor}", std::process::id()).into()
}

/// One member on the node, of one namespace that is of the mesh.
fn configuration() -> Configuration {
    let workload = serde_json::json!({
        "name": { "namespace": "shop", "name": "web" },
        "uid": UID,
        "node": "n1",
        "serviceAccount": "web",
        "addresses": [IpAddr::from(POD)],
        "isMember": true,
    });
    let workload: Workload = serde_json::from_value(workload).expect("a pod");
    let pods = BTreeMap::from([(Name::new("shop", "web"), Arc::new(workload))]);
    Configuration {
        workloads: Arc::new(BTreeMap::from([("n1".into(), Arc::new(pods))])),
        namespaces: Arc::new(BTreeSet::from(["shop".into()])),
        ..Configuration::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_its_pods_and_goes_on_without_a_control_plane() {
    if !can_make_namespaces() {
        return;
    }
    let node = Node::new();
    let mut control_plane = ControlPlane::start_of_node().await;
    let agent = node.start(&control_plane, "u-1");
    agent
        .says("/readyz", 503, "waiting for the control plane")
        .await;
    let generation = control_plane.publish_whole(&configuration());
    agent.says("/readyz", 200, "ok").await;
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        control_plane.token(),
        Some(bearer),
        "the token says which node"
    );
    assert_eq!(node.ask(Operation::Add).await, Reply::Ok {});
    assert!(node.listens(), "the pod starts with its listeners");
    assert!(
        control_plane.has_signed(IDENTITY, UID),
        "and with its certificate"
    );
    let is_told = || {
        control_plane
            .pod(UID)
            .is_some_and(|it| it.captured() == Capture::Done)
    };
    eventually(
        PATIENCE,
        "the control plane hears that it is captured",
        is_told,
    )
    .await;
    let has_it = || control_plane.standing().generation == Some(generation);
    eventually(PATIENCE, "the node has the configuration", has_it).await;
    let captured = "weft_pod_captured{namespace=\"shop\",pod=\"web\"} 1";
    agent.says("/metrics", 200, captured).await;
    let saved = node.path("state/configuration.weft");
    eventually(PATIENCE, "it is saved", || saved.exists()).await;
    let mode = fs::metadata(&saved)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");

    control_plane.go_away().await;
    drop(agent);
    eventually(PATIENCE, "its listeners go with the process", || {
        !node.listens()
    })
    .await;
    let agent = node.start(&control_plane, "u-2");
    agent.says("/readyz", 200, "ok").await;
    // It is found by its process, and captured although nobody signs for it now.
    agent.says("/metrics", 200, captured).await;
    assert_eq!(node.ask(Operation::Check).await, Reply::Ok {});
    assert!(node.listens());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_follows_another_and_nobody_is_refused() {
    if !can_make_namespaces() {
        return;
    }
    let node = Node::new();
    let control_plane = ControlPlane::start_of_node().await;
    control_plane.publish_whole(&configuration());
    let mut old = node.start(&control_plane, "u-1");
    old.says("/readyz", 200, "ok").await;
    assert_eq!(node.ask(Operation::Add).await, Reply::Ok {});
    // A client that says nothing, so that the drain is cut short by its limit.
    let dial = || std::net::TcpStream::connect((POD, 15008));
    let dialled = node.pod.within(dial).expect("it can be entered");
    let _silent = dialled.expect("somebody listens");
    let mut new = node.start(&control_plane, "u-2");
    let captured = "weft_pod_captured{namespace=\"shop\",pod=\"web\"} 1";
    new.says("/metrics", 200, captured).await;
    assert!(node.listens(), "while there are two");
    old.ends().await;
    assert!(node.listens(), "when there is the new one only");
    assert_eq!(node.ask(Operation::Check).await, Reply::Ok {});
    new.ends().await;
}
