//! What is still done when another supervisor follows, and when the process ends.

use super::*;

fn removes(told: &mut Told, hold: Hold) {
    let did = told.hear(1, OfWorker::Released(hold));
    assert!(matches!(job(&did).1, Job::Remove(7)), "{did:?}");
    told.done(&did, Outcome::Removed);
    assert_eq!(told.core.leaving().count(), 0, "nothing is left to do");
}

#[test]
fn what_leaves_is_let_go_of_by_the_supervisor_that_began_it() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    assert_eq!(told.core.leaving().collect::<Vec<_>>(), [("a", false)]);
    told.core.retire();
    told.done(&did, Outcome::Stopped);
    let did = told.lingered();
    let (hold, _) = revoked(&did).expect("the worker drains");
    removes(&mut told, hold);
}

#[test]
fn what_stays_is_left_to_the_supervisor_that_follows() {
    let (mut told, _) = Told::started("a", 7, "c");
    told.core.retire();
    let did = told.after(60);
    assert!(did.is_empty(), "it is not verified: {did:?}");
    let did = told.tell(Event::Roster(roster(&[])));
    assert!(did.is_empty(), "nor let go of: {did:?}");
    assert_eq!(told.core.leaving().count(), 0);
}

#[test]
fn what_comes_back_belongs_to_the_supervisor_that_follows() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.core.retire();
    told.done(&did, Outcome::Stopped);
    told.tell(Event::Roster(roster(&["a"])));
    let did = told.lingered();
    assert!(did.is_empty(), "its rules are the other's: {did:?}");
}

#[test]
fn a_process_that_ends_cuts_short_what_drains_in_pods_that_leave() {
    let hurry = Duration::from_secs(1);
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.done(&did, Outcome::Stopped);
    told.core.retire();
    told.core.hurry(hurry);
    let did = told.lingered();
    let (hold, drain) = revoked(&did).expect("the worker drains");
    assert_eq!(drain, hurry);
    removes(&mut told, hold);

    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.done(&did, Outcome::Stopped);
    told.lingered();
    told.core.hurry(hurry);
    let did = told.after(hurry.as_secs());
    assert!(matches!(job(&did).1, Job::Remove(7)), "it drained: {did:?}");
}
