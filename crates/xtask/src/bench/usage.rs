//! Processor time and memory of a process and everything it started, from `/proc`.

#[cfg(test)]
mod tests;

use std::fs;

use anyhow::{Context, Result};

use crate::clock;

/// The fields of `/proc/PID/stat` (proc_pid_stat(5)) that are of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time, with that of children that have ended.
    ticks: u64,
}

/// The process and all its descendants that are alive.
fn tree(root: u32) -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("cannot list /proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process that ends meanwhile is simply not there.
    let parents: Vec<(u32, u32)> = pids
        .filter_map(|pid| Some((pid, read_stat(pid)?.parent)))
        .collect();
    Ok(descendants(root, &parents))
}

/// `root` and, by pairs of (process, parent), everything below it.
fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let children = parents.iter().filter(|(_, parent)| *parent == found[at]);
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        at += 1;
    }
    found
}

/// Seconds of processor time the process and its descendants have used so far.
///
/// # Errors
/// When the process has ended.
pub(crate) fn cpu_seconds(root: u32) -> Result<f64> {
    read_stat(root).with_context(|| format!("process {root} has ended"))?;
    let stats = tree(root)?.into_iter().filter_map(read_stat);
    let ticks: u64 = stats.map(|stat| stat.ticks).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Runs `work`; its result, and the seconds that passed meanwhile: of processor time that the processes
/// and their descendants have used together, and on the wall.
///
/// # Errors
/// Those of `work`, or when a process has ended.
pub(crate) fn window<T>(roots: &[u32], work: impl FnOnce() -> Result<T>) -> Result<(T, f64, f64)> {
    let used = || {
        roots
            .iter()
            .map(|&root| cpu_seconds(root))
            .sum::<Result<f64>>()
    };
    let (cpu, wall) = (used()?, clock::now());
    let result = work()?;
    let cpu = used()? - cpu;
    let wall = clock::now().duration_since(wall).as_secs_f64();
    Ok((result, cpu, wall))
}

/// Resident memory of the descendants of a process in MiB, without its own.
///
/// # Errors
/// When the process has ended.
pub(crate) fn descendants_rss_mib(root: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{root}/status"));
    let own = status.ok().as_deref().and_then(resident_kib).unwrap_or(0);
    Ok(rss_mib(root)? - own as f64 / 1024.0)
}

/// Resident memory of the process and its descendants in MiB. Pages they share count for each.
///
/// # Errors
/// When the process has ended.
pub(crate) fn rss_mib(root: u32) -> Result<f64> {
    read_stat(root).with_context(|| format!("process {root} has ended"))?;
    let kib = |pid: u32| resident_kib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    let total: u64 = tree(root)?.into_iter().filter_map(kib).sum();
    Ok(total as f64 / 1024.0)
}

fn read_stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name before it stands in parentheses and may hold anything, parentheses too.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: Option<Vec<u64>> = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse().ok())
        .collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks?.into_iter().sum(),
    })
}

/// `VmRSS` of `/proc/PID/status`.
fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
