//! The files of the suite, which every form of a mesh plays whole.

use std::path::PathBuf;

use super::{
    Mesh,
    runner::{Membership, failures},
};
use crate::binary::workspace;

/// Files of rows, of which each has a test of its own in each form.
pub const FILES: [&str; 13] = [
    "backends",
    "conflicts",
    "consumer",
    "families",
    "frontend",
    "parents",
    "precedence",
    "precedence-grpc",
    "redirect",
    "retry",
    "rewrite",
    "unmatched",
    "weights",
];

/// Where a file of rows is; `base` is the world that all others begin with.
#[must_use]
pub fn path(file: &str) -> PathBuf {
    workspace().join(format!("tests/mesh/{file}.yaml"))
}

/// Plays a file to two meshes: one whose pods are reached in the clear, one where they are members.
///
/// # Panics
/// With every row that does not hold.
pub async fn check<M: Mesh>(file: &str, start: impl AsyncFn() -> M) {
    let mut found = Vec::new();
    for membership in [Membership::Plain, Membership::Members] {
        let mesh = start().await;
        let failed = failures(&mesh, &path("base"), &path(file), membership).await;
        found.extend(
            failed
                .iter()
                .map(|failure| format!("{membership:?}: {failure}")),
        );
    }
    assert!(
        found.is_empty(),
        "tests/mesh/{file}.yaml, rows that do not hold:\n{}",
        found.join("\n")
    );
}
