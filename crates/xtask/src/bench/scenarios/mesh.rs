//! Two proxies in a row between two network namespaces.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::client::Connection;
use crate::bench::figures::{Sample, Table, column, median};
use crate::bench::lab::Lab;
use crate::bench::latency::Outcome;
use crate::bench::load::{self, Connections, Pace};
use crate::bench::mesh::{Bed, Layer, Pair, supports};
use crate::bench::output::Failures;
use crate::bench::peers::Peer;
use crate::bench::request::{self, BULK_BYTES, HOST, Keep};

/// Requests per second of the open loop.
const OPEN_LOOP_RATE: u32 = 5_000;
/// Goes of the open loop in one run; the median of each quantile counts.
const OPEN_LOOP_GOES: usize = 3;

/// Requests per second of the paced figures: little beside what any proxy can do, so that each request
/// finds processes that sleep.
const PACE: u32 = 500;
/// The fewest seconds of a paced figure: 5,000 requests.
const PACED_SECS: u64 = 10;
/// The most requests under way at once; those connections are made while it is measured.
const PACED_CONNECTIONS: u32 = 8;
/// The fewest answers of a paced figure, as a share of those due.
const PACE_KEPT: f64 = 0.9;

/// Connections before the first look at memory; what they cost beyond their share is paid once.
const FEW: usize = 100;
const MANY: usize = 4_000;
/// Rest before each look: longer than allocators keep memory that was freed, which is five seconds.
const REST: Duration = Duration::from_secs(6);

const PEERS: &[Peer] = &[
    Peer::Direct,
    Peer::Weft,
    Peer::Envoy,
    Peer::Nginx,
    Peer::Haproxy,
    Peer::Ztunnel,
];
/// Who has paced figures: those that goals compare, and Envoy.
const PACED_PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy, Peer::Ztunnel];
const IDLE_PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy, Peer::Ztunnel];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (name, layer) in [("mesh-http", Layer::Http), ("mesh-tcp", Layer::Tcp)] {
        tables.push(lab.interleave(name, &those_for(PEERS, layer), |peer| {
            let bed = Bed::open(lab)?;
            traffic(lab, &bed.start(peer, layer)?)
        }));
    }
    for (name, layer) in [
        ("mesh-idle-http", Layer::Http),
        ("mesh-idle-tcp", Layer::Tcp),
    ] {
        // Memory differs little from run to run, and each takes half a minute.
        tables.push(lab.repeat(name, 1, &those_for(IDLE_PEERS, layer), |peer| {
            let bed = Bed::open(lab)?;
            idle(&bed.start(peer, layer)?)
        }));
    }
    Ok(tables)
}

fn those_for(peers: &[Peer], layer: Layer) -> Vec<Peer> {
    let peers = peers.iter().copied();
    peers.filter(|&peer| supports(peer, layer)).collect()
}

fn traffic(lab: &Lab, pair: &Pair<'_>) -> Result<Sample> {
    let secs = lab.plan.secs;
    let target = pair.target();
    let gigabytes = BULK_BYTES as f64 / 1e9;
    load::wrk(target, 1, Connections::Kept(32))?;
    let (kept, cpu, wall) = pair.window(|| load::wrk(target, secs, Connections::Kept(32)))?;
    let mut failures: Failures = kept.failures;
    // Before the connections of a whole second have taken the ports.
    let paced = paced(lab, pair, &mut failures)?;
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
    let (new, new_cpu, _) = pair.window(|| load::wrk(target, secs, Connections::OneShot(16)))?;
    failures += new.failures;
    let ((), bulk_cpu, bulk_wall) = pair.window(|| load::bulk(target))?;
    let mut sample = vec![
        (column::RATE, kept.rate),
        (column::CPU, kept.cpu_us(cpu)?),
        (column::BUSY, cpu / wall),
    ];
    sample.extend(median(p50).map(|value| (column::P50, value)));
    sample.extend(median(p99).map(|value| (column::P99, value)));
    sample.extend([
        (column::CONNECTION_RATE, new.rate),
        (column::CONNECTION_CPU, new.cpu_us(new_cpu)?),
    ]);
    sample.extend(paced);
    sample.extend([
        (column::BULK_RATE, gigabytes / bulk_wall),
        (column::BULK_CPU, bulk_cpu / gigabytes),
        (column::FAILED, failures.total() as f64),
    ]);
    Ok(sample)
}

/// Processor time of both proxies for each request at the one pace: over kept connections, and with one
/// for each request.
fn paced(lab: &Lab, pair: &Pair<'_>, failures: &mut Failures) -> Result<Sample> {
    if !PACED_PEERS.contains(&pair.peer) {
        return Ok(Sample::new());
    }
    let figures = [
        (column::PACED_CPU, Keep::Open),
        (column::PACED_CONNECTION_CPU, Keep::Close),
    ];
    let figures = figures.map(|(column, keep)| {
        let pace = Pace {
            rate: PACE,
            secs: lab.plan.secs.max(PACED_SECS),
            connections: PACED_CONNECTIONS,
            keep,
        };
        let open_loop = || load::open_loop(&lab.programs.xtask, pair.target(), pace);
        let (outcome, cpu_secs) = pair.fine_window(open_loop)?;
        *failures += outcome.failures;
        Ok((column, cpu_us_at(pace, &outcome, cpu_secs)?))
    });
    figures.into_iter().collect()
}

/// What each answer took of `cpu_secs`, in microseconds.
fn cpu_us_at(pace: Pace, outcome: &Outcome, cpu_secs: f64) -> Result<f64> {
    let due = f64::from(pace.rate) * pace.secs as f64;
    if (outcome.answers as f64) < PACE_KEPT * due {
        bail!(
            "{} answers instead of {due}: that is another pace",
            outcome.answers
        );
    }
    Ok(cpu_secs / outcome.answers as f64 * 1e6)
}

fn idle(pair: &Pair<'_>) -> Result<Sample> {
    thread::sleep(REST);
    let (worker_mib, (node_mib, _)) = (pair.worker_rss_mib()?, pair.rss_mib()?);
    let mut open = Vec::with_capacity(MANY);
    let few_mib = memory_with(FEW, &mut open, pair)?;
    let many_mib = memory_with(MANY, &mut open, pair)?;
    let each_kib = |few: f64, many: f64| (many - few) * 1024.0 / (MANY - FEW) as f64;
    Ok(vec![
        (column::BASE_RSS, worker_mib),
        (column::NODE_RSS, node_mib),
        (column::IDLE_KIB, each_kib(few_mib.0, many_mib.0)),
        (column::SERVER_IDLE_KIB, each_kib(few_mib.1, many_mib.1)),
    ])
}

/// Memory of both sides with `count` open connections, each of which has had one request.
fn memory_with(count: usize, open: &mut Vec<Connection>, pair: &Pair<'_>) -> Result<(f64, f64)> {
    let request = request::get(HOST, Keep::Open);
    let (address, more) = (pair.address, count.saturating_sub(open.len()));
    open.extend(pair.as_client(|| {
        let one = || {
            let mut connection = Connection::open(address)?;
            let status = connection.exchange(&request)?.status;
            Ok::<_, std::io::Error>((connection, status))
        };
        let mut opened = Vec::with_capacity(more);
        for number in 0..more {
            let (connection, status) =
                one().with_context(|| format!("connection {number} of {more} more"))?;
            if status != 200 {
                bail!("connection {number} of {more} more is answered {status}");
            }
            opened.push(connection);
        }
        Ok(opened)
    })?);
    thread::sleep(REST);
    pair.rss_mib()
}

#[cfg(test)]
mod tests {
    use super::{Keep, Outcome, PACE, PACED_CONNECTIONS, PACED_SECS, Pace, cpu_us_at};

    #[test]
    fn a_paced_figure_is_of_the_pace_it_says() {
        let pace = Pace {
            rate: PACE,
            secs: PACED_SECS,
            connections: PACED_CONNECTIONS,
            keep: Keep::Close,
        };
        let of = |answers| {
            let outcome = Outcome {
                answers,
                ..Outcome::default()
            };
            cpu_us_at(pace, &outcome, 0.5)
        };
        let each = of(5_000).expect("all are answered");
        assert!((each - 100.0).abs() < 1e-9, "{each} µs");
        assert!(of(4_499).is_err(), "a tenth is missing");
        assert!(of(0).is_err(), "nothing is answered");
    }
}
