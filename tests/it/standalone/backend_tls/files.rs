//! `weft run`: authorities in files, followed as they change.

use std::net::SocketAddr;

use serde_json::Value;
use weft_tests::{
    binary::Run,
    pki::Ca,
    rawclient::RawClient,
    wait::{PATIENCE, eventually, soon},
    world::World,
};

use super::{ANY, CA, GOOD, NAME, secure};

/// Where the Gateway listens.
async fn edge(run: &Run) -> SocketAddr {
    let mut found = None;
    eventually(PATIENCE, "the state says where the Gateway listens", || {
        let text = run.state("state.yaml").unwrap_or_default();
        let state: Value = serde_saphyr::from_str(&text).unwrap_or_default();
        let entry = &state["gateways"]["infra/edge"];
        let address = entry["address"].as_str().unwrap_or_default();
        found = format!("{address}:{}", entry["ports"]["8080"]).parse().ok();
        found.is_some()
    })
    .await;
    found.expect("an address")
}

#[tokio::test]
async fn authorities_are_followed() {
    let (ca, other) = (Ca::new(), Ca::new());
    let backend = secure(&ca, GOOD).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY)
        .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"));
    let authorities = |pem: &str| World::raw(String::new()).authorities("shop/ca", pem);
    let file = |name: &str, world: &World| (name.to_owned(), world.yaml().to_owned());
    let run = Run::start(&[
        file("world.yaml", &world),
        file("ca.yaml", &authorities(&ca.pem)),
    ]);
    let at = edge(&run).await;
    let rows = [
        ("at first", &ca.pem, 200, "the targets get TLS as"),
        (
            "of somebody else",
            &other.pem,
            502,
            "the targets get TLS as",
        ),
        ("empty", &String::new(), 500, "NoValidCACertificate"),
        ("again", &ca.pem, 200, "the targets get TLS as"),
    ];
    for (name, pem, expected, said) in rows {
        run.write("ca.yaml", authorities(pem).yaml());
        let answered = async {
            let mut client = RawClient::connect(at).await;
            while client.ask("GET / HTTP/1.1\nhost: a").await.status != expected {
                client = RawClient::connect(at).await;
            }
        };
        soon(&format!("authorities {name}: {expected}"), answered).await;
        let is_said = || {
            let status = run.state("status/BackendTLSPolicy/shop/tls.yaml");
            status.is_some_and(|status| status.contains(said))
        };
        eventually(PATIENCE, &format!("authorities {name}: {said}"), is_said).await;
    }
}
