//! Runs the load generators on their core.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::latency::Outcome;
use super::machine::LOAD_CORE;
use super::namespaces::Namespace;
use super::output::{self, Load};
use super::request::{self, BULK_PATH, Keep, PATH};

/// Time a generator gets beyond the time it was told to run.
const GRACE_SECS: u64 = 30;

/// Where to send load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    /// Where the load comes from, if that is another network than this process has.
    pub(crate) from: Option<&'a Namespace>,
    pub(crate) is_tls: bool,
    pub(crate) host: &'a str,
}

/// How `wrk` uses its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// So many, each kept for all its requests.
    Kept(u32),
    /// So many at once, each for one request.
    OneShot(u32),
}

/// Requests of the open-loop client, whatever the answers do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Requests per second, on average.
    pub(crate) rate: u32,
    pub(crate) secs: u64,
    /// The most requests under way at once.
    pub(crate) connections: u32,
    /// Whether these are kept, or each request gets one of its own.
    pub(crate) keep: Keep,
}

impl Pace {
    /// Over 64 connections that are kept.
    pub(crate) fn kept(rate: u32, secs: u64) -> Self {
        Self {
            rate,
            secs,
            connections: 64,
            keep: Keep::Open,
        }
    }
}

/// What `h2load` sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Get,
    /// A POST with the headers of gRPC and this file as its message.
    GrpcLike(&'a Path),
}

impl Target<'_> {
    /// `argv` as a command that runs where the load comes from.
    pub(crate) fn enter(&self, argv: Vec<String>) -> Vec<String> {
        match self.from {
            Some(namespace) => namespace.command(argv),
            None => argv,
        }
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }
}

/// Command line of `wrk` for `secs` seconds.
pub(crate) fn wrk_command(target: Target<'_>, secs: u64, connections: Connections) -> Vec<String> {
    let (count, close) = match connections {
        Connections::Kept(count) => (count, None),
        Connections::OneShot(count) => (count, Some("connection: close")),
    };
    let mut argv = words(&["wrk", "-t1", &format!("-c{count}"), &format!("-d{secs}s")]);
    argv.extend(words(&["-H", &format!("Host: {}", target.host)]));
    argv.extend(words(&["-H", &request::header_argument()]));
    argv.extend(close.iter().flat_map(|close| words(&["-H", close])));
    argv.push(target.url(PATH));
    argv
}

/// Command line of `h2load` for `secs` seconds over 8 connections of 16 streams each.
pub(crate) fn h2load_command(target: Target<'_>, secs: u64, call: Call<'_>) -> Vec<String> {
    let mut argv = words(&["h2load", "-t1", "-c8", "-m16", "-D", &secs.to_string()]);
    argv.extend(words(&["-H", &format!(":authority: {}", target.host)]));
    argv.extend(words(&["-H", &request::header_argument()]));
    if let Call::GrpcLike(message) = call {
        argv.extend(words(&["-d", &message.display().to_string()]));
        argv.extend(words(&[
            "-H",
            "content-type: application/grpc",
            "-H",
            "te: trailers",
        ]));
    }
    argv.push(target.url(PATH));
    argv
}

/// Closed loop over HTTP/1.1.
///
/// # Errors
/// When `wrk` does not run or prints no result.
pub(crate) fn wrk(target: Target<'_>, secs: u64, connections: Connections) -> Result<Load> {
    output::wrk(&run(target, wrk_command(target, secs, connections), secs)?)
}

/// Closed loop over HTTP/2 with prior knowledge.
///
/// # Errors
/// When `h2load` does not run or prints no result.
pub(crate) fn h2load(target: Target<'_>, secs: u64, call: Call<'_>) -> Result<Load> {
    output::h2load(&run(target, h2load_command(target, secs, call), secs)?)
}

/// Open loop over HTTP/1.1 by the client of this package, whose binary is `program`.
///
/// # Errors
/// When it does not run.
pub(crate) fn open_loop(program: &Path, target: Target<'_>, pace: Pace) -> Result<Outcome> {
    let command = open_loop_command(program, target, pace);
    run(target, command, pace.secs)?.trim().parse()
}

/// Command line of the open-loop client.
pub(crate) fn open_loop_command(program: &Path, target: Target<'_>, pace: Pace) -> Vec<String> {
    let program = program.display().to_string();
    let figures = [
        target.address.to_string(),
        pace.rate.to_string(),
        pace.secs.to_string(),
        pace.connections.to_string(),
    ];
    let mut argv = words(&[&program, "bench-latency"]);
    argv.extend(figures);
    if pace.keep == Keep::Close {
        argv.push("--per-request".to_owned());
    }
    argv
}

/// One download of [`request::BULK_BYTES`].
///
/// # Errors
/// When `curl` does not get all of it.
pub(crate) fn bulk(target: Target<'_>) -> Result<()> {
    let mut argv = words(&["curl", "--silent", "--show-error", "--fail", "--insecure"]);
    argv.extend(words(&[
        "--http1.1",
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_download}",
    ]));
    argv.extend(words(&["-H", &format!("Host: {}", target.host)]));
    argv.extend(words(&[
        "-H",
        &request::header_argument(),
        &target.url(BULK_PATH),
    ]));
    let printed = run(target, argv, GRACE_SECS)?;
    if printed.trim() != request::BULK_BYTES.to_string() {
        bail!("curl got {printed} bytes of {}", request::BULK_BYTES);
    }
    Ok(())
}

/// Asks once over TLS; the status code.
///
/// # Errors
/// When no answer comes.
pub(crate) fn ask_tls(target: Target<'_>) -> Result<u16> {
    let mut argv = words(&["curl", "--silent", "--insecure", "--output", "/dev/null"]);
    argv.extend(words(&[
        "--write-out",
        "%{http_code}",
        "-H",
        &request::header_argument(),
    ]));
    argv.extend(words(&[
        "-H",
        &format!("Host: {}", target.host),
        &target.url(PATH),
    ]));
    Ok(run(target, argv, 1)?.trim().parse()?)
}

/// Runs `argv` on the load core, where the load comes from; what it printed.
fn run(target: Target<'_>, argv: Vec<String>, secs: u64) -> Result<String> {
    let argv = target.enter(argv);
    let limit = Duration::from_secs(secs + GRACE_SECS).as_secs().to_string();
    let output = Command::new("taskset")
        .args([
            "--cpu-list",
            &LOAD_CORE.to_string(),
            "timeout",
            "--kill-after=1",
            &limit,
        ])
        .args(&argv)
        .output()
        .context("cannot run taskset; install util-linux")?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        bail!("`{}` ended with {status}: {stderr}{stdout}", argv.join(" "));
    }
    Ok(stdout)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

    use super::{Call, Connections, Pace, Target, h2load_command, open_loop_command, wrk_command};
    use crate::bench::request::Keep;

    const TARGET: Target<'_> = Target {
        address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8443)),
        from: None,
        is_tls: true,
        host: "bench.example",
    };

    #[test]
    fn every_generator_sends_what_routes_match_on() {
        let message = std::path::Path::new("/tmp/message");
        for (name, argv) in [
            ("wrk", wrk_command(TARGET, 5, Connections::Kept(32))),
            ("h2load", h2load_command(TARGET, 5, Call::Get)),
            ("gRPC", h2load_command(TARGET, 5, Call::GrpcLike(message))),
        ] {
            let line = argv.join(" ");
            for part in [
                "bench.example",
                "x-bench: yes",
                "https://127.0.0.1:8443/v1/items",
            ] {
                assert!(line.contains(part), "{name} sends no {part}: {line}");
            }
        }
    }

    #[test]
    fn one_shot_connections_ask_to_be_closed() {
        let line = |connections| wrk_command(TARGET, 5, connections).join(" ");
        assert!(line(Connections::OneShot(16)).contains("-c16"));
        assert!(line(Connections::OneShot(16)).contains("connection: close"));
        assert!(!line(Connections::Kept(32)).contains("close"));
    }

    #[test]
    fn the_open_loop_is_told_its_pace_and_what_becomes_of_connections() {
        let line = |keep| {
            let pace = Pace {
                keep,
                ..Pace::kept(500, 10)
            };
            open_loop_command(std::path::Path::new("x"), TARGET, pace).join(" ")
        };
        let kept = "x bench-latency 127.0.0.1:8443 500 10 64";
        assert_eq!(line(Keep::Open), kept);
        assert_eq!(line(Keep::Close), format!("{kept} --per-request"));
    }
}
