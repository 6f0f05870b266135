//! Living connections while a pod enters the mesh and leaves it.

use std::net::{SocketAddr, TcpListener, TcpStream};

use weft_intercept::{
    capture::{self, Family},
    sockets::Purpose,
};

use super::pair::{Pair, Stack, accept, can_make_namespaces, is_empty, of, round_trip};

const PORT: u16 = 8080;

/// The two ends of a connection, and whose it is.
struct Living(&'static str, Family, TcpStream, TcpStream);

fn goes_on(living: &mut [Living], when: &str) {
    for Living(whose, family, one, other) in living {
        let said = round_trip(one, other);
        said.unwrap_or_else(|error| panic!("{when}: {whose} connection, {family:?}: {error}"));
    }
}

/// A connection that is not captured, in each direction.
fn direct(pair: &Pair, listeners: &[(Family, TcpListener, TcpListener)]) -> Vec<Living> {
    let mut living = Vec::new();
    for (family, in_pod, in_peer) in listeners {
        let to = SocketAddr::new(pair.pod(*family), PORT);
        let client = pair.connect(&pair.peer, to).expect("the pod is reached");
        let (server, _) = accept(in_pod).expect("by the peer");
        living.push(Living("incoming", *family, client, server));
        let to = SocketAddr::new(pair.peer(*family), PORT);
        let client = pair.connect(&pair.pod, to).expect("the peer is reached");
        let (server, _) = accept(in_peer).expect("by the pod");
        living.push(Living("outgoing", *family, client, server));
    }
    living
}

#[test]
fn living_connections_survive_enrolment_and_its_end() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let servers = Family::ALL.map(|family| {
        let server = |netns| pair.listener(netns, family, PORT);
        (family, server(&pair.pod), server(&pair.peer))
    });
    let mut living = direct(&pair, &servers);
    goes_on(&mut living, "before");

    let listeners = pair.enrol();
    goes_on(&mut living, "enrolled");
    for family in Family::ALL {
        let to = SocketAddr::new(pair.pod(family), PORT);
        let client = pair.connect(&pair.peer, to).expect("the proxy is reached");
        let (server, _) = accept(of(&listeners, Purpose::Inbound, family)).expect("captured");
        living.push(Living("captured incoming", family, client, server));
        let to = SocketAddr::new(pair.peer(family), PORT);
        let client = pair.connect(&pair.pod, to).expect("the proxy is reached");
        let (server, _) = accept(of(&listeners, Purpose::Outbound, family)).expect("captured");
        living.push(Living("captured outgoing", family, client, server));
    }
    goes_on(&mut living, "captured");

    capture::stop(&pair.pod, &pair.settings).expect("it is stopped");
    living.extend(direct(&pair, &servers));
    goes_on(&mut living, "stopped");
    for listener in &listeners {
        assert!(is_empty(&listener.socket), "captured although stopped");
    }

    // What was captured has to end before the rest goes.
    living.retain(|Living(whose, ..)| !whose.starts_with("captured"));
    capture::remove(&pair.pod).expect("it is removed");
    drop(listeners);
    goes_on(&mut living, "removed");
    living.extend(direct(&pair, &servers));
    goes_on(&mut living, "as before");
}

#[test]
fn captured_connections_survive_other_rules() {
    if !can_make_namespaces() {
        return;
    }
    let mut pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    let mut living = Vec::new();
    for family in Family::ALL {
        let to = SocketAddr::new(pair.peer(family), PORT);
        let client = pair.connect(&pair.pod, to).expect("the proxy is reached");
        let (server, _) = accept(of(&listeners, Purpose::Outbound, family)).expect("captured");
        living.push(Living("captured", family, client, server));
    }
    pair.settings.captures_dns = true;
    let report = pair.apply();
    assert_eq!(
        report.faults,
        [capture::Fault::OtherRules],
        "what was changed"
    );
    goes_on(&mut living, "with other rules");
}

#[test]
fn leaving_takes_everything_away_and_may_be_repeated() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let without = |faults: &[capture::Fault]| {
        let harmless = [capture::Fault::LoopbackDown, capture::Fault::NoMigration];
        let rest = faults.iter().filter(|it| !harmless.contains(it));
        rest.copied().collect::<Vec<_>>()
    };
    let before = without(&pair.inspect().faults);
    drop(pair.enrol());
    assert_eq!(pair.inspect().faults, [], "captured");
    for _ in 0..2 {
        capture::stop(&pair.pod, &pair.settings).expect("it is stopped");
        capture::remove(&pair.pod).expect("it is removed");
        assert_eq!(
            without(&pair.inspect().faults),
            before,
            "nothing of ours is left"
        );
    }
}
