//! The feature slice against the figures of the specification.

use std::collections::BTreeSet;

use super::{ALL, Channel, supported};

#[test]
fn the_slice_holds_every_feature_of_v1_6_1_once() {
    let names: BTreeSet<_> = ALL.iter().map(|feature| feature.name).collect();
    assert_eq!(names.len(), ALL.len(), "a feature is listed twice");
    assert_eq!(ALL.len(), 58, "routing.md section 11: 58 features");
    let experimental = ALL
        .iter()
        .filter(|f| f.channel == Channel::Experimental)
        .count();
    assert_eq!(
        experimental, 5,
        "routing.md section 11: 5 of them experimental"
    );
}

#[test]
fn status_lists_are_sorted_by_name() {
    for channel in [Channel::Standard, Channel::Experimental] {
        let names: Vec<_> = supported(channel).map(|feature| feature.name).collect();
        assert!(
            names.is_sorted(),
            "supportedFeatures must ascend by name ({channel:?})"
        );
        assert!(names.len() <= 64, "the schema allows 64 entries");
    }
}

#[test]
fn experimental_features_are_not_claimed_on_the_standard_channel() {
    assert!(
        supported(Channel::Standard).all(|feature| feature.channel == Channel::Standard),
        "standard CRDs have no field for an experimental feature"
    );
}
