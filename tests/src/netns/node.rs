//! A node and its pods: namespaces on a bridge, and the processes as a supervisor finds them.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use tempfile::TempDir;
use weft_intercept::{
    Netns,
    handoff::{self, Operation, Reply, Request, VERSION},
};
use weft_spiffe::SpiffeId;

use super::{PATIENCE, ip, path_of, within};
use crate::wait::Expected;

/// A node. Its pods reach each other and nobody else.
#[derive(Debug)]
pub struct Node {
    /// The namespace of the node itself, which is the way out for its pods.
    pub own: Netns,
    directory: TempDir,
    /// How many addresses are taken.
    pods: AtomicU8,
}

/// A pod.
#[derive(Debug)]
pub struct Pod {
    /// Its network.
    pub netns: Arc<Netns>,
    /// Its namespace in the cluster.
    pub namespace: String,
    /// Its name in there.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// The other one.
    pub ipv6: IpAddr,
    /// What tells it from every other pod there ever was.
    pub uid: String,
    /// Of its account.
    pub identity: SpiffeId,
}

impl Node {
    /// A node without pods, and with one process, number 1.
    ///
    /// # Panics
    /// When this process is not root.
    #[must_use]
    pub fn new() -> Self {
        let node = Self {
            own: Netns::scratch().expected("a namespace"),
            directory: tempfile::tempdir().expected("a directory"),
            pods: AtomicU8::new(1),
        };
        // Workers are other users and write here what they say.
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(node.directory.path(), everybody).expected("a directory of our own");
        let commands = [
            "link set lo up".to_owned(),
            "link add br0 type bridge mcast_snooping 0".to_owned(),
            "link set br0 up".to_owned(),
            format!("addr add {}/24 dev br0", v4(1)),
            format!("addr add {}/64 dev br0 nodad", v6(1)),
        ];
        ip(&node.own, &commands);
        node.process(1, "0::/init.scope", &node.own);
        node
    }

    /// Another pod in the namespace `shop`, called by the name of its account.
    ///
    /// # Panics
    /// When there are 253 of them, and when the kernel makes none.
    #[must_use]
    pub fn pod(&self, account: &str) -> Pod {
        self.pod_of("shop", account, account)
    }

    /// Another pod.
    ///
    /// # Panics
    /// As [`Node::pod`].
    #[must_use]
    pub fn pod_of(&self, namespace: &str, name: &str, account: &str) -> Pod {
        let number = self.pods.fetch_add(1, Relaxed) + 1;
        assert!(number < u8::MAX, "the network of the node is full");
        let netns = Netns::scratch().expected("a namespace");
        let other = path_of(&netns);
        let cable = format!(
            "link add veth{number} type veth peer name eth0 netns {}",
            other.display()
        );
        let ours = [
            cable,
            format!("link set veth{number} master br0"),
            format!("link set veth{number} up"),
        ];
        ip(&self.own, &ours);
        let theirs = [
            "link set lo up".to_owned(),
            "link set eth0 up".to_owned(),
            format!("addr add {}/24 dev eth0", v4(number)),
            format!("addr add {}/64 dev eth0 nodad", v6(number)),
            format!("route add default via {}", v4(1)),
            format!("route add default via {} dev eth0", v6(1)),
        ];
        ip(&netns, &theirs);
        let id = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        Pod {
            netns: Arc::new(netns),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ip: v4(number).into(),
            ipv6: v6(number).into(),
            uid: format!("0c5a1f6e-8d3b-4b0e-9a57-{number:012}"),
            identity: id.parse().expected("an identity"),
        }
    }

    /// A file of the node.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The processes of the node.
    #[must_use]
    pub fn proc(&self) -> PathBuf {
        self.path("proc")
    }

    /// The pod has a process of this number, as far as the node shows.
    ///
    /// # Panics
    /// When another one has it.
    pub fn runs(&self, number: u32, pod: &Pod) {
        let cgroup = format!("0::/kubepods/besteffort/pod{}/abc", pod.uid);
        self.process(number, &cgroup, &pod.netns);
    }

    fn process(&self, number: u32, cgroup: &str, netns: &Netns) {
        let directory = self.proc().join(number.to_string());
        fs::create_dir_all(directory.join("ns")).expected("a directory");
        fs::write(directory.join("cgroup"), cgroup).expected("a file");
        symlink(path_of(netns), directory.join("ns/net")).expected("a link");
        symlink(Path::new("/"), directory.join("root")).expected("a link");
    }

    /// Asks the supervisor of the node what the plugin asks when a pod starts or ends; waits for the
    /// answer.
    ///
    /// # Panics
    /// When no supervisor listens, or none answers.
    #[must_use]
    pub fn ask(&self, op: Operation, pod: &Pod) -> Reply {
        let request = Request {
            v: VERSION,
            op,
            netns: Some(path_of(&pod.netns)),
            container: "abc".to_owned(),
            ifname: "eth0".to_owned(),
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            uid: pod.uid.clone(),
            ips: pod.ips().to_vec(),
        };
        let stream = UnixStream::connect(self.path("run/cni.sock")).expected("a supervisor");
        let limited = stream.set_read_timeout(Some(PATIENCE));
        limited.expected("a limit");
        handoff::write(&request, &stream).expected("it reads");
        handoff::read(&stream).expected("it answers")
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Pod {
    /// Its addresses.
    #[must_use]
    pub fn ips(&self) -> [IpAddr; 2] {
        [self.ip, self.ipv6]
    }

    /// Where it serves a port.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    /// An application of the pod that listens.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn listen(&self, port: u16) -> TcpListener {
        self.listen_at(self.at(port))
    }

    /// One that listens on this address.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn listen_at(&self, address: SocketAddr) -> TcpListener {
        within(&self.netns, || TcpListener::bind(address)).expected("a port of the pod")
    }

    /// An application of the pod that dials.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dial(&self, to: SocketAddr) -> io::Result<TcpStream> {
        within(&self.netns, || {
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        })
    }
}

fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, 0, number)
}

fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, number.into())
}
