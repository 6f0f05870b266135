//! What is asked for, and when.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use tokio::sync::mpsc::{Receiver, channel};

use super::*;

/// A pod, and what its worker says to the supervisor.
fn pod() -> (Broker, OfPod, Receiver<Report>) {
    let parent = Parent::default();
    let (say, said) = channel(8);
    parent.is_now(Some(say));
    let broker = Broker::new(parent);
    let pod = broker.of(Held::default());
    (broker, pod, said)
}

/// Sockets that were asked for last, if any were.
fn asked(said: &mut Receiver<Report>) -> Option<(u32, u32)> {
    match said.try_recv().ok()? {
        Report::Want(want) => Some((want.family, want.count)),
        other => panic!("it says {other:?}"),
    }
}

/// The answer to a question; any descriptor is a socket here.
async fn answer(broker: &Broker, family: Family, count: u32) {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let sockets = (0..count).map(|_| any().into()).collect();
    let said = Sockets {
        family: number(family),
        ..Sockets::default()
    };
    broker.take(Held::default(), &said, sockets).await;
}

#[tokio::test]
async fn the_first_connection_of_a_pod_does_not_wait_for_the_supervisor() {
    let (broker, pod, mut said) = pod();
    let v4 = number(Family::V4);
    pod.begin(&[Ipv4Addr::LOCALHOST.into()]).await;
    assert_eq!(asked(&mut said), Some((v4, FIRST)), "at once, and a few");
    answer(&broker, Family::V4, FIRST).await;
    assert_eq!(asked(&mut said), None, "nobody has needed one yet");

    let first = pod.socket(Family::V4).await;
    first.expect("without any answer of the supervisor");
    assert_eq!(asked(&mut said), Some((v4, BATCH)), "more for the next");
    pod.begin(&[Ipv4Addr::LOCALHOST.into()]).await;
    assert_eq!(asked(&mut said), None, "once");
}

#[tokio::test]
async fn sockets_are_asked_for_of_the_families_that_a_pod_has_addresses_of() {
    let (_broker, pod, mut said) = pod();
    let dual = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    pod.begin(&dual).await;
    let (v4, v6) = (number(Family::V4), number(Family::V6));
    assert_eq!(asked(&mut said), Some((v4, FIRST)));
    assert_eq!(asked(&mut said), Some((v6, FIRST)));
    assert_eq!(asked(&mut said), None);
}
