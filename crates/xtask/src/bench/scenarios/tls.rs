//! TLS 1.3 ends at the proxy, without session resumption; plain HTTP/1.1 behind it.

use anyhow::Result;

use crate::bench::figures::{Sample, Table, column};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::load::{self, Connections};
use crate::bench::peers::{Peer, Role};
use crate::bench::request::{BULK_BYTES, HOST};

const PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy, Peer::Nginx, Peer::Haproxy];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let table = lab.interleave("tls", PEERS, |peer| {
        measure(lab, &lab.start(peer, Role::Tls, HOST)?)
    });
    Ok(vec![table])
}

fn measure(lab: &Lab, proxy: &Proxy<'_>) -> Result<Sample> {
    let secs = lab.plan.secs;
    let target = proxy.target(HOST);
    let gigabytes = BULK_BYTES as f64 / 1e9;
    load::wrk(target, 1, Connections::OneShot(16))?;
    let (new, new_cpu, _) = proxy.window(|| load::wrk(target, secs, Connections::OneShot(16)))?;
    let (kept, kept_cpu, _) = proxy.window(|| load::wrk(target, secs, Connections::Kept(32)))?;
    let ((), bulk_cpu, bulk_wall) = proxy.window(|| load::bulk(target))?;
    let mut failures = new.failures;
    failures += kept.failures;
    Ok(vec![
        (column::CONNECTION_RATE, new.rate),
        (column::CONNECTION_CPU, new.cpu_us(new_cpu)?),
        (column::RATE, kept.rate),
        (column::CPU, kept.cpu_us(kept_cpu)?),
        (column::BULK_RATE, gigabytes / bulk_wall),
        (column::BULK_CPU, bulk_cpu / gigabytes),
        (column::FAILED, failures.total() as f64),
    ])
}
