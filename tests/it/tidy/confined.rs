//! Invariants 9 and 20: private keys, `unsafe`, clocks, chance and outgoing sockets each have
//! their few places.

use std::collections::BTreeSet;

use super::lexer::Token;
use super::paths::{Ban, banned};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, workspace};

/// A file that may read a clock, draw random numbers or open outgoing connections, and why.
struct Exception {
    path: &'static str,
    what: Outside,
    #[expect(dead_code, reason = "the sentence is for the reader of this list")]
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outside {
    Clock,
    Chance,
    Connect,
}

/// The one file with `unsafe`, and how many blocks it has. May only shrink.
const UNSAFE_FILE: &str = "crates/intercept/src/sys.rs";
const UNSAFE_BLOCKS: usize = 5;

/// The short list of invariant 20. An entry that is no longer needed fails the test.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "certs/src/clock.rs",
        what: Outside::Clock,
        reason: "dates handshakes and renewals; callers hand in the clock, tests one of their own",
    },
    Exception {
        path: "crates/cli/src/clock.rs",
        what: Outside::Clock,
        reason: "measures loads and edits, dates statuses",
    },
    Exception {
        path: "crates/cli/src/demo/client.rs",
        what: Outside::Connect,
        reason: "the client of the demo, which is somebody else than the data path",
    },
    Exception {
        path: "crates/control/src/replicas/dial.rs",
        what: Outside::Connect,
        reason: "opens the connection of a replica of the control plane to the one that leads",
    },
    Exception {
        path: "crates/forward/src/clock.rs",
        what: Outside::Clock,
        reason: "the one clock of the data path; every decision takes its reading as an argument",
    },
    Exception {
        path: "crates/forward/src/upstream/connect.rs",
        what: Outside::Connect,
        reason: "opens the connections to backends, under one deadline and one set of options",
    },
    Exception {
        path: "proxy/src/control/dial/address.rs",
        what: Outside::Connect,
        reason: "opens the connections of a proxy's parent process to the control plane",
    },
    Exception {
        path: "proxy/src/loopback/carry.rs",
        what: Outside::Connect,
        reason: "opens the connections of the mesh of one process to its applications",
    },
    Exception {
        path: "crates/source/src/clock.rs",
        what: Outside::Clock,
        reason: "tells when a burst of file changes is over and how long a load takes",
    },
    Exception {
        path: "crates/source/src/kube/clock.rs",
        what: Outside::Clock,
        reason: "dates leases and statuses, ends requests; elections take it as an argument",
    },
    Exception {
        path: "crates/xtask/src/bench/client.rs",
        what: Outside::Connect,
        reason: "asks the proxies under measurement; never part of a release",
    },
    Exception {
        path: "crates/xtask/src/clock.rs",
        what: Outside::Clock,
        reason: "times stages for contributors and measurements for benchmarks",
    },
];

impl Outside {
    const ALL: [Self; 3] = [Self::Clock, Self::Chance, Self::Connect];

    fn bans(self) -> &'static [Ban] {
        const CLOCK: &str = "take the time as a parameter, or the room's `Clock`";
        const CHANCE: &str = "take the random number or generator as a parameter";
        const CONNECT: &str = "open connections through the room's connector";
        match self {
            Self::Clock => &[
                Ban {
                    pattern: "*::Instant::now",
                    cure: CLOCK,
                },
                Ban {
                    pattern: "*::SystemTime::now",
                    cure: CLOCK,
                },
                Ban {
                    pattern: ".elapsed",
                    cure: CLOCK,
                },
            ],
            Self::Chance => &[
                Ban {
                    pattern: "rand",
                    cure: CHANCE,
                },
                Ban {
                    pattern: "fastrand",
                    cure: CHANCE,
                },
                Ban {
                    pattern: "getrandom",
                    cure: CHANCE,
                },
                Ban {
                    pattern: "aws_lc_rs::rand",
                    cure: CHANCE,
                },
            ],
            Self::Connect => &[
                Ban {
                    pattern: "*::TcpStream::connect",
                    cure: CONNECT,
                },
                Ban {
                    pattern: "*::TcpStream::connect_timeout",
                    cure: CONNECT,
                },
                Ban {
                    pattern: "*::TcpSocket::connect",
                    cure: CONNECT,
                },
            ],
        }
    }
}

fn outside_findings(files: &[SourceFile], exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for file in files {
        for what in Outside::ALL {
            let found = banned(file, what.bans());
            let exception = exceptions
                .iter()
                .position(|exception| exception.path == file.path && exception.what == what);
            match exception {
                Some(at) if !found.is_empty() => drop(needed.insert(at)),
                _ => findings.extend(found),
            }
        }
    }
    let stale = exceptions
        .iter()
        .enumerate()
        .filter(|(at, _)| !needed.contains(at));
    findings.extend(stale.map(|(_, exception)| {
        let what = format!("listed for {:?} but does not need it", exception.what);
        Finding::new(
            exception.path,
            0,
            what,
            "take it off the list in tests/it/tidy/confined.rs",
        )
    }));
    findings
}

/// Private keys of any library: rustls (`PrivateKeyDer`, `PrivatePkcs8KeyDer`), rcgen (`KeyPair`),
/// aws-lc-rs (`EcdsaKeyPair`), and certificates that carry theirs (`CertifiedKey`).
fn names_private_key(word: &str) -> bool {
    let is_private = word.starts_with("Private") && (word.contains("Key") || word.contains("Der"));
    is_private || word.ends_with("KeyPair") || word == "SigningKey" || word == "CertifiedKey"
}

fn private_key_findings(files: &[SourceFile]) -> Vec<Finding> {
    let cure = "keys stay in `certs`; take one of its handles (`Acceptor`, `Connector`, `Signer`)";
    words(
        files,
        |file| file.room() != "certs",
        SourceFile::production,
        names_private_key,
        cure,
    )
}

fn unsafe_findings(files: &[SourceFile]) -> Vec<Finding> {
    let cure =
        "use a safe wrapper such as rustix; only `intercept/src/sys.rs` may argue for a block";
    let outside = |file: &SourceFile| file.path != UNSAFE_FILE;
    words(
        files,
        outside,
        SourceFile::code,
        |word| word == "unsafe",
        cure,
    )
}

/// One finding per word of the selected files that `is_wrong`.
fn words<'f>(
    files: &'f [SourceFile],
    selects: impl Fn(&SourceFile) -> bool,
    tokens: impl Fn(&'f SourceFile) -> Vec<Token<'f>>,
    is_wrong: impl Fn(&str) -> bool,
    cure: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| selects(file)) {
        let wrong = tokens(file)
            .into_iter()
            .filter(|token| token.is_word() && is_wrong(token.text));
        findings.extend(
            wrong.map(|token| {
                Finding::new(&file.path, token.line, format!("`{}`", token.text), cure)
            }),
        );
    }
    findings
}

#[test]
fn invariant_9_private_keys_stay_in_certs() {
    assert_clean(
        "invariant 9, private keys",
        &private_key_findings(workspace()),
    );
}

#[test]
fn invariant_9_no_unsafe_outside_intercept() {
    assert_clean("invariant 9, unsafe", &unsafe_findings(workspace()));
}

#[test]
fn invariant_9_unsafe_only_becomes_less() {
    let file = workspace().iter().find(|file| file.path == UNSAFE_FILE);
    let code = file.expect("the file with `unsafe` is there").code();
    let blocks = code.iter().filter(|token| token.is("unsafe")).count();
    assert_eq!(blocks, UNSAFE_BLOCKS, "`unsafe` in {UNSAFE_FILE}");
}

#[test]
fn invariant_20_clocks_chance_and_sockets_have_few_places() {
    assert_clean("invariant 20", &outside_findings(workspace(), EXCEPTIONS));
}

#[test]
fn invariant_9_the_checks_see_keys_and_unsafe() {
    let text = "fn f(key: PrivatePkcs8KeyDer<'_>, pair: rcgen::KeyPair) { unsafe { g() } }";
    let sample = |path: &str| [SourceFile::sample(path, text)];
    assert_found(text, &private_key_findings(&sample("proxy/src/lib.rs")), 2);
    assert_found(text, &private_key_findings(&sample("certs/src/lib.rs")), 0);
    assert_found(text, &unsafe_findings(&sample("proxy/src/lib.rs")), 1);
    assert_found(
        text,
        &unsafe_findings(&sample("crates/intercept/src/lib.rs")),
        1,
    );
    assert_found(
        text,
        &unsafe_findings(&sample("crates/intercept/src/sys.rs")),
        0,
    );
}

#[test]
fn invariant_20_the_check_sees_uses_and_stale_exceptions() {
    let text =
        "use tokio::net::TcpStream;\nfn f(i: Instant) { TcpStream::connect(a); i.elapsed(); }";
    let sample = [SourceFile::sample("proxy/src/dial.rs", text)];
    let exception = |path, what| Exception {
        path,
        what,
        reason: "",
    };
    assert_found(text, &outside_findings(&sample, &[]), 2);
    let listed = [exception("proxy/src/dial.rs", Outside::Connect)];
    assert_found(text, &outside_findings(&sample, &listed), 1);
    let stale = [exception("proxy/src/gone.rs", Outside::Clock)];
    assert_found(text, &outside_findings(&sample, &stale), 3);
}
