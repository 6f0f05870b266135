//! Load while the configuration changes 20 times a second: not one request may fail.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::client;
use crate::bench::figures::{Sample, Table, column};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::latency::Outcome;
use crate::bench::load::{self, Call, Connections, Pace};
use crate::bench::machine::LOAD_CORE;
use crate::bench::output::{self, Load};
use crate::bench::peers::{Change, Peer, REDIRECTED, Role};
use crate::bench::process::Running;
use crate::bench::request::HOST;
use crate::clock;

/// Requests per second of the open loop.
const OPEN_LOOP_RATE: u32 = 5_000;
/// Edits that are made while the open loop runs, if it runs long enough.
const WEIGHT_EDITS: u64 = 1_000;
const EDITS_PER_SECOND: u64 = 20;
/// Longest wait for the last edit to be in effect.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest a generator may run beyond its time.
const GRACE: Duration = Duration::from_secs(30);

const PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy];

/// Reason of requests whose client went away. h2load does so with all its streams when its time is
/// up; that is no failure of anybody.
const CLIENT_LEFT: &str = "client_abort";

/// Requests that failed, as Weft counts them.
#[derive(Clone, Copy)]
struct Errors {
    /// Those that ended with their client.
    left: f64,
    all: f64,
}

/// What makes the load.
#[derive(Clone, Copy)]
enum Generator {
    OpenLoop,
    Wrk,
    H2load,
}

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let generators = [
        ("churn-weights", Generator::OpenLoop),
        ("churn-h1", Generator::Wrk),
        ("churn-h2", Generator::H2load),
    ];
    let tables = generators.into_iter().map(|(name, generator)| {
        // One long run: failures are counted, not averaged.
        lab.repeat(name, 1, PEERS, |peer| {
            measure(lab, &lab.start(peer, Role::Split, HOST)?, generator)
        })
    });
    Ok(tables.collect())
}

impl Generator {
    fn secs(self, lab: &Lab) -> u64 {
        let most = lab.plan.churn_secs;
        match self {
            Self::OpenLoop => most.min(WEIGHT_EDITS / EDITS_PER_SECOND),
            Self::Wrk | Self::H2load => most,
        }
    }

    fn command(self, lab: &Lab, proxy: &Proxy<'_>) -> Vec<String> {
        let (target, secs) = (proxy.target(HOST), self.secs(lab));
        match self {
            Self::OpenLoop => {
                let pace = Pace::kept(OPEN_LOOP_RATE, secs);
                load::open_loop_command(&lab.programs.xtask, target, pace)
            }
            Self::Wrk => load::wrk_command(target, secs, Connections::Kept(32)),
            Self::H2load => load::h2load_command(target, secs, Call::Get),
        }
    }

    fn read(self, printed: &str) -> Result<Load> {
        match self {
            Self::OpenLoop => {
                let outcome: Outcome = printed.trim().parse()?;
                Ok(Load {
                    requests: outcome.answers,
                    rate: f64::from(OPEN_LOOP_RATE),
                    failures: outcome.failures,
                })
            }
            Self::Wrk => output::wrk(printed),
            Self::H2load => output::h2load(printed),
        }
    }
}

fn measure(lab: &Lab, proxy: &Proxy<'_>, generator: Generator) -> Result<Sample> {
    let errors_before = counted_errors(proxy)?;
    let command = generator.command(lab, proxy);
    let mut running = Running::start(&command, LOAD_CORE, &lab.log("churn.log"))?;
    let edits = edit_while(&mut running, proxy, generator.secs(lab))?;
    let load = generator.read(&running.output()?)?;
    proxy.apply(&proxy.prepare(Change::SplitRedirect)?)?;
    // Edits that nobody follows disturb nobody: the last one must be in effect.
    proxy.wait_for(HOST, REDIRECTED, LIMIT)?;
    let mut sample = vec![
        (column::REQUESTS, load.requests as f64),
        (column::EDITS, edits as f64),
    ];
    sample.extend(load.failures.columns());
    if let (Some(before), Some(after)) = (errors_before, counted_errors(proxy)?) {
        let left = after.left - before.left;
        sample.push((column::COUNTED_ERRORS, after.all - before.all - left));
        sample.push((column::ABORTS, left));
    }
    Ok(sample)
}

/// Edits at an even pace until the generator has ended; the number of edits.
fn edit_while(generator: &mut Running, proxy: &Proxy<'_>, secs: u64) -> Result<u64> {
    let started = clock::now();
    let mut edits = 0;
    loop {
        if let Some(status) = generator.ended()? {
            if !status.success() {
                bail!(
                    "the load generator ended with {status}: {}",
                    generator.output()?
                );
            }
            return Ok(edits);
        }
        let elapsed = clock::now().duration_since(started);
        if elapsed > Duration::from_secs(secs) + GRACE {
            bail!("the load generator does not end: {}", generator.output()?);
        }
        if edits < secs * EDITS_PER_SECOND {
            let percent = u8::try_from(edits * 37 % 101).context("a percentage fits")?;
            proxy.apply(&proxy.prepare(Change::Weight { percent })?)?;
            edits += 1;
        }
        let next = Duration::from_secs(edits) / EDITS_PER_SECOND as u32;
        thread::sleep(next.saturating_sub(elapsed).max(Duration::from_millis(1)));
    }
}

/// What Weft itself says of failed requests, by reason; the peers do not say it in a form that
/// compares.
fn counted_errors(proxy: &Proxy<'_>) -> Result<Option<Errors>> {
    if proxy.peer != Peer::Weft {
        return Ok(None);
    }
    let answer = client::fetch(proxy.place.admin_port, "/metrics")
        .context("the admin endpoint of Weft does not answer")?;
    if answer.status != 200 {
        bail!("/metrics of Weft answers {}", answer.status);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let by_reason = output::counter_by(&text, "weft_request_errors_total", "error");
    let left = by_reason.get(CLIENT_LEFT).copied().unwrap_or_default();
    Ok(Some(Errors {
        left,
        all: by_reason.values().sum(),
    }))
}
