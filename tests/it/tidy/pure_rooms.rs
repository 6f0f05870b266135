//! Invariant 1: pure rooms do no IO and have no clock and no randomness of their own.

use super::metadata::{Package, rooms, tree_of};
use super::paths::{Ban, banned};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, workspace};

/// A pure room and the packages outside the workspace it may name.
struct PureRoom {
    room: &'static str,
    packages: &'static [&'static str],
}

const PURE_ROOMS: &[PureRoom] = &[
    // The objects are Kubernetes objects, and JSON is how their extension fields are kept.
    PureRoom {
        room: "crates/api",
        packages: &[
            "k8s-openapi",
            "kube",
            "serde",
            "serde_json",
            "serde_path_to_error",
            "thiserror",
        ],
    },
    PureRoom {
        room: "crates/balance",
        packages: &["thiserror"],
    },
    PureRoom {
        room: "crates/detect",
        packages: &["thiserror"],
    },
    PureRoom {
        room: "crates/ir",
        packages: &[
            "bytes",
            "http",
            "ipnet",
            "regex-automata",
            "serde",
            "thiserror",
        ],
    },
    PureRoom {
        room: "crates/spiffe",
        packages: &["thiserror"],
    },
    PureRoom {
        room: "crates/store",
        packages: &[],
    },
    // Adds nothing to what `api` and `ir` bring.
    PureRoom {
        room: "crates/translate",
        packages: &["http"],
    },
    // The last two only when it is built.
    PureRoom {
        room: "crates/wire",
        packages: &[
            "bytes",
            "ciborium",
            "prost",
            "serde",
            "thiserror",
            "prost-build",
            "protox",
        ],
    },
];

/// Packages that bring an event loop or sockets; no pure room may end up with one.
const EVENT_LOOPS: &[&str] = &[
    "async-std",
    "hyper",
    "hyper-util",
    "mio",
    "socket2",
    "tokio",
];

const IO_IS_ELSEWHERE: &str = "pure rooms take values; do the IO in `source`, `forward` or `proxy`";
const TIME_IS_AN_ARGUMENT: &str = "take the time as a parameter";
const CHANCE_IS_AN_ARGUMENT: &str = "take the random number or generator as a parameter";

const BANS: &[Ban] = &[
    Ban {
        pattern: "tokio",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "hyper",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::fs",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::env",
        cure: "pass settings in through `Scope` or another value",
    },
    Ban {
        pattern: "std::process",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::thread",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::os",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::net::Tcp*",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::net::Udp*",
        cure: IO_IS_ELSEWHERE,
    },
    Ban {
        pattern: "std::net::ToSocketAddrs",
        cure: "resolve names outside; it asks DNS",
    },
    Ban {
        pattern: "*::Instant::now",
        cure: TIME_IS_AN_ARGUMENT,
    },
    Ban {
        pattern: "*::SystemTime::now",
        cure: TIME_IS_AN_ARGUMENT,
    },
    Ban {
        pattern: ".elapsed",
        cure: TIME_IS_AN_ARGUMENT,
    },
    Ban {
        pattern: "rand",
        cure: CHANCE_IS_AN_ARGUMENT,
    },
    Ban {
        pattern: "fastrand",
        cure: CHANCE_IS_AN_ARGUMENT,
    },
    Ban {
        pattern: "getrandom",
        cure: CHANCE_IS_AN_ARGUMENT,
    },
];

fn is_pure(room: &str) -> bool {
    PURE_ROOMS.iter().any(|pure| pure.room == room)
}

fn source_findings(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| is_pure(file.room()))
        .flat_map(|file| banned(file, BANS))
        .collect()
}

fn manifest_findings(package: &Package) -> Vec<Finding> {
    let room = package.room();
    let Some(pure) = PURE_ROOMS.iter().find(|pure| pure.room == room) else {
        return Vec::new();
    };
    let foreign = |name: &str| !pure.packages.contains(&name);
    package
        .shipped()
        .filter(|dependency| dependency.path.is_none() && foreign(&dependency.name))
        .map(|dependency| {
            Finding::new(
                format!("{room}/Cargo.toml"),
                0,
                format!("depends on `{}`", dependency.name),
                "do without, or argue the new dependency in a decision record of crates/README.md",
            )
        })
        .collect()
}

#[test]
fn invariant_1_pure_rooms_name_no_io_clock_or_chance() {
    assert_clean("invariant 1, pure rooms", &source_findings(workspace()));
}

#[test]
fn invariant_1_pure_rooms_depend_on_listed_packages_only() {
    let findings: Vec<Finding> = rooms().flat_map(manifest_findings).collect();
    assert_clean("invariant 1, manifests of pure rooms", &findings);
}

#[test]
fn invariant_1_no_event_loop_in_the_tree_of_a_pure_room() {
    let mut findings = Vec::new();
    for package in rooms().filter(|package| is_pure(&package.room())) {
        let tree = tree_of(&package.name);
        assert!(
            tree.contains(&package.name),
            "cargo tree left out {} itself",
            package.name
        );
        findings.extend(
            EVENT_LOOPS
                .iter()
                .filter(|name| tree.contains(**name))
                .map(|name| {
                    let cure = format!("see `cargo tree -p {} -i {name} -e normal`", package.name);
                    Finding::new(
                        package.room(),
                        0,
                        format!("its tree contains `{name}`"),
                        cure,
                    )
                }),
        );
    }
    assert_clean("invariant 1, trees of pure rooms", &findings);
}

#[test]
fn invariant_1_the_check_sees_io_clock_and_chance() {
    let text = "use std::{fs, net::{IpAddr, TcpStream}};\nuse tokio::sync::watch;\n\
                fn f(t: std::time::Instant) { rand::random(); t.elapsed(); Instant::now(); }";
    let sample = SourceFile::sample("crates/ir/src/lib.rs", text);
    assert_found(text, &source_findings(&[sample]), 6);
    let elsewhere = SourceFile::sample("crates/forward/src/lib.rs", text);
    assert_found(text, &source_findings(&[elsewhere]), 0);
}

#[test]
fn invariant_1_the_check_sees_a_foreign_dependency() {
    let package = rooms()
        .find(|package| package.room() == "crates/ir")
        .expect("ir is a room");
    let mut package = package.clone();
    let mut foreign = package.dependencies[0].clone();
    foreign.name = "mio".to_owned();
    foreign.path = None;
    package.dependencies = vec![foreign];
    assert_found("ir with mio", &manifest_findings(&package), 1);
}
