//! The bench itself: back-ends on one core, one proxy at a time on the other.

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::certificate::Certificate;
use super::client::{self, loopback};
use super::figures::{Sample, Table};
use super::load::{self, Target};
use super::machine::{LOAD_CORE, PROXY_CORE};
use super::peers::{self, Backends, Change, Edit, Peer, Place, Role};
use super::process::Running;
use super::tools::Programs;
use super::usage;
use crate::clock;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Length of one measurement.
    pub(crate) secs: u64,
    /// Measurements per peer, of which the median counts.
    pub(crate) runs: usize,
    /// Length of each measurement under changes.
    pub(crate) churn_secs: u64,
}

/// Below the range the kernel takes outgoing ports from, so that no connection has one of these.
const FIRST_PORT: u16 = 18_000;
const LAST_PORT: u16 = 32_000;
/// Longest wait for a proxy to serve; ten thousand routes take some seconds.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Rest between the end of a start and the look at memory.
pub(super) const SETTLE: Duration = Duration::from_millis(500);
/// A proxy that uses less of its core has nothing to do.
const IDLE_SHARE: f64 = 0.03;

/// Everything that lives as long as a benchmark.
pub(crate) struct Lab {
    pub(crate) plan: Plan,
    pub(crate) peers: Vec<Peer>,
    pub(crate) programs: Programs,
    pub(crate) backends: Backends,
    /// Runs that failed, and why.
    failures: RefCell<Vec<String>>,
    next_port: Cell<u16>,
    next_place: Cell<usize>,
    pub(crate) certificate: Certificate,
    // Dropped in this order: processes, then their files.
    http1: Running,
    http2: Running,
    directory: TempDir,
}

/// A proxy that serves.
pub(crate) struct Proxy<'l> {
    pub(crate) peer: Peer,
    pub(crate) place: Place<'l>,
    /// Process whose tree is measured.
    pub(crate) root: u32,
    /// From the start of the process to its first right answer.
    pub(crate) start_secs: f64,
    running: Option<Running>,
    is_tls: bool,
}

impl Lab {
    /// Starts the back-ends.
    ///
    /// # Errors
    /// When one does not come up.
    pub(crate) fn open(plan: Plan, peers: Vec<Peer>, programs: Programs) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            Path::new("/tmp")
        };
        let directory = tempfile::Builder::new()
            .prefix("weft-bench-")
            .tempdir_in(parent)
            .context("cannot make a directory for the benchmark")?;
        // nginx's workers are another user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let certificate = Certificate::make(directory.path())?;
        let next_port = Cell::new(FIRST_PORT);
        let backends = Backends {
            http1: free_port(&next_port)?,
            http1_other: free_port(&next_port)?,
            http2: free_port(&next_port)?,
        };
        let ports = [backends.http1, backends.http1_other];
        let command = backend_command(&programs, &ports.map(loopback));
        let http1 = start_backend(&command, directory.path(), "http1", backends.http1)?;
        let file = directory.path().join("http2.conf");
        fs::write(
            &file,
            peers::http2_backend(directory.path(), backends.http2),
        )?;
        let command = peers::nginx_command(&file);
        let http2 = start_backend(&command, directory.path(), "http2", backends.http2)?;
        Ok(Self {
            plan,
            peers,
            programs,
            backends,
            failures: RefCell::default(),
            next_port,
            next_place: Cell::new(0),
            certificate,
            http1,
            http2,
            directory,
        })
    }

    /// Starts `peer` for `role` and waits until it serves `host`.
    ///
    /// # Errors
    /// When it does not, with the end of its log.
    pub(crate) fn start(&self, peer: Peer, role: Role, host: &str) -> Result<Proxy<'_>> {
        let place = self.place()?;
        if peer == Peer::Direct {
            return Ok(self.direct(place, role));
        }
        let argv = peers::configure(peer, &place, role)?;
        let log = place.directory.join("log");
        let started = clock::now();
        let mut running = Running::start(&argv, PROXY_CORE, &log)?;
        let is_tls = role == Role::Tls;
        let address = loopback(place.port);
        let target = Target {
            address,
            from: None,
            is_tls,
            host,
        };
        let serves_http1 = role != Role::Hop2 || matches!(peer, Peer::Weft | Peer::Envoy);
        running.wait_until(START_LIMIT, || {
            if is_tls {
                load::ask_tls(target).is_ok_and(|status| status == 200)
            } else if serves_http1 {
                client::is_served(address, host)
            } else {
                client::dial(address).is_ok()
            }
        })?;
        let start_secs = clock::now().duration_since(started).as_secs_f64();
        if peer == Peer::Weft && !is_tls {
            client::check_match(address, host)?;
        }
        thread::sleep(SETTLE);
        Ok(Proxy {
            peer,
            root: running.id(),
            running: Some(running),
            start_secs,
            is_tls,
            place,
        })
    }

    fn direct<'l>(&'l self, place: Place<'l>, role: Role) -> Proxy<'l> {
        let (port, backend) = match role {
            Role::Hop2 => (self.backends.http2, &self.http2),
            _ => (self.backends.http1, &self.http1),
        };
        Proxy {
            peer: Peer::Direct,
            place: Place { port, ..place },
            root: backend.id(),
            start_secs: 0.0,
            running: None,
            is_tls: false,
        }
    }

    /// A directory that nothing has been in.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let number = self.next_place.get();
        self.next_place.set(number + 1);
        let directory = self.directory.path().join(format!("proxy-{number}"));
        fs::create_dir(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }

    fn place(&self) -> Result<Place<'_>> {
        Ok(Place {
            directory: self.directory()?,
            port: free_port(&self.next_port)?,
            admin_port: free_port(&self.next_port)?,
            backends: self.backends,
            certificate: &self.certificate,
            programs: &self.programs,
        })
    }

    /// Measures every peer of `among` once, then every one a second time, and so on: what else the
    /// machine does falls on all of them alike.
    ///
    /// A peer that fails keeps the runs it has; why is told and kept.
    pub(crate) fn interleave(
        &self,
        name: &str,
        among: &[Peer],
        measure: impl FnMut(Peer) -> Result<Sample>,
    ) -> Table {
        self.repeat(name, self.plan.runs, among, measure)
    }

    /// [`Self::interleave`] with a number of runs of its own.
    pub(crate) fn repeat(
        &self,
        name: &str,
        count: usize,
        among: &[Peer],
        mut measure: impl FnMut(Peer) -> Result<Sample>,
    ) -> Table {
        let mut runs: Vec<(Peer, Vec<Sample>)> = Vec::new();
        let chosen = |peer: &&Peer| **peer == Peer::Direct || self.peers.contains(peer);
        runs.extend(among.iter().filter(chosen).map(|&peer| (peer, Vec::new())));
        for run in 1..=count {
            for (peer, samples) in &mut runs {
                println!("    {name} {run}/{count}: {}", peer.name());
                match measure(*peer) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => self.note(format!("{name}, {}: {error:#}", peer.name())),
                }
            }
        }
        let named = runs
            .into_iter()
            .map(|(peer, samples)| (peer.name().to_owned(), samples));
        Table::new(name, named.collect())
    }

    /// Keeps what went wrong for the report.
    pub(crate) fn note(&self, failure: String) {
        println!("    failed: {failure}");
        self.failures.borrow_mut().push(failure);
    }

    /// What went wrong so far.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.borrow().clone()
    }

    /// A file with the message of gRPC-like calls: flags, length, 100 bytes.
    pub(crate) fn grpc_message(&self) -> Result<PathBuf> {
        let path = self.directory.path().join("message.bin");
        let mut message = vec![0, 0, 0, 0, 100];
        message.extend([b'x'; 100]);
        fs::write(&path, message).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// A path for the log of a process beside the proxy.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Proxy<'_> {
    /// Where its load goes.
    pub(crate) fn target<'h>(&self, host: &'h str) -> Target<'h> {
        Target {
            address: loopback(self.place.port),
            from: None,
            is_tls: self.is_tls,
            host,
        }
    }

    /// Runs `work`; its result, and the processor and wall seconds that passed meanwhile.
    ///
    /// # Errors
    /// Those of `work`, or when the proxy has ended.
    pub(crate) fn window<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, f64, f64)> {
        usage::window(&[self.root], work)
    }

    /// Waits until the proxy is idle: after a start it may have status files to write.
    ///
    /// # Errors
    /// When it is still busy after `limit`.
    pub(crate) fn settle(&self, limit: Duration) -> Result<()> {
        let deadline = clock::now() + limit;
        loop {
            let ((), cpu, wall) = self.window(|| {
                thread::sleep(SETTLE);
                Ok(())
            })?;
            if cpu / wall < IDLE_SHARE {
                return Ok(());
            }
            if clock::now() > deadline {
                bail!("still busy {} s after its start", limit.as_secs());
            }
        }
    }

    /// Resident memory in MiB.
    ///
    /// # Errors
    /// When the proxy has ended.
    pub(crate) fn rss_mib(&self) -> Result<f64> {
        usage::rss_mib(self.root)
    }

    /// The file that makes a change.
    ///
    /// # Errors
    /// When the peer cannot change like that.
    pub(crate) fn prepare(&self, change: Change) -> Result<Edit> {
        peers::edit(self.peer, &self.place, change)
    }

    /// Puts a file in its place, tells the proxy if it needs telling, and returns at once.
    ///
    /// # Errors
    /// When the proxy has ended.
    pub(crate) fn apply(&self, edit: &Edit) -> Result<()> {
        let running = self
            .running
            .as_ref()
            .context("there is no proxy to change")?;
        edit.apply(&self.place, running)
    }

    /// Asks until the answer to `host` has `status`; the seconds it took.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub(crate) fn wait_for(&self, host: &str, status: u16, limit: Duration) -> Result<f64> {
        let started = clock::now();
        loop {
            let last = client::ask(loopback(self.place.port), host);
            let took = clock::now().duration_since(started);
            if last.as_ref().is_ok_and(|answer| answer.status == status) {
                return Ok(took.as_secs_f64());
            }
            if took > limit {
                let last = last.map(|answer| answer.status);
                bail!(
                    "no {status} from {host} within {} s, but {last:?}",
                    limit.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The command of a back-end that listens there.
pub(super) fn backend_command(programs: &Programs, addresses: &[SocketAddr]) -> Vec<String> {
    let program = programs.xtask.display().to_string();
    let words = [program, "bench-backend".to_owned()].into_iter();
    words
        .chain(addresses.iter().map(ToString::to_string))
        .collect()
}

fn start_backend(argv: &[String], directory: &Path, name: &str, port: u16) -> Result<Running> {
    let mut running = Running::start(argv, LOAD_CORE, &directory.join(format!("{name}.log")))?;
    running.wait_until(START_LIMIT, || client::dial(loopback(port)).is_ok())?;
    Ok(running)
}

/// The next port of 127.0.0.1 that nobody listens on.
fn free_port(next: &Cell<u16>) -> Result<u16> {
    for port in next.get()..LAST_PORT {
        if TcpListener::bind(loopback(port)).is_ok() {
            next.set(port + 1);
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 between {FIRST_PORT} and {LAST_PORT} is free")
}
