//! A supervisor whose workers are processes: what pods dial and what is dialled to them is carried, by
//! whom may carry it, and nobody notices when a worker is killed.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use weft_tests::netns::{PATIENCE, becomes, can_make_namespaces, within};

use super::{
    pair::Pair,
    running::{Running, roster},
};

/// An application that reads to the end and then answers with the same, and says who called.
pub(super) fn echo(listener: TcpListener) -> mpsc::Receiver<SocketAddr> {
    let (callers, called) = mpsc::channel(1024);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let callers = callers.clone();
            thread::spawn(move || {
                let mut heard = Vec::new();
                let from = stream.peer_addr().expect("it is connected");
                if stream.read_to_end(&mut heard).is_ok() {
                    let _gone = stream.write_all(&heard);
                }
                let _full = callers.try_send(from);
            });
        }
    });
    called
}

/// Says something, ends its direction, and hears the answer.
pub(super) fn ask(mut stream: TcpStream) -> io::Result<()> {
    let said = vec![7; 300_000];
    let mut writer = stream.try_clone()?;
    let writing = thread::spawn(move || {
        writer.write_all(&vec![7; 300_000])?;
        writer.shutdown(Shutdown::Write)
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    let written = writing.join();
    written.map_err(|_panicked| io::Error::other("the writer panicked"))??;
    if heard == said {
        Ok(())
    } else {
        let text = format!("{} bytes came back of {}", heard.len(), said.len());
        Err(io::Error::other(text))
    }
}

/// The workers of this name that this process has.
fn workers(shard: &str) -> Vec<Pid> {
    let own = std::process::id().to_string();
    let is_worker = |path: &Path| {
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let status = read("status");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
        parent == Some(own.as_str()) && read("cmdline").contains(&format!("--name={shard}\0"))
    };
    let processes = fs::read_dir("/proc").expect("a proc file system");
    let processes = processes.filter_map(|entry| Some(entry.ok()?.path()));
    let number = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
    let workers = processes.filter(|path| is_worker(path)).filter_map(number);
    workers.filter_map(Pid::from_raw).collect()
}

#[test]
fn connections_are_carried_with_their_source_and_their_ends() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let mut called = echo(pair.cart.listen(80));
    let members = [(&pair.web, "carry", false), (&pair.cart, "receive", false)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    for _ in 0..3 {
        let stream = pair.web.dial(pair.cart.at(80)).expect("it is carried");
        ask(stream).expect("everything arrives, and the end of each direction");
        let from = called.blocking_recv().expect("the application was called");
        assert_eq!(from.ip(), pair.web.ip, "the application sees who called");
    }
    let workers = [workers("carry"), workers("receive")].concat();
    for pid in &workers {
        let path = format!("/proc/{}/status", pid.as_raw_nonzero());
        let status = fs::read_to_string(path).expect("it runs");
        for expected in [
            "Uid:\t65534\t65534",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ] {
            assert!(status.contains(expected), "{expected}: {status}");
        }
    }
    assert_eq!(workers.len(), 2, "a worker for each shard");
}

#[test]
fn more_connections_at_once_than_sockets_are_kept_are_carried() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let _called = echo(pair.cart.listen(80));
    let members = [(&pair.web, "burst", false), (&pair.cart, "burst", false)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    let dial = |_| pair.web.dial(pair.cart.at(80)).expect("it is carried");
    let streams: Vec<TcpStream> = (0..200).map(dial).collect();
    for stream in streams {
        ask(stream).expect("each has a socket in time");
    }
}

#[test]
fn what_may_not_be_carried_is_reset() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let _called = echo(pair.cart.listen(80));
    let members = [(&pair.web, "strict", true), (&pair.cart, "strict", true)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    let ask_plainly = || pair.web.dial(pair.cart.at(80)).and_then(ask);
    ask_plainly().expect("it ran before, and peers may not know yet that it is a member");
    let is_refused = || ask_plainly().is_err();
    assert!(becomes(is_refused), "plaintext to a strict pod is refused");
    for (row, to) in [
        ("plaintext to a strict pod", pair.cart.at(80)),
        ("a port where nobody listens", pair.cart.at(81)),
        ("a port of the mesh in another pod", pair.cart.at(15001)),
        ("a port of the mesh in the pod itself", pair.web.at(15006)),
    ] {
        let error = pair.web.dial(to).and_then(ask).expect_err(row);
        let kinds = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::BrokenPipe,
        ];
        assert!(kinds.contains(&error.kind()), "{row}: {error}");
    }
}

#[test]
fn nobody_is_refused_while_workers_are_killed() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let _called = echo(pair.cart.listen(80));
    let members = [(&pair.web, "kill", false), (&pair.cart, "kill", false)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    let (ends, begun, unconnected) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let client = {
        let to = pair.cart.at(80);
        let netns = Arc::clone(&pair.web.netns);
        let (ends, begun, unconnected) = (ends.clone(), begun.clone(), unconnected.clone());
        thread::spawn(move || {
            within(&netns, || {
                while !ends.load(SeqCst) {
                    begun.fetch_add(1, SeqCst);
                    match TcpStream::connect_timeout(&to, PATIENCE) {
                        // What is under way in a worker that is killed is lost with it.
                        Ok(stream) => {
                            drop(stream.set_read_timeout(Some(PATIENCE)).and(ask(stream)))
                        }
                        Err(_) => drop(unconnected.fetch_add(1, SeqCst)),
                    }
                }
            });
        })
    };
    let mut killed = 0;
    while killed < 3 {
        let before = begun.load(SeqCst);
        for pid in workers("kill") {
            kill_process(pid, Signal::KILL).expect("it is ours");
            killed += 1;
        }
        // The next one serves.
        let mut patience = 500;
        while begun.load(SeqCst) < before + 5 && patience > 0 {
            patience -= 1;
            thread::park_timeout(Duration::from_millis(20));
        }
        assert!(patience > 0, "connections go on after {killed} kills");
    }
    ends.store(true, SeqCst);
    client.join().expect("the client ends");
    assert_eq!(unconnected.load(SeqCst), 0, "connections were refused");
    let stream = pair.web.dial(pair.cart.at(80)).expect("it is carried");
    ask(stream).expect("the worker that follows serves as the first did");
}

#[test]
fn connections_go_on_while_their_pod_leaves() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let _called = echo(pair.cart.listen(80));
    let members = [(&pair.web, "leave", false), (&pair.cart, "stay", false)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    let stream = pair.web.dial(pair.cart.at(80)).expect("it is carried");
    let stays = [(&pair.cart, "stay", false)];
    running.roster.send_replace(Some(Arc::new(roster(&stays))));
    running.captures(1);
    ask(stream).expect("what was captured before is carried to its end");
    let stream = pair.web.dial(pair.cart.at(80)).expect("nobody is between");
    ask(stream).expect("it goes to the other pod as if there was no mesh");
}

/// The worker's dials, in the name of a peer, get the port of a connection that the peer has had since
/// before there was a mesh.
#[test]
fn a_connection_from_before_goes_on_beside_those_that_are_carried() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let mut called = echo(pair.cart.listen(80));
    let (from, to) = (SocketAddr::new(pair.web.ip, 40_000), pair.cart.at(80));
    let direct = within(&pair.web.netns, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&from.into())?;
        socket.connect(&to.into())?;
        Ok::<TcpStream, io::Error>(socket.into())
    });
    let direct = direct.expect("nobody is between");
    within(&pair.cart.netns, || {
        let path = "/proc/sys/net/ipv4/ip_local_port_range";
        fs::write(path, "40000 40001").expect("root sets it");
    });
    let members = [(&pair.web, "beside", false), (&pair.cart, "beside", false)];
    let mut running = Running::start(&pair.node, roster(&members));
    running.captures(2);
    let stream = pair.web.dial(to).expect("it is carried");
    ask(stream).expect("the worker has a port to dial with");
    let seen = called.blocking_recv().expect("the application was called");
    assert_eq!(seen.ip(), from.ip(), "the application sees who called");
    // The worker has chosen 40000, which the application sees as another one; 40001 nobody has chosen.
    let ports = [from.port(), from.port() + 1];
    assert!(!ports.contains(&seen.port()), "a port of its own: {seen}");
    ask(direct).expect("it goes on as before");
    assert_eq!(called.blocking_recv(), Some(from), "past the worker");
}
