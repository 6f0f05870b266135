//! A blocking HTTP/1.1 client for questions to the proxies: is it up, has the change arrived, what
//! do its metrics say.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

use super::answer::{self, Parsed};
use super::request::{self, BODY_BYTES, HEADER, Keep, PATH};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// A port of 127.0.0.1.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Connects, with `TCP_NODELAY`.
///
/// # Errors
/// When nobody listens there, or does not accept within a second.
pub(crate) fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks the one question of the benchmark on a connection of its own.
///
/// # Errors
/// When no whole answer comes.
pub(crate) fn ask(address: SocketAddr, host: &str) -> io::Result<Answer> {
    Connection::open(address)?.exchange(&request::get(host, Keep::Close))
}

/// Whether it is answered as the back-end answers.
pub(crate) fn is_served(address: SocketAddr, host: &str) -> bool {
    ask(address, host).is_ok_and(|answer| answer.status == 200 && answer.body.len() == BODY_BYTES)
}

/// Fails when a request without the header that routes match on gets through: then the proxy does
/// less than the measurement says.
///
/// # Errors
/// When it does, or no whole answer comes.
pub(crate) fn check_match(address: SocketAddr, host: &str) -> Result<()> {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let status = Connection::open(address)?.exchange(&request)?.status;
    if status != 404 {
        let (header, _) = HEADER;
        bail!("a request to {host} without {header} must find no route, but is answered {status}");
    }
    Ok(())
}

/// Fetches `path` from an admin endpoint.
///
/// # Errors
/// When no whole answer comes.
pub(crate) fn fetch(port: u16, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    Connection::open(loopback(port))?.exchange(&request)
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = dial(address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream })
    }

    /// Writes `request` and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, is silent for five seconds, or what comes is not HTTP.
    pub(crate) fn exchange(&mut self, request: &str) -> io::Result<Answer> {
        self.stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        let head = loop {
            match answer::parse(&bytes) {
                Parsed::Head(head) => break head,
                Parsed::Broken => return Err(io::ErrorKind::InvalidData.into()),
                Parsed::More => self.read_more(&mut bytes)?,
            }
        };
        let mut body = bytes.split_off(head.head_bytes);
        match head.body_bytes {
            Some(length) => {
                while body.len() < length {
                    self.read_more(&mut body)?;
                }
            }
            None if head.status == 204 || head.status == 304 => {}
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        let status = head.status;
        Ok(Answer { status, body })
    }

    fn read_more(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let length = self.stream.read(&mut chunk)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..length]);
        Ok(())
    }
}
