//! Which port stands in for a port that cannot be listened on.
//!
//! Without root the ports below 1024 are closed to us, and another process that listens on all
//! addresses (`0.0.0.0:8080`) has a port everywhere. Both move up by 8000, unless `--port-map` says
//! where to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::ErrorKind,
    net::{SocketAddrV4, TcpListener},
};

#[cfg(test)]
mod tests;

/// How far a port moves.
const OFFSET: u16 = 8000;
/// How far it moves on, while the place is taken by a port of the same object.
const STEP: u16 = 1000;

/// What the system says about a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can be listened on.
    Open,
    /// Ports this low are for root.
    Privileged,
    /// Another process has it on every address.
    Taken,
}

/// Asks the system about a port.
pub(crate) trait Probe: Send {
    /// What it says. Leaves nothing open.
    fn probe(&self, port: u16) -> Verdict;
}

/// Listens for a moment on addresses that nothing else uses.
#[derive(Debug)]
pub(crate) struct ByListening(pub(crate) [std::net::Ipv4Addr; 2]);

impl Probe for ByListening {
    fn probe(&self, port: u16) -> Verdict {
        let mut verdict = Verdict::Open;
        for address in self.0 {
            verdict = match TcpListener::bind(SocketAddrV4::new(address, port)) {
                Ok(_) => return Verdict::Open,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => Verdict::Privileged,
                Err(error) if error.kind() == ErrorKind::AddrInUse => Verdict::Taken,
                // Whatever it is, it is not about the port; listening in earnest will tell.
                Err(_) => return Verdict::Open,
            };
        }
        verdict
    }
}

/// The ports of one run.
pub(crate) struct Ports {
    mapped: BTreeMap<u16, u16>,
    verdicts: BTreeMap<u16, Verdict>,
    probe: Box<dyn Probe>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("mapped", &self.mapped)
            .field("verdicts", &self.verdicts)
            .finish_non_exhaustive()
    }
}

impl Ports {
    /// No port is known yet; `mapped` is `--port-map`.
    pub(crate) fn new(mapped: BTreeMap<u16, u16>, probe: Box<dyn Probe>) -> Self {
        Self {
            mapped,
            verdicts: BTreeMap::new(),
            probe,
        }
    }

    /// For each port of one object the port to listen on. Distinct ports stay distinct.
    pub(crate) fn listen_on(&mut self, ports: impl IntoIterator<Item = u16>) -> BTreeMap<u16, u16> {
        let mut asked: Vec<(Reason, u16)> = ports
            .into_iter()
            .map(|port| (self.reason(port), port))
            .collect();
        // Ports that may stay where they are come before those that have to find a place.
        asked.sort_unstable();
        asked.dedup();
        let mut used = BTreeSet::new();
        let mut listen_on = BTreeMap::new();
        for (reason, port) in asked {
            let first = match reason {
                Reason::Mapped => self.mapped.get(&port).copied().unwrap_or(port),
                Reason::Stays => port,
                Reason::Moves => moved(port, OFFSET),
            };
            let mut place = first;
            while used.contains(&place) || self.verdict(place) == Verdict::Taken {
                place = moved(place, STEP);
                if place == first {
                    break;
                }
            }
            used.insert(place);
            listen_on.insert(port, place);
        }
        listen_on
    }

    /// Why a port is listened on elsewhere, for users; nothing if they asked for it.
    pub(crate) fn why_moved(&self, port: u16, place: u16) -> Option<String> {
        let why = match (self.mapped.get(&port), self.verdicts.get(&port)) {
            (Some(&wanted), _) if wanted == place => return None,
            (None, Some(Verdict::Privileged)) => "cannot be opened without root",
            (None, Some(Verdict::Taken)) => "is taken by another process on every address",
            _ => "has to make room",
        };
        Some(format!(
            "port {port} {why}: {place} is listened on instead; --port-map {port}=PORT chooses \
             another"
        ))
    }

    /// Asks the system again, because listening on a port failed.
    pub(crate) fn ask_again(&mut self, port: u16) -> Verdict {
        self.verdicts.remove(&port);
        self.verdict(port)
    }

    /// What the system says about a port; asked once.
    pub(crate) fn verdict(&mut self, port: u16) -> Verdict {
        let probe = &self.probe;
        *self
            .verdicts
            .entry(port)
            .or_insert_with(|| probe.probe(port))
    }

    fn reason(&mut self, port: u16) -> Reason {
        if self.mapped.contains_key(&port) {
            return Reason::Mapped;
        }
        match self.verdict(port) {
            Verdict::Open => Reason::Stays,
            Verdict::Privileged | Verdict::Taken => Reason::Moves,
        }
    }
}

/// Why a port is listened on where it is, in the order in which places are given out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Mapped,
    Stays,
    Moves,
}

/// `by` further up, and round to the unprivileged ports again at the end.
fn moved(port: u16, by: u16) -> u16 {
    const FIRST: u16 = 1024;
    port.checked_add(by)
        .unwrap_or_else(|| FIRST + (port.wrapping_add(by) % STEP))
}
