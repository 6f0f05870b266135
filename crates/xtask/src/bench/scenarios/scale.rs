//! Many routes, each with a back-end of its own, and one change among them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::figures::{Sample, Table, column, median};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::load::{self, Connections};
use crate::bench::peers::{Change, Peer, REDIRECTED, Role};
use crate::bench::request::host_of;
use crate::bench::usage;

/// Sizes of the table; the first is what the others are compared with.
const SIZES: [usize; 3] = [1, 1_000, 10_000];
/// Changes in one run, of which the median counts: the last route is redirected, restored, and so
/// on.
const CHANGES: usize = 5;
/// Longest wait for a change.
const LIMIT: Duration = Duration::from_secs(60);
/// Rest after each change, for what it leaves to do.
const REST: Duration = Duration::from_millis(300);

const PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy, Peer::Nginx, Peer::Haproxy];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let sizes = SIZES.into_iter().map(|routes| {
        lab.interleave(&table_name(routes), PEERS, |peer| {
            let proxy = lab.start(peer, Role::Routes(routes), &host_of(routes - 1))?;
            measure(lab, &proxy, routes)
        })
    });
    Ok(sizes.collect())
}

fn table_name(routes: usize) -> String {
    format!("scale-{routes}")
}

fn measure(lab: &Lab, proxy: &Proxy<'_>, routes: usize) -> Result<Sample> {
    proxy.settle(LIMIT)?;
    let (rss_mib, start_cpu_secs) = (proxy.rss_mib()?, usage::cpu_seconds(proxy.root)?);
    let host = host_of(routes / 2);
    let target = proxy.target(&host);
    load::wrk(target, 1, Connections::Kept(32))?;
    let (closed, cpu, _) =
        proxy.window(|| load::wrk(target, lab.plan.secs, Connections::Kept(32)))?;
    let (change_ms, change_cpu_ms) = change(proxy, routes)?;
    Ok(vec![
        (column::START, proxy.start_secs),
        (column::START_CPU, start_cpu_secs),
        (column::RSS, rss_mib),
        (column::CPU, closed.cpu_us(cpu)?),
        (column::CHANGE, change_ms),
        (column::CHANGE_CPU, change_cpu_ms),
        (column::RSS_AFTER, proxy.rss_mib()?),
        (column::FAILED, closed.failures.total() as f64),
    ])
}

/// Milliseconds until one change is in effect, and of processor time it costs.
fn change(proxy: &Proxy<'_>, routes: usize) -> Result<(f64, f64)> {
    let host = host_of(routes - 1);
    let mut waits_ms = Vec::new();
    let cpu_before = usage::cpu_seconds(proxy.root)?;
    for number in 0..CHANGES {
        let is_on = number % 2 == 0;
        let status = if is_on { REDIRECTED } else { 200 };
        // Preparing the new file is the user's time; replacing it and what follows is counted.
        let edit = proxy.prepare(Change::Redirect { routes, is_on })?;
        proxy.apply(&edit)?;
        waits_ms.push(proxy.wait_for(&host, status, LIMIT)? * 1e3);
        thread::sleep(REST);
    }
    let cpu_secs = usage::cpu_seconds(proxy.root)? - cpu_before;
    let wait_ms = median(waits_ms).context("no change was made")?;
    Ok((wait_ms, cpu_secs * 1e3 / CHANGES as f64))
}
