//! The parent of a gateway reads no byte of a client (invariant 16, of which this is the first half).
//!
//! It owns listening sockets and never accepts on them, so that there is no connection it could read.

use super::paths::{Ban, banned};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, workspace};

const CURE: &str =
    "connections are the worker's; the parent hands the socket over and leaves it alone";

const BANS: &[Ban] = &[
    Ban {
        pattern: ".accept",
        cure: CURE,
    },
    Ban {
        pattern: ".incoming",
        cure: CURE,
    },
    Ban {
        pattern: "*::accept",
        cure: CURE,
    },
    Ban {
        pattern: "*::accept_with",
        cure: CURE,
    },
    Ban {
        pattern: "weft_forward",
        cure: CURE,
    },
    Ban {
        pattern: "crate::standalone",
        cure: CURE,
    },
];

fn is_of_the_parent(file: &SourceFile) -> bool {
    file.path == "proxy/src/gateway.rs" || file.path.starts_with("proxy/src/gateway/")
}

fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let parents = files.iter().filter(|file| is_of_the_parent(file));
    parents.flat_map(|file| banned(file, BANS)).collect()
}

#[test]
fn invariant_16_the_parent_accepts_no_connection() {
    let parents = workspace().iter().filter(|file| is_of_the_parent(file));
    assert!(
        parents.count() > 5,
        "the parent's files are where they were"
    );
    assert_clean("invariant 16", &findings(workspace()));
}

#[test]
fn invariant_16_the_check_sees_an_accept() {
    let text =
        "use weft_forward::Live;\nfn f(l: &TcpListener) { l.accept(); for s in l.incoming() {} }";
    let sample = |path| [SourceFile::sample(path, text)];
    assert_found(text, &findings(&sample("proxy/src/gateway/core.rs")), 3);
    assert_found(text, &findings(&sample("proxy/src/worker.rs")), 0);
}
