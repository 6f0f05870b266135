//! One HTTP/1.1 hop.

use anyhow::Result;

use crate::bench::figures::{Sample, Table, column, median};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::load::{self, Connections, Pace};
use crate::bench::output::Failures;
use crate::bench::peers::{Peer, Role};
use crate::bench::request::HOST;

/// Requests per second of the open loop: well below what the slowest peer can do.
const OPEN_LOOP_RATE: u32 = 12_000;
/// Goes of the open loop in one run; the median of each quantile counts.
const OPEN_LOOP_GOES: usize = 3;

const PEERS: &[Peer] = &[
    Peer::Direct,
    Peer::Weft,
    Peer::Envoy,
    Peer::Nginx,
    Peer::Haproxy,
];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let table = lab.interleave("h1", PEERS, |peer| {
        measure(lab, &lab.start(peer, Role::Hop, HOST)?)
    });
    Ok(vec![table])
}

fn measure(lab: &Lab, proxy: &Proxy<'_>) -> Result<Sample> {
    let secs = lab.plan.secs;
    let target = proxy.target(HOST);
    load::wrk(target, 1, Connections::Kept(32))?;
    let (closed, cpu, wall) = proxy.window(|| load::wrk(target, secs, Connections::Kept(32)))?;
    let mut failures: Failures = closed.failures;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..OPEN_LOOP_GOES {
        let program = &lab.programs.xtask;
        let open = load::open_loop(
            program,
            target,
            Pace::kept(OPEN_LOOP_RATE, secs.div_ceil(2)),
        )?;
        p50.push(f64::from(open.p50_us));
        p99.push(f64::from(open.p99_us));
        failures += open.failures;
    }
    let mut sample = vec![
        (column::RATE, closed.rate),
        (column::CPU, closed.cpu_us(cpu)?),
        (column::BUSY, cpu / wall),
    ];
    sample.extend(median(p50).map(|value| (column::P50, value)));
    sample.extend(median(p99).map(|value| (column::P99, value)));
    sample.push((column::FAILED, failures.total() as f64));
    Ok(sample)
}
