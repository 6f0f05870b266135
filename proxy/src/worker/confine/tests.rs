//! What a confined thread can do and what not.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{Work, filters};

/// Does it in a thread of its own, which is confined first.
fn confined<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    confined_to(Work::Gateway, act)
}

fn confined_to<T: Send>(work: Work, act: impl FnOnce() -> T + Send) -> T {
    let run = || {
        for filter in filters(work).expect("filters for this processor") {
            seccompiler::apply_filter(&filter).expect("the kernel takes it");
        }
        act()
    };
    thread::scope(|scope| scope.spawn(run).join()).expect("the thread ends")
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut asked = [0; 4];
    stream.read_exact(&mut asked)?;
    stream.write_all(&asked)
}

#[test]
fn what_serving_takes_is_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("its address");
    let endpoint = thread::spawn(move || serve(&listener));
    let answer = confined(|| -> io::Result<[u8; 4]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.write_all(b"ping")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        thread::sleep(Duration::from_millis(1));
        let memory = vec![1_u8; 8 << 20];
        let random: HashMap<u8, u8> = memory.iter().map(|byte| (*byte, *byte)).collect();
        assert_eq!(random.len(), 1);
        thread::Builder::new()
            .name("another".to_owned())
            .spawn(|| ())?
            .join()
            .map_err(|_panicked| io::Error::other("the thread panicked"))?;
        Ok(answer)
    });
    assert_eq!(answer.expect("everything is allowed"), *b"ping");
    endpoint.join().expect("it ends").expect("it is asked");
}

#[test]
fn what_it_does_not_take_is_refused() {
    let readable = std::env::current_exe().expect("this very test");
    type Act<'a> = Box<dyn FnOnce() -> io::Result<()> + Send + 'a>;
    let rows: [(&str, Act<'_>); 9] = [
        (
            "read a file",
            Box::new(|| fs::File::open(&readable).map(drop)),
        ),
        (
            "write a file",
            Box::new(|| fs::write(std::env::temp_dir().join("weft-confined"), "")),
        ),
        ("list a folder", Box::new(|| fs::read_dir("/").map(drop))),
        (
            "start a program",
            Box::new(|| Command::new("/bin/true").spawn().map(drop)),
        ),
        (
            "listen",
            Box::new(|| TcpListener::bind("127.0.0.1:0").map(drop)),
        ),
        (
            "use UDP",
            Box::new(|| UdpSocket::bind("127.0.0.1:0").map(drop)),
        ),
        (
            "talk to a daemon of the node",
            Box::new(|| UnixStream::connect("/run/containerd/containerd.sock").map(drop)),
        ),
        (
            "signal its parent",
            Box::new(|| {
                let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
                rustix::process::test_kill_process(parent)?;
                Ok(())
            }),
        ),
        (
            "take the handle of another process",
            Box::new(|| {
                let flags = rustix::process::PidfdFlags::empty();
                rustix::process::pidfd_open(rustix::process::getpid(), flags)?;
                Ok(())
            }),
        ),
    ];
    for (row, act) in rows {
        let kind = confined(act).map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::PermissionDenied), "{row}");
    }
}

#[test]
fn a_worker_of_pods_makes_no_socket_and_binds_those_it_is_given() {
    let given = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let to: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let (made, bound) = confined_to(Work::Pods, || {
        let made = Socket::new(Domain::IPV4, Type::STREAM, None);
        (made.map(drop), given.bind(&to.into()))
    });
    assert!(made.is_err(), "sockets are the supervisor's to make");
    bound.expect("what was given is bound");
}
