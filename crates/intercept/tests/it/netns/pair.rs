//! Two network namespaces and a cable between them: a pod, and everybody else.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use weft_intercept::{
    Netns,
    capture::{self, Family, Report, Settings},
    sockets::{self, Listener, Purpose},
};

/// What never takes long; waiting for it only ends a test that fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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

/// A pod and a peer in another namespace, one hop away.
pub(super) struct Pair {
    pub(super) pod: Netns,
    pub(super) peer: Netns,
    pub(super) settings: Settings,
}

/// Which addresses the two have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stack {
    Dual,
    /// IPv6 is switched off in the pod.
    V4,
}

impl Pair {
    pub(super) fn new(stack: Stack) -> Self {
        let make = || Netns::scratch().expect("root makes namespaces");
        let pair = Self {
            pod: make(),
            peer: make(),
            settings: Settings::default(),
        };
        let pod = format!("/proc/{}/fd/{}", std::process::id(), descriptor(&pair.pod));
        let link = format!("link add peer0 type veth peer name eth0 netns {pod}");
        run(&pair.peer, &["link set lo up", &link, "link set peer0 up"]);
        if stack == Stack::V4 {
            within(&pair.pod, || {
                let path = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
                std::fs::write(path, "1").expect("root switches IPv6 off");
            });
        }
        // The strictest that distributions have: packets whose answers would leave elsewhere are dropped.
        within(&pair.pod, || {
            let path = "/proc/sys/net/ipv4/conf/all/rp_filter";
            std::fs::write(path, "1").expect("root sets it");
        });
        run(&pair.pod, &["link set eth0 up"]);
        for family in pair.families(stack) {
            let (pod, peer) = (pair.pod(family), pair.peer(family));
            let bits = if family == Family::V4 { 24 } else { 64 };
            let address = |ip: IpAddr, device: &str| match family {
                Family::V4 => format!("addr add {ip}/{bits} dev {device}"),
                Family::V6 => format!("addr add {ip}/{bits} dev {device} nodad"),
            };
            run(&pair.pod, &[&address(pod, "eth0")]);
            run(&pair.peer, &[&address(peer, "peer0")]);
            // A Service address lies beyond the peer, which answers for it.
            run(&pair.pod, &[&format!("route add default via {peer}")]);
        }
        pair
    }

    pub(super) fn families(&self, stack: Stack) -> Vec<Family> {
        match stack {
            Stack::Dual => Family::ALL.to_vec(),
            Stack::V4 => vec![Family::V4],
        }
    }

    pub(super) fn pod(&self, family: Family) -> IpAddr {
        ip(family, "10.77.0.2", "fd77::2")
    }

    pub(super) fn peer(&self, family: Family) -> IpAddr {
        ip(family, "10.77.0.1", "fd77::1")
    }

    /// Listeners first, rules then, as the supervisor does it.
    pub(super) fn enrol(&self) -> Vec<Listener> {
        let listeners = sockets::listen(&self.pod).expect("the ports are free");
        self.apply();
        listeners
    }

    pub(super) fn apply(&self) -> Report {
        capture::apply(&self.pod, &self.settings).expect("the pod is captured")
    }

    pub(super) fn inspect(&self) -> Report {
        capture::inspect(&self.pod, &self.settings).expect("the pod can be asked")
    }

    /// An application or a peer that listens, on every address of its family.
    pub(super) fn listener(&self, netns: &Netns, family: Family, port: u16) -> TcpListener {
        let any = SocketAddr::new(ip(family, "0.0.0.0", "::"), port);
        let listen = || -> io::Result<TcpListener> {
            let socket = Socket::new(Domain::for_address(any), Type::STREAM, None)?;
            if family == Family::V6 {
                socket.set_only_v6(true)?;
            }
            socket.bind(&any.into())?;
            socket.listen(16)?;
            Ok(socket.into())
        };
        within(netns, listen).expect("the port is free")
    }

    /// A connection from a namespace, with the time limit of [`PATIENCE`].
    pub(super) fn connect(&self, netns: &Netns, to: SocketAddr) -> io::Result<TcpStream> {
        within(netns, || {
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        })
    }
}

fn descriptor(netns: &Netns) -> i32 {
    use std::os::fd::AsFd;
    netns.as_fd().as_raw_fd()
}

fn ip(family: Family, v4: &str, v6: &str) -> IpAddr {
    let text = if family == Family::V4 { v4 } else { v6 };
    text.parse().expect("an address")
}

pub(super) fn within<T: Send>(netns: &Netns, work: impl FnOnce() -> T + Send) -> T {
    netns.within(work).expect("the namespace can be entered")
}

/// Commands of `ip`, without its name.
pub(super) fn run(netns: &Netns, commands: &[&str]) {
    for command in commands {
        tool(netns, "ip", command);
    }
}

/// What a program prints in a namespace.
pub(super) fn tool(netns: &Netns, program: &str, arguments: &str) -> String {
    let output = within(netns, || {
        let arguments = arguments.split(' ');
        Command::new(program).args(arguments).output()
    });
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; install it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The listener of a purpose and family.
pub(super) fn of(listeners: &[Listener], purpose: Purpose, family: Family) -> &TcpListener {
    let found = listeners
        .iter()
        .find(|it| it.purpose == purpose && it.family == family);
    &found.expect("the pod has this listener").socket
}

/// Accepts within [`PATIENCE`], also on a listener that does not block.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = SockRef::from(listener);
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (stream, from) = listener.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok((stream, from))
}

/// Whether nothing waits in a listener: nobody was captured, once what was dialled has been accepted
/// elsewhere.
pub(super) fn is_empty(listener: &TcpListener) -> bool {
    let socket = SockRef::from(listener);
    socket.set_nonblocking(true).expect("a socket can be set");
    let accepted = listener.accept();
    accepted.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Says something each way.
pub(super) fn round_trip(one: &mut TcpStream, other: &mut TcpStream) -> io::Result<()> {
    for (from, to) in [(true, b"ping"), (false, b"pong")] {
        let (writer, reader) = if from {
            (&mut *one, &mut *other)
        } else {
            (&mut *other, &mut *one)
        };
        writer.write_all(to)?;
        let mut said = [0; 4];
        reader.read_exact(&mut said)?;
        if said != *to {
            return Err(io::Error::other("something else arrived"));
        }
    }
    Ok(())
}

/// Connects a socket that does not block, and waits until it is done.
pub(super) fn dial(socket: Socket, to: SocketAddr) -> Receiver<io::Result<TcpStream>> {
    let (send, receive) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let connect = || {
            socket.set_nonblocking(false)?;
            socket.connect_timeout(&to.into(), PATIENCE)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket.into())
        };
        let _ = send.send(connect());
    });
    receive
}

pub(super) fn finished(dial: &Receiver<io::Result<TcpStream>>) -> io::Result<TcpStream> {
    dial.recv_timeout(2 * PATIENCE).map_err(io::Error::other)?
}
