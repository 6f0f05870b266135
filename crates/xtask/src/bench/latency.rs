//! `cargo x bench-latency`: an open-loop HTTP/1.1 client.
//!
//! Requests are due at Poisson arrivals of a given rate, whatever the answers do, and latency
//! counts from the time a request was due: a proxy that stalls is not forgiven the requests it kept
//! from being sent. Failures are counted by class.

mod arrivals;
mod outcome;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;

pub(crate) use self::outcome::Outcome;

use super::answer::{self, Parsed};
use super::client;
use super::output::Failures;
use super::request::{self, BODY_BYTES, Keep};
use crate::clock;
use arrivals::Arrivals;

/// Options of `cargo x bench-latency`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address and port to ask
    address: SocketAddr,
    /// Requests per second
    rate: f64,
    /// Seconds to send for; the first tenth is left out of the latencies
    secs: f64,
    /// Connections, each with one request at a time
    connections: usize,
    /// Connect anew for every request
    #[arg(long)]
    per_request: bool,
}

const EVENTS: usize = 256;
/// A request without an answer for this long has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest sleep of the loop, so that overdue requests are noticed.
const NAP: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // The default slack of 50 µs would be most of what is measured.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let start = clock::now();
    let end = start + Duration::from_secs_f64(args.secs);
    let keep = if args.per_request {
        Keep::Close
    } else {
        Keep::Open
    };
    let mut client = Client {
        address: args.address,
        keep,
        request: request::get(request::HOST, keep),
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        slots: (0..args.connections).map(|_| Slot::default()).collect(),
        free: (0..args.connections).collect(),
        input: vec![0; 64 * 1024],
        recorded_from: start + (end - start) / 10,
        latencies_us: Vec::with_capacity((args.rate * args.secs) as usize),
        answers: 0,
        failures: Failures::default(),
        next_look: start + NAP,
    };
    if keep == Keep::Open {
        client.connect_all();
    }
    client.send_until(start, end, &mut Arrivals::new(args.rate))?;
    client.finish()?;
    println!("{}", client.outcome());
    Ok(ExitCode::SUCCESS)
}

struct Client {
    address: SocketAddr,
    keep: Keep,
    request: String,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    /// Slots without a request, last used last.
    free: Vec<usize>,
    input: Vec<u8>,
    recorded_from: Instant,
    latencies_us: Vec<u32>,
    answers: u64,
    failures: Failures,
    /// When to look for overdue requests again.
    next_look: Instant,
}

/// A place for one request at a time, and the connection it uses.
#[derive(Default)]
struct Slot {
    stream: Option<TcpStream>,
    /// When the request under way was due; `None` while there is none.
    due: Option<Instant>,
    received: Vec<u8>,
}

/// How a request ended.
enum End {
    Answered,
    WrongStatus,
    WrongBody,
    Reset,
}

impl Client {
    fn connect_all(&mut self) {
        for slot in 0..self.slots.len() {
            // One that fails is tried again when a request is due on it, and counted then.
            drop(self.connect(slot));
        }
    }

    fn connect(&mut self, slot: usize) -> io::Result<()> {
        let stream = client::dial(self.address)?;
        stream.set_nonblocking(true)?;
        epoll::add(
            &self.epoll,
            &stream,
            EventData::new_u64(slot as u64),
            EventFlags::IN,
        )?;
        self.slots[slot].stream = Some(stream);
        Ok(())
    }

    fn send_until(&mut self, start: Instant, end: Instant, arrivals: &mut Arrivals) -> Result<()> {
        let mut due = start;
        loop {
            let now = clock::now();
            if now >= end {
                return Ok(());
            }
            while due <= now
                && let Some(slot) = self.free.pop()
            {
                self.send(slot, due);
                due += arrivals.next_gap();
            }
            self.expire(now);
            let pause = if self.free.is_empty() {
                NAP
            } else {
                due.saturating_duration_since(now).min(NAP)
            };
            self.receive(pause)?;
        }
    }

    /// Waits for the answers still under way.
    fn finish(&mut self) -> Result<()> {
        while self.free.len() < self.slots.len() {
            self.receive(NAP)?;
            self.expire(clock::now());
        }
        Ok(())
    }

    fn send(&mut self, slot: usize, due: Instant) {
        if self.slots[slot].stream.is_none() && self.connect(slot).is_err() {
            self.failures.refused += 1;
            self.free.insert(0, slot);
            return;
        }
        let Slot {
            stream, received, ..
        } = &mut self.slots[slot];
        received.clear();
        let written = stream
            .as_mut()
            .map(|stream| stream.write(self.request.as_bytes()));
        self.slots[slot].due = Some(due);
        if !matches!(written, Some(Ok(length)) if length == self.request.len()) {
            self.end(slot, &End::Reset);
        }
    }

    /// Handles what comes within `pause`.
    fn receive(&mut self, pause: Duration) -> Result<()> {
        // `ppoll` counts nanoseconds; `epoll_wait` only milliseconds.
        let timeout = Timespec::try_from(pause)?;
        let mut queue = [PollFd::new(&self.epoll, PollFlags::IN)];
        if poll(&mut queue, Some(&timeout))? == 0 {
            return Ok(());
        }
        let mut events = Vec::with_capacity(EVENTS);
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut events),
            Some(&Timespec::default()),
        )?;
        for event in events {
            let slot = event.data.u64() as usize;
            if let Some(end) = self.slots[slot].read_on(&mut self.input) {
                self.end(slot, &end);
            }
        }
        Ok(())
    }

    fn end(&mut self, slot: usize, end: &End) {
        let Some(due) = self.slots[slot].due.take() else {
            return;
        };
        let latency = clock::now().duration_since(due);
        match end {
            End::Answered if due >= self.recorded_from => {
                let us = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
                self.latencies_us.push(us);
            }
            End::Answered => {}
            End::WrongStatus => self.failures.wrong_status += 1,
            End::WrongBody => self.failures.wrong_body += 1,
            End::Reset => self.failures.reset += 1,
        }
        let is_broken = matches!(end, End::Reset);
        if is_broken || self.keep == Keep::Close {
            self.slots[slot].stream = None;
        }
        self.answers += u64::from(!is_broken);
        self.free.push(slot);
    }

    fn expire(&mut self, now: Instant) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + NAP;
        for slot in 0..self.slots.len() {
            let is_late = |due: Instant| now.saturating_duration_since(due) > TIMEOUT;
            if self.slots[slot].due.is_some_and(is_late) {
                self.slots[slot] = Slot::default();
                self.failures.timeout += 1;
                self.free.push(slot);
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        self.latencies_us.sort_unstable();
        Outcome::new(&self.latencies_us, self.answers, self.failures)
    }
}

impl Slot {
    /// Reads what has come. `Some` when the request under way is over.
    fn read_on(&mut self, input: &mut [u8]) -> Option<End> {
        let stream = self.stream.as_mut()?;
        let length = match stream.read(input) {
            Ok(length) if length > 0 => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Ok(_) | Err(_) => {
                // Between requests a server may close a connection; during one it may not.
                self.stream = None;
                return self.due.is_some().then_some(End::Reset);
            }
        };
        self.received.extend_from_slice(&input[..length]);
        let head = match answer::parse(&self.received) {
            Parsed::More => return None,
            Parsed::Broken => return Some(End::Reset),
            Parsed::Head(head) => head,
        };
        // An answer without a length would need the end of the connection; none here is like that.
        let body_bytes = head.body_bytes.unwrap_or(0);
        let received_bytes = self.received.len() - head.head_bytes;
        if received_bytes < body_bytes {
            return None;
        }
        if head.closes {
            self.stream = None;
        }
        Some(if head.status != 200 {
            End::WrongStatus
        } else if received_bytes != BODY_BYTES || body_bytes != BODY_BYTES {
            End::WrongBody
        } else {
            End::Answered
        })
    }
}
