//! Memory of a proxy that has little to do.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::client::{Connection, loopback};
use crate::bench::figures::{Sample, Table, column};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::peers::{Peer, Role};
use crate::bench::request::{self, Keep, host_of};

const ROUTES: usize = 10;
/// Connections before the first look; what they cost beyond their own share is paid once.
const FEW: usize = 100;
const MANY: usize = 4_000;
/// Rest before each look: longer than allocators keep memory that was freed, which is five seconds.
const REST: Duration = Duration::from_secs(6);

const PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy, Peer::Nginx, Peer::Haproxy];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let table = lab.interleave("idle", PEERS, |peer| {
        measure(&lab.start(peer, Role::Routes(ROUTES), &host_of(0))?)
    });
    Ok(vec![table])
}

fn measure(proxy: &Proxy<'_>) -> Result<Sample> {
    thread::sleep(REST);
    let base_mib = proxy.rss_mib()?;
    let mut connections = Vec::with_capacity(MANY);
    let few_mib = memory_with(FEW, &mut connections, proxy)?;
    let many_mib = memory_with(MANY, &mut connections, proxy)?;
    let each_kib = (many_mib - few_mib) * 1024.0 / (MANY - FEW) as f64;
    Ok(vec![
        (column::BASE_RSS, base_mib),
        (column::IDLE_KIB, each_kib),
    ])
}

/// Memory with `count` open connections, each of which has had one request.
fn memory_with(count: usize, open: &mut Vec<Connection>, proxy: &Proxy<'_>) -> Result<f64> {
    let request = request::get(&host_of(0), Keep::Open);
    while open.len() < count {
        let number = open.len();
        let connection = Connection::open(loopback(proxy.place.port));
        let mut connection = connection.with_context(|| format!("connection {number}"))?;
        let answer = connection.exchange(&request);
        let answer = answer.with_context(|| format!("request on connection {number}"))?;
        if answer.status != 200 {
            bail!("connection {number} is answered {}", answer.status);
        }
        open.push(connection);
    }
    thread::sleep(REST);
    proxy.rss_mib()
}
