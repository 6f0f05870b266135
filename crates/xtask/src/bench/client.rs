//! A blocking HTTP/1.1 client for questions to the proxies: is it up, has the change arrived, what
//! do its metrics say.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::answer::{self, Parsed};
use super::request::{self, Keep};

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

/// An open connection to a port of 127.0.0.1.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// Connects to a port of 127.0.0.1, with `TCP_NODELAY`.
///
/// # Errors
/// When nobody listens there, or does not accept within a second.
pub(crate) fn dial(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks the one question of the benchmark on a connection of its own.
///
/// # Errors
/// When no whole answer comes.
pub(crate) fn ask(port: u16, host: &str) -> io::Result<Answer> {
    Connection::open(port)?.exchange(&request::get(host, Keep::Close))
}

/// Fetches `path` from an admin endpoint.
///
/// # Errors
/// When no whole answer comes.
pub(crate) fn fetch(port: u16, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    Connection::open(port)?.exchange(&request)
}

impl Connection {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = dial(port)?;
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
