//! The machine a measurement is taken on: what it is, and how the measurement gets it to itself.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Core of the load generators and the back-ends.
pub(crate) const LOAD_CORE: usize = 0;
/// Core of the proxy under measurement.
pub(crate) const PROXY_CORE: usize = 1;
/// Static priority under `SCHED_FIFO`; any will do, nothing else competes at one.
const PRIORITY: &str = "10";

/// What a reader needs to judge absolute figures.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// When it has a single core: the proxy and the load would take each other's time.
    pub(crate) fn inspect() -> Result<Self> {
        let cores = thread::available_parallelism()?.get();
        if cores <= PROXY_CORE {
            bail!("a benchmark needs two cores, one for the load and one for the proxy");
        }
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("no {path}"));
        let memory_kib = field(&read("/proc/meminfo")?, "MemTotal")
            .and_then(|value| value.strip_suffix(" kB")?.parse::<f64>().ok())
            .context("/proc/meminfo names no MemTotal")?;
        let processor = field(&read("/proc/cpuinfo")?, "model name");
        Ok(Self {
            cores,
            processor: processor.unwrap_or_else(|| "unnamed processor".to_owned()),
            memory_gib: memory_kib / 1024.0 / 1024.0,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            cores,
            processor,
            memory_gib,
            kernel,
        } = self;
        write!(
            f,
            "{cores} cores ({processor}), {memory_gib:.0} GiB, Linux {kernel}"
        )
    }
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// Processes that were ready to run over the last minute, on average.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Raises the limit of open files to its maximum, for this process and what it starts. Returns the
/// limit.
///
/// # Errors
/// When the system refuses, which it has no reason to.
pub(crate) fn raise_open_files() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Moves this process, and with it all it starts from now on, to `SCHED_FIFO`, where other work on
/// the machine waits for it. Says whether that is allowed; it takes root or `CAP_SYS_NICE`.
pub(crate) fn take_precedence() -> bool {
    let pid = std::process::id().to_string();
    let output = Command::new("chrt")
        .args(["--fifo", "--pid", PRIORITY, &pid])
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Keeps this thread, and with it all it starts without saying otherwise, off the proxy's core.
///
/// # Errors
/// When the load core may not be used.
pub(crate) fn stay_on_load_core() -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE);
    sched_setaffinity(None, &cores).context("this process may not use core 0")
}

/// Today in UTC, as `2026-11-21`.
///
/// # Errors
/// When the `date` command does not run.
pub(crate) fn today() -> Result<String> {
    printed("date", &["--utc", "+%F"])
}

/// The commit of the working tree, with `+changes` when files differ from it.
pub(crate) fn commit() -> String {
    let Ok(commit) = printed("git", &["rev-parse", "--short=12", "HEAD"]) else {
        return "no commit".to_owned();
    };
    match printed("git", &["status", "--porcelain", "--untracked-files=no"]) {
        Ok(changes) if changes.is_empty() => commit,
        _ => commit + "+changes",
    }
}

/// First line a command prints, on either output.
///
/// # Errors
/// When it does not run.
pub(crate) fn printed(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(first.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_of_proc_files_are_found() {
        let text = "processor\t: 0\nmodel name\t: A: B\nMemTotal:  24731904 kB\n";
        for (name, value) in [
            ("model name", Some("A: B")),
            ("MemTotal", Some("24731904 kB")),
            ("bogomips", None),
        ] {
            assert_eq!(field(text, name).as_deref(), value, "{name}");
        }
    }
}
