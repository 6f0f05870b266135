//! Processor time and memory of a process and everything it started, from `/proc`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};

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

/// Runs `work`; its result, and the seconds of processor time the processes and their descendants have
/// used meanwhile, which the scheduler counts in nanoseconds.
///
/// The clock ticks of [`window`] are too coarse for processes that have little to do. What a thread used
/// that ended meanwhile is not counted.
///
/// # Errors
/// Those of `work`, when a process has ended, or when so much is not counted that the ticks show it.
pub(crate) fn fine_window<T>(roots: &[u32], work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let before = thread_times(roots)?;
    let (result, ticked, _) = window(roots, work)?;
    let after = thread_times(roots)?;
    let used = used_secs(&before, &after);
    let mut processes: Vec<u32> = after.keys().map(|(process, _)| *process).collect();
    processes.dedup();
    let coarse = coarseness(processes.len());
    if (used - ticked).abs() > coarse {
        bail!("threads have used {used:.3} s of processor time, but their processes {ticked:.3} s");
    }
    Ok((result, used))
}

/// The most by which the clock ticks of so many processes differ from the time they used: user and system
/// time are each cut to whole ticks, before and after.
fn coarseness(processes: usize) -> f64 {
    2.0 * processes as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// What the threads that are there `after` have used since `before`.
fn used_secs(before: &Times, after: &Times) -> f64 {
    let since = |(thread, ns): (&(u32, u32), &u64)| {
        ns.saturating_sub(before.get(thread).copied().unwrap_or(0))
    };
    after.iter().map(since).sum::<u64>() as f64 / 1e9
}

/// Nanoseconds on a processor by process and thread.
type Times = BTreeMap<(u32, u32), u64>;

fn thread_times(roots: &[u32]) -> Result<Times> {
    let mut times = Times::new();
    for &root in roots {
        read_stat(root).with_context(|| format!("process {root} has ended"))?;
        for process in tree(root)? {
            times.extend(times_of(process));
        }
    }
    if times.values().all(|&ns| ns == 0) {
        bail!("the kernel does not count the time of threads: no /proc/PID/task/TID/schedstat");
    }
    Ok(times)
}

/// Of one process; a thread that ends meanwhile is simply not there.
fn times_of(process: u32) -> Times {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Times::new();
    };
    let threads = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let time = |thread: u32| {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        let ns = on_processor_ns(&fs::read_to_string(path).ok()?)?;
        Some(((process, thread), ns))
    };
    threads.filter_map(time).collect()
}

/// The first number of `/proc/PID/schedstat` (Linux, Documentation/scheduler/sched-stats.rst).
fn on_processor_ns(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
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
