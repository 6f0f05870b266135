//! The TCP connections of a network namespace, from `/proc` (proc_pid_net(5)).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

/// `TCP_ESTABLISHED` of Linux, as these files have it.
const ESTABLISHED: &str = "01";

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// Those of the namespace the calling thread is in that are open on both sides.
///
/// # Errors
/// When a file cannot be read, or says what is not understood.
pub(super) fn established() -> Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for name in ["tcp", "tcp6"] {
        let path = format!("/proc/thread-self/net/{name}");
        let text = fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
        sockets.extend(parse(&text).with_context(|| format!("{path} is not understood"))?);
    }
    Ok(sockets)
}

/// The open ones of a file, whose first line is a heading.
pub(super) fn parse(text: &str) -> Option<Vec<Socket>> {
    let mut sockets = Vec::new();
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote) = (words.next()?, words.next()?);
        if words.next()? == ESTABLISHED {
            let (local, remote) = (address(local)?, address(remote)?);
            sockets.push(Socket { local, remote });
        }
    }
    Some(sockets)
}

/// `0100007F:0050` is port 80 of 127.0.0.1: words of 32 bits in the order of this machine, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |at: usize| {
        let word = u32::from_str_radix(words.get(8 * at..8 * (at + 1))?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match words.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (at, place) in octets.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(octets).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}
