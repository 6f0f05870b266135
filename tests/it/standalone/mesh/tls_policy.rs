//! Services under a BackendTLSPolicy that cannot be honoured.

use std::time::Duration;

use tokio::net::TcpStream;
use weft_tests::{backend::Backend, gateway::Weft, rawclient::RawClient, world::World};

use super::ask;

/// A policy for Service `shop/web`, named by this group, whose authorities do not exist.
fn policy(group: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, \
         metadata: {{name: tls, namespace: shop}}, spec: {{\
         targetRefs: [{{group: \"{group}\", kind: Service, name: web}}], \
         validation: {{hostname: web.shop, \
         caCertificateRefs: [{{group: \"\", kind: ConfigMap, name: none}}]}}}}}}"
    )
}

/// Routing section 7: nothing is passed through in plaintext to a Service that is to get TLS.
#[tokio::test]
async fn nothing_is_passed_through_under_a_tls_policy() {
    let web = Backend::named("web").await;
    let plain = World::bare().service_port("shop/web", "appProtocol: http", &[web.address]);
    let weft = Weft::start(&plain);
    assert_eq!(ask(&weft, "client", "/").await.0, 200, "before the policy");
    for group in ["", "core"] {
        weft.update(&plain.clone().with(&policy(group)));
        let before = web.connections();
        assert_eq!(ask(&weft, "client", "/").await.0, 500, "a request");
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        let call =
            "POST /a.B/C HTTP/1.1\nhost: a\ncontent-type: application/grpc\ncontent-length: 0";
        let answer = client.ask(call).await;
        let call = (answer.status, answer.field("grpc-status"));
        assert_eq!(call, (200, Some("14")), "a call is UNAVAILABLE");
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        client.send("SSH-2.0-test\r\n").await;
        assert!(
            !client.ends_in_order().await,
            "bytes that are no HTTP are reset"
        );
        assert_eq!(web.connections(), before, "nothing reached the back-end");
    }
    weft.update(&plain);
    assert_eq!(ask(&weft, "client", "/").await.0, 200, "after the policy");
    let undeclared = World::bare().service("shop/web", &[web.address]);
    weft.update(&undeclared.with(&policy("")));
    let reset = match TcpStream::connect(weft.mesh("client", "shop/web")).await {
        Ok(stream) => !RawClient::over(stream).ends_in_order().await,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    assert!(reset, "an opaque connection");
}

/// There is no Service to connect in case the server speaks first, and still time to ask.
#[tokio::test]
async fn a_silent_client_of_a_refused_port_still_gets_its_answer() {
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[])
        .with(&policy(""));
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    // A silence that is itself the subject: twice the one after which the Service is connected.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.status, 500);
}
