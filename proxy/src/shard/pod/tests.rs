//! A pod whose clients come faster than they are served.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{io::AsyncReadExt as _, net::TcpStream, task::yield_now};
use weft_certs::Clock;
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{BuildInfo, LabelGroups, Registry},
};

use super::{super::parent::Parent, *};
use crate::shard::outbound;

/// Nobody's worker yet.
fn common(rounds: &Rounds) -> Common {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    let registry = Registry::new(build, LabelGroups::default());
    let outbound = Outbound::start(outbound::Config {
        registry: registry.clone(),
        access_log: AccessLog::off(),
        seed: 1,
        platform: None,
    });
    let parent = Parent::default();
    Common {
        broker: Broker::new(parent.clone()),
        identities: Identities::new(parent, Clock::system(), 1, &registry),
        counts: Arc::new(Counts::new(&registry)),
        outbound: outbound.expect("within a runtime"),
        open: Arc::default(),
        rounds: rounds.clone(),
    }
}

/// A pod with one listener.
fn given(listener: TcpListener) -> Given {
    Given {
        held: Held::default(),
        pod: "shop/web".to_owned(),
        uid: "of the pod".to_owned(),
        identity: String::new(),
        ips: vec![Ipv4Addr::LOCALHOST.into()],
        is_strict: true,
        is_lenient: false,
        listeners: vec![(Purpose::Inbound, Family::V4, listener)],
        sockets: BTreeSet::new(),
    }
}

/// How many of them have been refused by now, as all will be: nothing has redirected them.
fn refused(clients: &[TcpStream]) -> usize {
    let is_refused = |client: &&TcpStream| match client.try_read(&mut [0]) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    clients.iter().filter(is_refused).count()
}

#[tokio::test]
async fn a_flood_waits_in_the_listener_of_its_own_pod() {
    const FLOOD: usize = 100;
    let rounds = Rounds::default();
    let common = common(&rounds);
    // There is another pod, which does little.
    rounds.share().turn().await;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut clients = Vec::new();
    for _ in 0..FLOOD {
        clients.push(
            TcpStream::connect(address)
                .await
                .expect("the backlog has room"),
        );
    }
    let pod = Pod::serve(given(listener), &common).expect("it has no identity");
    // No round follows the first one, however often everybody is asked.
    for _ in 0..10 * FLOOD {
        yield_now().await;
    }
    let served = refused(&clients);
    assert!(
        served < FLOOD / 4,
        "{served} of {FLOOD} were served in one round"
    );
    let taken = common.open.load(std::sync::atomic::Ordering::Relaxed);
    assert!(
        taken < FLOOD as u64 / 4,
        "{taken} of {FLOOD} were taken, and wait"
    );
    // With rounds everybody has their turn.
    let dealing = tokio::spawn(async move { rounds.deal().await });
    for client in &mut clients {
        drop(client.read_u8().await.expect_err("it is refused"));
    }
    pod.drain(Ending::within(Duration::ZERO)).await;
    dealing.abort();
}
