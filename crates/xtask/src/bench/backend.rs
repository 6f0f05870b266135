//! `cargo x bench-backend`: a one-thread HTTP/1.1 server that costs little next to any proxy.
//!
//! It answers every request with 1 KiB, and [`BULK_PATH`] with [`BULK_BYTES`]. Requests have no
//! bodies.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;

use super::request::{BODY_BYTES, BULK_BYTES, BULK_PATH};

/// Options of `cargo x bench-backend`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Addresses and ports to listen on
    #[arg(required = true)]
    addresses: Vec<SocketAddr>,
}

const EVENTS: usize = 512;
const INPUT_BYTES: usize = 64 * 1024;
const FILLER_BYTES: usize = 256 * 1024;
/// Longest request head; a longer one is not from this benchmark.
const HEAD_BYTES: usize = 64 * 1024;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut listeners = Vec::new();
    for address in &args.addresses {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        listeners.push(listener);
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (key, listener) in listeners.iter().enumerate() {
        epoll::add(
            &epoll,
            listener,
            EventData::new_u64(key as u64),
            EventFlags::IN,
        )?;
    }
    let first_key = listeners.len();
    let mut server = Server {
        epoll,
        listeners,
        first_key,
        clients: Vec::new(),
        free: Vec::new(),
        input: vec![0; INPUT_BYTES],
        text: Text::new(),
    };
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        epoll::wait(&server.epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let key = event.data.u64() as usize;
            if key < first_key {
                server.accept(key)?;
            } else {
                server.serve(key - first_key, event.flags)?;
            }
        }
    }
}

/// The answers, ready to send.
struct Text {
    small: Vec<u8>,
    /// The small one for who asks to be closed: closing unannounced counts as an error.
    last: Vec<u8>,
    bulk_head: Vec<u8>,
    filler: Vec<u8>,
}

impl Text {
    fn new() -> Self {
        let head = |length: u64, end: &str| {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n{end}\r\n"
            )
            .into_bytes()
        };
        let small = |end| [head(BODY_BYTES as u64, end), vec![b'x'; BODY_BYTES]].concat();
        Self {
            small: small(""),
            last: small("connection: close\r\n"),
            bulk_head: head(BULK_BYTES, ""),
            filler: vec![b'x'; FILLER_BYTES],
        }
    }
}

struct Server {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    /// Event keys below this one are listeners.
    first_key: usize,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    input: Vec<u8>,
    text: Text,
}

struct Client {
    stream: TcpStream,
    /// Start of a request whose head is not complete; usually empty.
    partial: Vec<u8>,
    /// Body bytes still to be written.
    unsent_bytes: u64,
}

/// What becomes of a connection after an event.
#[derive(PartialEq, Eq)]
enum Next {
    Read,
    Write,
    Close,
}

impl Server {
    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            let stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            let data = EventData::new_u64((self.first_key + slot) as u64);
            epoll::add(&self.epoll, &stream, data, EventFlags::IN)?;
            self.clients[slot] = Some(Client {
                stream,
                partial: Vec::new(),
                unsent_bytes: 0,
            });
        }
    }

    fn serve(&mut self, slot: usize, ready: EventFlags) -> io::Result<()> {
        let Some(client) = &mut self.clients[slot] else {
            return Ok(());
        };
        let was_writing = client.unsent_bytes > 0;
        let next = if ready.contains(EventFlags::OUT) {
            client.write_on(&self.text)
        } else {
            client.read_on(&mut self.input, &self.text)
        };
        if next == Next::Close {
            self.clients[slot] = None;
            self.free.push(slot);
        } else if was_writing != (next == Next::Write) {
            let flags = match next {
                Next::Write => EventFlags::OUT,
                Next::Read | Next::Close => EventFlags::IN,
            };
            let data = EventData::new_u64((self.first_key + slot) as u64);
            epoll::modify(&self.epoll, &client.stream, data, flags)?;
        }
        Ok(())
    }
}

impl Client {
    fn read_on(&mut self, input: &mut [u8], text: &Text) -> Next {
        let length = match self.stream.read(input) {
            Ok(length) if length > 0 => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Read,
            // Closed, or broken by the other side: either way it is over.
            Ok(_) | Err(_) => return Next::Close,
        };
        if self.partial.is_empty() {
            return self.answer(&input[..length], text);
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&input[..length]);
        self.answer(&bytes, text)
    }

    /// Answers every complete request of `bytes` and keeps the rest.
    fn answer(&mut self, bytes: &[u8], text: &Text) -> Next {
        let mut rest = bytes;
        while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let (head, after) = rest.split_at(end + 4);
            rest = after;
            let (start, body_bytes) = if asks_for_bulk(head) {
                (&text.bulk_head, BULK_BYTES)
            } else if asks_to_close(head) {
                (&text.last, 0)
            } else {
                (&text.small, 0)
            };
            // The buffer of an idle socket takes two kilobytes at once; if not, nobody reads.
            if !matches!(self.stream.write(start), Ok(written) if written == start.len()) {
                return Next::Close;
            }
            self.unsent_bytes = body_bytes;
            if body_bytes > 0 {
                return self.write_on(text);
            }
            if asks_to_close(head) {
                return Next::Close;
            }
        }
        if rest.len() > HEAD_BYTES {
            return Next::Close;
        }
        self.partial.extend_from_slice(rest);
        Next::Read
    }

    fn write_on(&mut self, text: &Text) -> Next {
        while self.unsent_bytes > 0 {
            let most = text.filler.len().min(self.unsent_bytes as usize);
            match self.stream.write(&text.filler[..most]) {
                Ok(written) => self.unsent_bytes -= written as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Write,
                Err(_) => return Next::Close,
            }
        }
        Next::Read
    }
}

fn asks_for_bulk(head: &[u8]) -> bool {
    head.strip_prefix(b"GET ")
        .is_some_and(|rest| rest.starts_with(BULK_PATH.as_bytes()))
}

fn asks_to_close(head: &[u8]) -> bool {
    const WANTED: &[u8] = b"\nconnection: close\r";
    head.windows(WANTED.len())
        .any(|window| window.eq_ignore_ascii_case(WANTED))
}
