//! Two pods on a cable, and the processes of a node as the supervisor finds them.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use weft_intercept::Netns;
use weft_spiffe::SpiffeId;

/// What never takes long; waiting for it only ends a test that fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether network namespaces can be made. Without root the tests say so and do nothing, but for a CI
/// machine, which has to be able to.
pub(super) fn can_make_namespaces() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        is_root || !is_ci,
        "CI=true allows no skips: run this test as root"
    );
    if !is_root {
        let line = "skipped: network namespaces are made by root; run `sudo -E cargo test`\n";
        let _ = io::stderr().write_all(line.as_bytes());
    }
    is_root
}

/// A pod.
pub(super) struct Pod {
    pub(super) netns: Netns,
    pub(super) ip: IpAddr,
    pub(super) ipv6: IpAddr,
    pub(super) uid: String,
    /// Of its account.
    pub(super) identity: SpiffeId,
}

/// Two pods of a node, which reach each other and nobody else.
pub(super) struct Node {
    pub(super) web: Pod,
    pub(super) cart: Pod,
    /// The namespace of the node itself.
    pub(super) own: Netns,
    directory: TempDir,
}

impl Node {
    pub(super) fn new() -> Self {
        let pod = |number: u8, account: &str| Pod {
            netns: Netns::scratch().expect("root makes namespaces"),
            ip: IpAddr::from([10, 78, 0, number]),
            ipv6: IpAddr::from([0xfd78, 0, 0, 0, 0, 0, 0, number.into()]),
            uid: format!("0c5a1f6e-8d3b-4b0e-9a57-0000000000{number:02}"),
            identity: format!("spiffe://cluster.local/ns/shop/sa/{account}")
                .parse()
                .expect("an identity"),
        };
        let node = Self {
            web: pod(2, "web"),
            cart: pod(3, "cart"),
            own: Netns::scratch().expect("root makes namespaces"),
            directory: tempfile::tempdir().expect("a directory"),
        };
        let other = path_of(&node.cart.netns);
        let link = format!(
            "link add eth0 type veth peer name eth0 netns {}",
            other.display()
        );
        run(&node.web.netns, &link);
        for (pod, peer) in [(&node.web, &node.cart), (&node.cart, &node.web)] {
            for command in [
                "link set lo up",
                "link set eth0 up",
                &format!("addr add {}/24 dev eth0", pod.ip),
                &format!("addr add {}/64 dev eth0 nodad", pod.ipv6),
                &format!("route add default via {}", peer.ip),
            ] {
                run(&pod.netns, command);
            }
        }
        node.process(1, "0::/init.scope", &node.own);
        node
    }

    /// A file of the node.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The processes of the node.
    pub(super) fn proc(&self) -> PathBuf {
        self.path("proc")
    }

    /// The pod has a process, as far as the node shows.
    pub(super) fn runs(&self, number: u32, pod: &Pod) {
        let cgroup = format!("0::/kubepods/besteffort/pod{}/abc", pod.uid);
        self.process(number, &cgroup, &pod.netns);
    }

    fn process(&self, number: u32, cgroup: &str, netns: &Netns) {
        let directory = self.proc().join(number.to_string());
        fs::create_dir_all(directory.join("ns")).expect("a directory");
        fs::write(directory.join("cgroup"), cgroup).expect("a file");
        symlink(path_of(netns), directory.join("ns/net")).expect("a link");
    }
}

/// Where others find a namespace, while this process has it.
pub(super) fn path_of(netns: &Netns) -> PathBuf {
    let descriptor = netns.as_fd().as_raw_fd();
    Path::new("/proc")
        .join(std::process::id().to_string())
        .join("fd")
        .join(descriptor.to_string())
}

fn run(netns: &Netns, command: &str) {
    let output = within(netns, || {
        Command::new("ip").args(command.split(' ')).output()
    });
    let output = output.unwrap_or_else(|error| panic!("ip: {error}; install iproute2"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {command}: {errors}");
}

pub(super) fn within<T: Send>(netns: &Netns, work: impl FnOnce() -> T + Send) -> T {
    netns.within(work).expect("the namespace can be entered")
}

impl Pod {
    /// Its addresses.
    pub(super) fn ips(&self) -> [IpAddr; 2] {
        [self.ip, self.ipv6]
    }

    /// An application of the pod that listens.
    pub(super) fn listen(&self, port: u16) -> TcpListener {
        self.listen_at(SocketAddr::new(self.ip, port))
    }

    /// One that listens on this address.
    pub(super) fn listen_at(&self, address: SocketAddr) -> TcpListener {
        within(&self.netns, || TcpListener::bind(address)).expect("the port is free")
    }

    /// An application of the pod that dials.
    pub(super) fn dial(&self, to: SocketAddr) -> io::Result<TcpStream> {
        within(&self.netns, || {
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        })
    }

    /// Where it serves a port.
    pub(super) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }
}

/// Whether something of which nobody tells becomes so.
pub(super) fn becomes(is_so: impl Fn() -> bool) -> bool {
    // Nobody ever says anything here; waiting for it is a pause.
    let (_never, pause) = std::sync::mpsc::sync_channel::<()>(1);
    let mut pauses = std::iter::repeat_n(Duration::from_millis(20), 500);
    pauses.any(|for_long| pause.recv_timeout(for_long).is_err() && is_so())
}
