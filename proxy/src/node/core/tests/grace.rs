//! Who takes plaintext for a while although it is to refuse it.

use super::{super::grace::GRACE, *};

/// Whether a pod takes plaintext, as its worker was told last.
fn is_lenient(did: &Did, before: bool) -> bool {
    let mut told = did.iter().filter_map(|action| match action {
        Action::Assign(_, _, _, pod) => Some(pod.is_lenient),
        Action::Lenient(_, _, _, is_lenient) => Some(*is_lenient),
        _ => None,
    });
    told.next_back().unwrap_or(before)
}

/// Captures a pod up to its rules; whether it takes plaintext meanwhile.
fn captures(told: &mut Told, did: &Did, had_rules: bool) -> (Did, bool) {
    told.hear(1, OfWorker::Ready);
    told.hear(1, OfWorker::Identified(identity()));
    let did = told.done(did, Outcome::Listening(7, had_rules));
    let was_lenient = is_lenient(&did, false);
    (told.hear(1, OfWorker::Taken(assigned(&did))), was_lenient)
}

fn found(told: &mut Told) -> Did {
    told.tell(Event::Scanned(vec![Seen {
        uid: "a".to_owned(),
        id: id(7),
        netns: 7,
    }]))
}

/// Whether plaintext is taken: before the rules are in force, then, just before the end of the time, and
/// at its end.
fn check(row: &str, starts: bool, had_rules: bool, expected: [bool; 4]) {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a"])));
    let did = if starts {
        told.tell(Event::Scanned(Vec::new()));
        told.ask(1, add("a", 7, "c"))
    } else {
        found(&mut told)
    };
    let (did, before) = captures(&mut told, &did, had_rules);
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    let in_force = is_lenient(&did, before);
    let did = told.after(GRACE.as_secs() - 1);
    let still = is_lenient(&did, in_force);
    if still {
        assert_eq!(
            told.core.wakes_at(),
            Some(told.now + Duration::from_secs(1)),
            "{row}: it ends by itself"
        );
    }
    let did = told.after(1);
    let at_last = is_lenient(&did, still);
    assert_eq!([before, in_force, still, at_last], expected, "{row}");
}

#[test]
fn who_ran_before_it_was_captured_takes_plaintext_for_a_while() {
    let (never, while_new) = ([false; 4], [true, true, true, false]);
    check("it runs", false, false, while_new);
    check("it runs and was captured before", false, true, never);
    check("it starts", true, false, never);
    check("it starts where there were rules", true, true, never);
}

#[test]
fn another_worker_learns_how_it_stands() {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a"])));
    let did = found(&mut told);
    let (did, _) = captures(&mut told, &did, false);
    told.done(&did, Outcome::InForce(Verdict::default()));
    let did = told.hear(2, OfWorker::Ready);
    assert!(is_lenient(&did, false), "the time is not over: {did:?}");
    told.hear(2, OfWorker::Taken(assigned(&did)));
    told.after(GRACE.as_secs());
    let did = told.hear(3, OfWorker::Ready);
    assert!(!is_lenient(&did, true), "it is over: {did:?}");
}

#[test]
fn who_comes_back_while_it_leaves_takes_plaintext_again() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.done(&did, Outcome::Stopped);
    let did = told.tell(Event::Roster(roster(&["a"])));
    assert!(
        is_lenient(&did, false),
        "its peers took it for none: {did:?}"
    );
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert!(is_lenient(&did, true), "{did:?}");
    let did = told.after(GRACE.as_secs());
    assert!(!is_lenient(&did, true), "{did:?}");
}

#[test]
fn nobody_is_left_taking_plaintext_when_another_supervisor_follows() {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a"])));
    let did = found(&mut told);
    captures(&mut told, &did, false);
    let did = told.core.retire();
    assert!(!is_lenient(&did, true), "{did:?}");
}
