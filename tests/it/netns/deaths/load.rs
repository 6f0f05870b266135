//! Clients in a pod that wait for nobody: one begins whenever it is its time, whatever became of those
//! before; and some that stay connected.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use weft_certs::Clock;
use weft_tests::netns::{PATIENCE, Pod, within};

/// Time between two connections.
const EVERY: Duration = Duration::from_millis(5);
/// Clients that stay.
const STAYING: usize = 16;
/// Time between two words of such a client.
const WORDS: Duration = Duration::from_millis(10);

/// What became of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// How long each connection took, from the first packet to the end of the answer.
    pub(super) took: Vec<Duration>,
    /// Connections that were not accepted.
    pub(super) refused: Vec<String>,
    /// Those that were, and had no answer or not all of it.
    pub(super) cut: Vec<String>,
    /// Words that clients who stay have had an answer to.
    pub(super) words: usize,
}

impl Outcome {
    /// The longest that all but one in `one_in` have taken at most.
    pub(super) fn quantile(&self, one_in: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let place = took.len() - took.len().div_ceil(one_in);
        took.get(place).copied().unwrap_or_default()
    }
}

/// Clients that are at it.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    to: SocketAddr,
    clock: Clock,
    is_over: AtomicBool,
    outcome: Mutex<Outcome>,
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Outcome)) {
        note(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An application that answers with what it hears, at once.
pub(super) fn echo(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || {
                // Where the client goes first, there is nobody to answer.
                let _gone = io::copy(&mut &stream, &mut &stream);
                let _gone = stream.shutdown(Shutdown::Write);
            });
        }
    });
}

impl Load {
    pub(super) fn start(from: &Pod, to: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            to,
            clock: Clock::system(),
            is_over: AtomicBool::new(false),
            outcome: Mutex::default(),
        });
        // Threads are where the one is that starts them.
        let begin = || {
            let stays = (0..STAYING).map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || stay(&shared))
            });
            let mut clients: Vec<_> = stays.collect();
            let shared = Arc::clone(&shared);
            clients.push(thread::spawn(move || come_and_go(&shared)));
            clients
        };
        let clients = within(&from.netns, begin);
        Self { shared, clients }
    }

    /// How many connections have been answered so far.
    pub(super) fn answered(&self) -> usize {
        let mut answered = 0;
        self.shared.note(|it| answered = it.took.len());
        answered
    }

    /// Waits for everybody.
    pub(super) fn end(self) -> Outcome {
        self.shared.is_over.store(true, SeqCst);
        for client in self.clients {
            client.join().expect("a client ends");
        }
        let outcome = &self.shared.outcome;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.clone()
    }
}

fn come_and_go(shared: &Arc<Shared>) {
    let began = shared.clock.read().monotonic;
    let mut clients = Vec::new();
    for number in 0.. {
        let due = began + EVERY * number;
        thread::sleep(due.saturating_sub(shared.clock.read().monotonic));
        if shared.is_over.load(SeqCst) {
            break;
        }
        let shared = Arc::clone(shared);
        clients.push(thread::spawn(move || come(&shared, due)));
    }
    for client in clients {
        client.join().expect("a client ends");
    }
}

fn come(shared: &Shared, due: Duration) {
    let stream = match TcpStream::connect_timeout(&shared.to, PATIENCE) {
        Ok(stream) => stream,
        Err(error) => return shared.note(|it| it.refused.push(error.to_string())),
    };
    let asked = ask(stream);
    let took = shared.clock.read().monotonic.saturating_sub(due);
    shared.note(|it| match asked {
        Ok(()) => it.took.push(took),
        Err(error) => it.cut.push(format!("after {took:?}: {error}")),
    });
}

/// Says something, ends its direction, and hears the same.
fn ask(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let said = [7; 1000];
    stream.write_all(&said)?;
    stream.shutdown(Shutdown::Write)?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    if heard == said {
        return Ok(());
    }
    Err(io::Error::other(format!("{} bytes came back", heard.len())))
}

fn stay(shared: &Shared) {
    let talk = || {
        let mut stream = TcpStream::connect_timeout(&shared.to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while !shared.is_over.load(SeqCst) {
            stream.write_all(&[7; 64])?;
            stream.read_exact(&mut [0; 64])?;
            shared.note(|it| it.words += 1);
            thread::sleep(WORDS);
        }
        io::Result::Ok(())
    };
    if let Err(error) = talk() {
        shared.note(|it| it.cut.push(format!("one that stayed: {error}")));
    }
}
