//! Tests of `ports`: which port stands in for which.

use std::collections::BTreeMap;

use super::{Ports, Probe, Verdict};

/// An ordinary user's machine on which somebody has 8080 and 9443 on all addresses.
struct Machine;

impl Probe for Machine {
    fn probe(&self, port: u16) -> Verdict {
        match port {
            0..1024 => Verdict::Privileged,
            8443 | 9100 => Verdict::Taken,
            _ => Verdict::Open,
        }
    }
}

fn check(case: &str, mapped: &[(u16, u16)], expected: &[(u16, u16)]) {
    let mapped = mapped.iter().copied().collect();
    let mut ports = Ports::new(mapped, Box::new(Machine));
    let found = ports.listen_on(expected.iter().map(|(port, _)| *port));
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    assert_eq!(found, expected, "{case}");
}

#[test]
fn ports_find_their_place() {
    check("open ports stay", &[], &[(3000, 3000), (8080, 8080)]);
    check("low ports move up by 8000", &[], &[(80, 8080), (81, 8081)]);
    check(
        "the place is taken by a port of the same object",
        &[],
        &[(80, 9080), (8080, 8080)],
    );
    check("the place is taken by another process", &[], &[(443, 9443)]);
    check("a taken port moves too", &[], &[(9100, 17100)]);
    check(
        "the user's word wins",
        &[(80, 7000)],
        &[(80, 7000), (81, 8081)],
    );
    check(
        "also over a port that could have stayed",
        &[(80, 3000)],
        &[(80, 3000), (3000, 4000)],
    );
    check("the top wraps", &[], &[(65535, 65535)]);
}

#[test]
fn a_verdict_is_asked_for_once_until_it_fails() {
    struct Once(std::sync::atomic::AtomicBool);
    impl Probe for Once {
        fn probe(&self, _: u16) -> Verdict {
            match self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
                false => Verdict::Open,
                true => Verdict::Taken,
            }
        }
    }
    let mut ports = Ports::new(BTreeMap::new(), Box::new(Once(false.into())));
    assert_eq!(ports.verdict(3000), Verdict::Open);
    assert_eq!(ports.verdict(3000), Verdict::Open, "remembered");
    assert_eq!(ports.ask_again(3000), Verdict::Taken, "asked again");
}
