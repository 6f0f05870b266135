//! Two proxies in a row, as a mesh has them: an application that calls, its proxy, mutual TLS on a cable,
//! the proxy of the application that answers, and this application.
//!
//! Each application is in a network namespace of its own. Weft is there as on two nodes of a cluster: a
//! supervisor and a worker each, which capture what the applications dial and what is dialled to them.
//! ztunnel gets what the application dials by a redirect that is made for it. The other peers are told
//! beforehand what goes where, and are dialled on loopback.

mod envoy;
mod haproxy;
mod nginx;
mod sockets;
#[cfg(test)]
mod tests;
mod weft;
mod ztunnel;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::certificate::Certificate;
use super::client;
use super::lab::{Lab, SETTLE, backend_command};
use super::load::Target;
use super::machine::{LOAD_CORE, PROXY_CORE};
use super::namespaces::Cable;
use super::peers::Peer;
use super::process::Running;
use super::request::HOST;
use super::tools::Programs;
use super::usage;

/// Where the application that answers listens.
const APPLICATION_PORT: u16 = 9080;
/// Where the proxy of the application that calls is dialled, if it is not Weft.
const CLIENT_PORT: u16 = 8080;
/// Where the proxies of peers speak to each other.
const SERVER_PORT: u16 = 8443;

/// Longest wait for the one application to reach the other; a pod is captured within seconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What the proxies understand of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Requests: the first proxy chooses by host, path and a header.
    Http,
    /// Bytes.
    Tcp,
}

/// Two applications and the cable between them, for one pair of proxies: what Weft has captured stays
/// captured when its processes are gone.
pub(crate) struct Bed<'l> {
    lab: &'l Lab,
    // Dropped in this order: the process, then the namespaces.
    backend: Running,
    cable: Cable,
}

/// The proxies between them.
pub(crate) struct Pair<'b> {
    pub(crate) peer: Peer,
    bed: &'b Bed<'b>,
    /// What the application dials that calls.
    pub(crate) address: SocketAddr,
    /// None, when nobody is between them.
    proxies: Option<Proxies>,
}

/// The processes of a pair; each may have descendants.
struct Proxies {
    client: Running,
    server: Running,
    /// What they need beside each other, and what is not measured.
    _other: Option<Running>,
}

/// What configurations refer to.
struct Place<'a> {
    /// Directory of this one pair.
    directory: PathBuf,
    client: IpAddr,
    server: IpAddr,
    certificate: &'a Certificate,
    programs: &'a Programs,
}

/// Whether `peer` can stand on both sides and take `layer`.
pub(crate) fn supports(peer: Peer, layer: Layer) -> bool {
    match peer {
        Peer::Nginx => layer == Layer::Http,
        Peer::Ztunnel => layer == Layer::Tcp,
        Peer::Direct | Peer::Weft | Peer::Envoy | Peer::Haproxy => true,
    }
}

impl<'l> Bed<'l> {
    /// Lays the cable and starts the application that answers.
    ///
    /// # Errors
    /// When this process may not make namespaces.
    pub(crate) fn open(lab: &'l Lab) -> Result<Self> {
        let cable = Cable::lay()?;
        let everywhere = SocketAddr::from(([0, 0, 0, 0], APPLICATION_PORT));
        let command = backend_command(&lab.programs, &[everywhere]);
        let command = cable.server.command(command);
        let mut backend = Running::start(&command, LOAD_CORE, &lab.log("application.log"))?;
        let address = SocketAddr::new(cable.server.address, APPLICATION_PORT);
        let is_up = || is_served(&cable, address);
        backend.wait_until(START_LIMIT, is_up)?;
        Ok(Self {
            lab,
            backend,
            cable,
        })
    }

    /// Starts both proxies and waits until the one application reaches the other through them.
    ///
    /// # Errors
    /// When it does not, with the end of a log.
    pub(crate) fn start(&self, peer: Peer, layer: Layer) -> Result<Pair<'_>> {
        let pair = |address, proxies| Pair {
            peer,
            bed: self,
            address,
            proxies,
        };
        if peer == Peer::Direct {
            let address = SocketAddr::new(self.cable.server.address, APPLICATION_PORT);
            return Ok(pair(address, None));
        }
        let place = Place {
            directory: self.lab.directory()?,
            client: self.cable.client.address,
            server: self.cable.server.address,
            certificate: &self.lab.certificate,
            programs: &self.lab.programs,
        };
        let (mut proxies, address) = match peer {
            Peer::Weft => (
                weft::start(&place, &self.cable)?,
                weft::service_address(layer),
            ),
            Peer::Ztunnel => (
                ztunnel::start(&place, &self.cable)?,
                ztunnel::service_address(),
            ),
            _ => (
                self.peers(&place, peer, layer)?,
                client::loopback(CLIENT_PORT),
            ),
        };
        let is_up = || is_served(&self.cable, address);
        proxies.client.wait_until(START_LIMIT, is_up)?;
        if peer == Peer::Weft && layer == Layer::Http {
            let checked = || client::check_match(address, HOST);
            self.cable.client.within(checked)??;
        }
        if peer == Peer::Ztunnel {
            ztunnel::check(&self.cable)?;
        }
        thread::sleep(SETTLE);
        Ok(pair(address, Some(proxies)))
    }

    /// Starts two proxies that are told of each other.
    fn peers(&self, place: &Place<'_>, peer: Peer, layer: Layer) -> Result<Proxies> {
        let [client, server] = match peer {
            Peer::Envoy => envoy::configure(place, layer)?,
            Peer::Haproxy => haproxy::configure(place, layer)?,
            Peer::Nginx => nginx::configure(place)?,
            Peer::Weft | Peer::Ztunnel | Peer::Direct => {
                bail!("{} is no pair of peers", peer.name())
            }
        };
        let log = |name: &str| place.directory.join(name);
        let server = self.cable.server.command(server);
        let server = Running::start(&server, PROXY_CORE, &log("server.log"))?;
        let client = self.cable.client.command(client);
        let client = Running::start(&client, PROXY_CORE, &log("client.log"))?;
        Ok(Proxies {
            client,
            server,
            _other: None,
        })
    }
}

impl Pair<'_> {
    /// Where the load comes from, and where it goes.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            address: self.address,
            from: Some(&self.bed.cable.client),
            is_tls: false,
            host: HOST,
        }
    }

    /// Runs `work`; its result, the processor seconds of both proxies together, and those on the wall.
    ///
    /// # Errors
    /// Those of `work`, or when a proxy has ended.
    pub(crate) fn window<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, f64, f64)> {
        match &self.proxies {
            Some(proxies) => usage::window(&[proxies.client.id(), proxies.server.id()], work),
            None => usage::window(&[self.bed.backend.id()], work),
        }
    }

    /// Runs `work`; its result, and the processor seconds of both proxies together, counted finely.
    ///
    /// # Errors
    /// Those of `work`, when a proxy has ended, or there is none.
    pub(crate) fn fine_window<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
        let proxies = self.proxies()?;
        usage::fine_window(&[proxies.client.id(), proxies.server.id()], work)
    }

    /// Does something where the application is that calls.
    ///
    /// # Errors
    /// Those of `work`, or when the place cannot be entered.
    pub(crate) fn as_client<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.bed.cable.client.within(work)?
    }

    /// Resident memory in MiB of all that is on the client's side, and of all that is on the server's.
    ///
    /// # Errors
    /// When a proxy has ended, or there is none.
    pub(crate) fn rss_mib(&self) -> Result<(f64, f64)> {
        let proxies = self.proxies()?;
        let (client, server) = (&proxies.client, &proxies.server);
        Ok((usage::rss_mib(client.id())?, usage::rss_mib(server.id())?))
    }

    /// Resident memory in MiB of what carries bytes on the client's side, without who watches over it.
    ///
    /// # Errors
    /// When a proxy has ended, or there is none.
    pub(crate) fn worker_rss_mib(&self) -> Result<f64> {
        let client = self.proxies()?.client.id();
        match self.peer {
            Peer::Weft => usage::descendants_rss_mib(client),
            _ => usage::rss_mib(client),
        }
    }

    fn proxies(&self) -> Result<&Proxies> {
        self.proxies.as_ref().context("there is no proxy")
    }
}

/// Whether the one application is answered by the other.
fn is_served(cable: &Cable, address: SocketAddr) -> bool {
    let asked = cable.client.within(|| client::is_served(address, HOST));
    asked.unwrap_or(false)
}

/// The command of each side, the client's first, from where it listens and where it passes on to.
fn both(
    place: &Place<'_>,
    side: impl Fn(&Side) -> Result<Vec<String>>,
) -> Result<[Vec<String>; 2]> {
    let client = Side {
        name: "client",
        is_client: true,
        listens: client::loopback(CLIENT_PORT),
        leads: SocketAddr::new(place.server, SERVER_PORT),
    };
    let server = Side {
        name: "server",
        is_client: false,
        listens: SocketAddr::new(place.server, SERVER_PORT),
        leads: client::loopback(APPLICATION_PORT),
    };
    Ok([side(&client)?, side(&server)?])
}

/// One proxy of a pair of peers.
struct Side {
    name: &'static str,
    /// It speaks TLS where it leads; the other one where it listens.
    is_client: bool,
    listens: SocketAddr,
    leads: SocketAddr,
}
