//! What the kubelet may connect to, and since when.

use super::*;

/// A member that is probed, of which the control plane has this address.
fn probed(ips: &[&str]) -> Arc<Roster> {
    let mut roster = Roster::clone(&roster(&["a"]));
    for standing in roster.pods.values_mut() {
        if let Standing::Member(member) = standing {
            let member = Arc::make_mut(member);
            member.ips = ips
                .iter()
                .map(|ip| ip.parse().expect("an address"))
                .collect();
            member.probes = BTreeSet::from([8080]);
        }
    }
    Arc::new(roster)
}

fn shown(told: &Told) -> Option<Vec<String>> {
    let probes = told.core.probes()?;
    Some(probes.iter().map(ToString::to_string).collect())
}

#[test]
fn a_pod_that_starts_is_probed_where_its_runtime_says_that_it_is() {
    let mut told = Told::new();
    assert_eq!(shown(&told), None, "nobody is known");
    told.tell(Event::Roster(probed(&[])));
    assert_eq!(shown(&told), Some(vec![]), "nor where it is");
    let mut question = add("a", 7, "c");
    if let Question::Add(sighting) = &mut question {
        sighting.ips = vec!["10.0.0.2".parse().expect("an address")];
    }
    told.ask(1, question);
    let here = Some(vec!["10.0.0.2:8080".to_owned()]);
    assert_eq!(shown(&told), here, "before the control plane knows");
    told.tell(Event::Roster(probed(&["10.0.0.2"])));
    assert_eq!(shown(&told), here, "and afterwards");
    told.ask(2, del("a", "c"));
    told.tell(Event::Roster(roster(&[])));
    assert_eq!(shown(&told), Some(vec![]), "it is gone");
}
