//! What is lost and what is gained.

use std::collections::BTreeSet;

use super::Ratchet;
use crate::tasks::conformance::Channel;

#[test]
fn a_listed_test_that_counts_and_does_not_pass_is_lost() {
    let lines = [
        "standard A",
        "standard B",
        "experimental C",
        "standard Mesh",
    ];
    let mut ratchet = Ratchet {
        channel: Channel::Standard,
        lines: lines.map(str::to_owned).into(),
    };
    let counted = BTreeSet::from(["A", "B", "C", "D"]);
    let passed = BTreeSet::from(["A", "D"]);
    assert_eq!(
        ratchet.lost(&counted, &passed),
        ["B"],
        "C is of the other channel, and the mesh did not run"
    );
    assert_eq!(ratchet.gain(&passed), 1, "only D is new");
    assert!(ratchet.lines.contains("standard D"), "D is kept");
    assert_eq!(ratchet.gain(&passed), 0, "nothing is gained twice");
}
