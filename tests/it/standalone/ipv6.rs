//! Both address families, on either side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_tests::{
    backend::Backend,
    gateway::Weft,
    rawclient::RawClient,
    scripted::{Peer, Scripted},
    world::World,
};

async fn answer(mut peer: Peer) {
    while let Some(asked) = peer.head().await {
        let claimed = asked
            .lines()
            .find(|line| line.starts_with("x-forwarded-for"));
        let text = claimed.unwrap_or("nothing").to_owned();
        let length = text.len();
        peer.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"
        ))
        .await;
    }
}

#[tokio::test]
async fn either_family_reaches_either_family() {
    // On ::1 there is but one address, so tests that run at once need ports of their own.
    let port = 20_000 + u16::try_from(std::process::id() % 20_000).expect("small");
    let families: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for client in families {
        for endpoint in families {
            let backend = Scripted::start_on(endpoint, answer).await;
            let world = World::bare()
                .gateway(
                    "infra/edge",
                    &format!("{{name: http, port: {port}, protocol: HTTP}}"),
                )
                .service("shop/web", &[backend.address])
                .route(
                    "shop/web",
                    "rules: [{backendRefs: [{name: web, port: 80}]}]",
                );
            let weft = Weft::start_on(&world, 1, client);
            let mut connection = RawClient::connect(weft.gateway(port)).await;
            let seen = connection.ask("GET / HTTP/1.1\nhost: a").await;
            assert_eq!(seen.status, 200, "from {client} to {endpoint}");
            let expected = format!("x-forwarded-for: {client}");
            assert_eq!(seen.text(), expected, "from {client} to {endpoint}");
        }
    }
}

#[tokio::test]
async fn endpoints_of_both_families_serve_one_service() {
    let four = Backend::named("either").await;
    let six = Scripted::start_on(Ipv6Addr::LOCALHOST.into(), |mut peer| async move {
        while peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\neither")
                .await;
        }
    })
    .await;
    let world = World::new()
        .service("shop/web", &[four.address, six.address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for number in 0..50 {
        assert_eq!(
            client.ask("GET / HTTP/1.1\nhost: a").await.text(),
            "either",
            "{number}"
        );
    }
    assert!(
        four.requests() > 0 && six.connections() > 0,
        "both are used"
    );
}
