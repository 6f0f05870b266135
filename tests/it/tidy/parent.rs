//! The parent of a gateway, the supervisor of a node and what keeps its sockets read no byte of a client
//! (invariant 16).
//!
//! They own listening sockets and never accept on them, so that there is no connection they could read.
//! Two files of the supervisor accept: on the Unix sockets of the CNI plugin and of the supervisor that
//! follows, and they can name no others.

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

/// Where the supervisor hears the CNI plugin, and the supervisor that follows.
const PLUGIN: &str = "proxy/src/node/cni.rs";
const SUCCESSOR: &str = "proxy/src/node/takeover.rs";

/// What those files may not name instead.
const PLUGIN_BANS: &[Ban] = &[
    Ban {
        pattern: "*::TcpListener",
        cure: CURE,
    },
    Ban {
        pattern: "*::TcpStream",
        cure: CURE,
    },
    Ban {
        pattern: "socket2",
        cure: CURE,
    },
    Ban {
        pattern: "weft_intercept::sockets",
        cure: CURE,
    },
    Ban {
        pattern: "weft_forward",
        cure: CURE,
    },
];

fn is_of_the_parent(file: &SourceFile) -> bool {
    let room = |name: &str| {
        let path = file.path.strip_prefix("proxy/src/");
        let rest = path.and_then(|path| path.strip_prefix(name));
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    room("control") || room("gateway") || room("init") || room("node")
}

fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let parents = files.iter().filter(|file| is_of_the_parent(file));
    let findings = |file: &SourceFile| {
        let is_plugin = [PLUGIN, SUCCESSOR].contains(&file.path.as_str());
        banned(file, if is_plugin { PLUGIN_BANS } else { BANS })
    };
    parents.flat_map(findings).collect()
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
    assert_found(text, &findings(&sample("proxy/src/node/core.rs")), 3);
    assert_found(text, &findings(&sample("proxy/src/worker.rs")), 0);
    assert_found(text, &findings(&sample(PLUGIN)), 1);
    let text = "use std::net::TcpStream;";
    let sample = [SourceFile::sample(PLUGIN, text)];
    assert_found(text, &findings(&sample), 1);
}
