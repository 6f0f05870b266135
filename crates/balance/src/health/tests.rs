//! Length of ejections and the packed word.

use proptest::prelude::*;

use super::*;

const START: Health = Health {
    phase: Phase::Healthy,
    level: 0,
    until_us: 0,
};

#[test]
fn ejections_double_up_to_the_cap() {
    let mut health = START;
    let mut now_ns = 1_000 * SECOND_NS;
    for expected_s in [5, 10, 20, 40, 60, 60] {
        health = health.ejected(now_ns);
        let length_s = (health.until_ns() - now_ns) / SECOND_NS;
        assert_eq!(length_s, expected_s, "ejection {} in a row", health.level);
        now_ns = health.until_ns();
        health = health.in_phase(Phase::Trial);
    }
}

#[test]
fn good_conduct_is_rewarded() {
    let rows = [
        ("relapse at once", 0, 10),
        ("relapse after five minutes", 300, 10),
        ("relapse later", 301, 5),
    ];
    for (name, in_service_s, expected_s) in rows {
        let first = START.ejected(1_000 * SECOND_NS);
        let now_ns = first.until_ns() + in_service_s * SECOND_NS;
        let second = first.in_phase(Phase::Healthy).ejected(now_ns);
        assert_eq!(
            (second.until_ns() - now_ns) / SECOND_NS,
            expected_s,
            "{name}"
        );
    }
}

#[test]
fn who_is_admitted() {
    let ejected = START.ejected(100 * SECOND_NS);
    let rows = [
        ("healthy", START, 0, true),
        ("just ejected", ejected, 100, false),
        ("time not over", ejected, 104, false),
        ("time over", ejected, 105, true),
        ("on trial", ejected.in_phase(Phase::Trial), 200, false),
        ("recovered", ejected.in_phase(Phase::Healthy), 101, true),
    ];
    for (name, health, now_s, expected) in rows {
        assert_eq!(health.admits(now_s * SECOND_NS), expected, "{name}");
    }
}

#[test]
fn only_one_of_two_transitions_from_the_same_state_happens() {
    let cell = HealthCell::default();
    let seen = cell.load();
    assert!(
        cell.replace(seen, seen.ejected(SECOND_NS)),
        "the first ejection happens"
    );
    assert!(
        !cell.replace(seen, seen.ejected(SECOND_NS)),
        "the second one sees it is late"
    );
}

proptest! {
    #[test]
    fn packing_keeps_everything(
        until_us in 0_u64..1 << 56,
        level in 0..=MAX_LEVEL,
        phase in prop::sample::select(vec![Phase::Healthy, Phase::Ejected, Phase::Trial]),
    ) {
        let health = Health { phase, level, until_us };
        prop_assert_eq!(Health::unpack(health.pack()), health);
    }
}
