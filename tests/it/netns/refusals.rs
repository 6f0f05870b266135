//! Who is refused by a worker, and as whom a worker takes nobody: the rows of `tests/refusals.yaml` that are
//! about connections, played to a worker process that serves a STRICT pod, or dials for one.

mod callers;
mod forge;
mod servers;
mod stranger;
mod streams;

use std::{
    io,
    net::{SocketAddr, TcpStream as StdStream},
};

use tokio::{net::TcpStream, runtime::Runtime};
use weft_intercept::handoff::{Operation, Reply};
use weft_tests::{
    netns::{Pod, becomes},
    refusals::Row,
};

use self::forge::{Ca, OWN, over};
use super::{
    authority::MeshAuthority,
    pair::Pair,
    running::{Running, roster},
};

/// Where tunnels end.
const TUNNEL: u16 = 15008;

/// A pod whose worker is under test, and another one that is not served. Both are members as far as
/// anybody is told.
struct World {
    running: Running,
    runtime: Runtime,
    forge: Forge,
    pair: Pair,
}

/// The authorities that attackers have. The mesh trusts the first of them, and was told of the expired one.
struct Forge {
    root: Ca,
    issuer: Ca,
    expired: Ca,
}

/// By what a metric counts a row: its name, and labels beside that of the row.
#[derive(Clone, Copy)]
struct Counter {
    name: &'static str,
    labels: &'static [&'static str],
    /// The label that rows name values of.
    label: &'static str,
}

/// What is done in a row of the table, made of authorities that are there.
type Made<T> = (&'static str, fn(&Forge) -> T);

impl World {
    /// One in which the worker of `served` is under test, which has started as a member.
    fn of(served: impl Fn(&Pair) -> &Pod) -> Self {
        let root = Ca::root("the root of the test", |_| ());
        let forge = Forge {
            issuer: root.issuer(|_| ()),
            expired: Ca::root("a root that is over", over),
            root,
        };
        let roots = [&forge.root, &forge.expired].map(|it| it.der.to_vec());
        let authority = MeshAuthority::trusting(OWN, roots.into());
        let pair = Pair::new();
        let (supply, _fed) = authority.supply(&[&pair.web, &pair.cart]);
        let pod = served(&pair);
        let mut running = Running::supplied(&pair.node, roster(&[(pod, "shop", true)]), supply);
        running.is_ready();
        assert_eq!(pair.node.ask(Operation::Add, pod), Reply::Ok {});
        running.captures(1);
        Self {
            running,
            runtime: Runtime::new().expect("a runtime"),
            forge,
            pair,
        }
    }

    /// Plays a row; what of it does not hold.
    fn play(
        &self,
        row: &Row,
        counter: Counter,
        attack: impl Future<Output = String>,
    ) -> Vec<String> {
        let before = self.running.log().len();
        let count = || counted(&self.running.metrics(), counter, &row.counts);
        let counted_before = count();
        let seen = self.runtime.block_on(attack);
        let mut faults = Vec::new();
        if seen != row.peer {
            faults.push(format!("the peer sees `{seen}`, not `{}`", row.peer));
        }
        let reason = format!("\"reason\":\"{}\"", row.reason);
        let says = |line: &str| line.contains(&reason) && line.contains(&row.words);
        let lines = || self.running.log()[before..].to_owned();
        if !becomes(|| lines().lines().any(says)) {
            faults.push(format!(
                "no line with {reason} and `{}`: {}",
                row.words,
                lines()
            ));
        }
        let more = count() - counted_before;
        if more != 1 {
            let Counter { name, label, .. } = counter;
            let value = &row.counts;
            faults.push(format!("{name} with {label}={value} counts {more}, not 1"));
        }
        let Row {
            row, culprit, rule, ..
        } = row;
        let named = |fault| format!("{row} ({culprit}; {rule}): {fault}");
        faults.into_iter().map(named).collect()
    }

    /// A connection of a client on this runtime, to somebody who hears it out.
    fn dial(&self, from: &Pod, to: SocketAddr) -> TcpStream {
        let dialled = self.adopt(from.dial(to));
        dialled.expect("somebody listens")
    }

    /// What dialling came to. Who is refused at once may be so before the call of `connect` returns, which
    /// then says it: SYN, SYN/ACK and RST are one reset to the client.
    fn adopt(&self, dialled: io::Result<StdStream>) -> io::Result<TcpStream> {
        let stream = dialled?;
        let _inside = self.runtime.enter();
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }
}

/// Says of all rows at once what does not hold.
fn hold(group: &str, faults: &[String]) {
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "tests/refusals.yaml, {group}:\n{faults}");
}

/// The sum of the samples that count a row.
fn counted(metrics: &str, counter: Counter, value: &str) -> u64 {
    let wanted = format!("{}=\"{value}\"", counter.label);
    let samples = metrics.lines().filter(|line| {
        let rest = line.strip_prefix(counter.name);
        let labels = || std::iter::once(wanted.as_str()).chain(counter.labels.iter().copied());
        rest.is_some_and(|rest| rest.starts_with('{') && labels().all(|it| rest.contains(it)))
    });
    let value = |line: &str| {
        line.rsplit(' ')
            .next()
            .and_then(|it| it.parse::<u64>().ok())
    };
    samples.map(|line| value(line).expect("a counter")).sum()
}

/// The table is one; each of its groups is played somewhere.
#[test]
fn every_group_is_played_and_rows_are_many() {
    let table = weft_tests::refusals::table();
    let groups: Vec<_> = table.keys().map(String::as_str).collect();
    let played = [
        "chains",
        "handshakes",
        "leaves",
        "names",
        "plaintext",
        "requests",
        "servers",
        "streams",
        "tokens",
    ];
    assert_eq!(groups, played);
    let rows: usize = table.values().map(Vec::len).sum();
    assert!(rows >= 60, "{rows} rows");
    let unfinished = table.values().flatten().filter(|row| {
        let parts = [&row.culprit, &row.rule, &row.peer, &row.reason];
        parts.iter().any(|part| part.is_empty())
    });
    let unfinished: Vec<_> = unfinished.map(|row| &row.row).collect();
    assert!(unfinished.is_empty(), "rows that say half: {unfinished:?}");
}
