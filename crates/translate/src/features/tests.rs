//! The feature slice against the figures of the specification.

use std::collections::BTreeSet;

use super::{ALL, Channel, Speaker, status_list, supported};

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
        for speaker in [Speaker::GatewayClass, Speaker::Mesh] {
            let names = stated(channel, speaker);
            let ascending = names.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(
                ascending,
                "supportedFeatures must ascend by name ({speaker:?}, {channel:?})"
            );
            assert!(names.len() <= 64, "the schema allows 64 entries");
        }
    }
}

fn stated(channel: Channel, speaker: Speaker) -> Vec<String> {
    let list = status_list(channel, speaker).into_iter();
    list.map(|feature| feature.name).collect()
}

#[test]
fn a_class_states_no_mesh_a_mesh_no_gateway_and_between_them_everything() {
    let channel = Channel::Experimental;
    let class = stated(channel, Speaker::GatewayClass);
    let mesh = stated(channel, Speaker::Mesh);
    for feature in supported(channel) {
        let by = |list: &[String]| list.iter().any(|name| name == feature.name);
        let expected = (feature.resource != "Mesh", feature.resource != "Gateway");
        let found = (by(&class), by(&mesh));
        assert_eq!(found, expected, "{} by (class, mesh)", feature.name);
    }
}

#[test]
fn experimental_features_are_not_claimed_on_the_standard_channel() {
    assert!(
        supported(Channel::Standard).all(|feature| feature.channel == Channel::Standard),
        "standard CRDs have no field for an experimental feature"
    );
}
