//! What people see of traffic between members of the mesh: who called and who answered, and the
//! handshakes.

use std::{fs, path::Path};

use serde_json::Value;
use weft_telemetry::{
    access_log::{AccessLog, Config, Mode, Sink},
    metrics::{BuildInfo, LabelGroups, Registry},
};
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    gateway::Weft,
    rawclient::RawClient,
    wait::{PATIENCE, eventually},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
const ASK: &str = "GET /cart?token=1 HTTP/1.1\nhost: a";

/// A Service of one endpoint with a route, whose namespace is in the mesh or not.
fn world(backend: std::net::SocketAddr, label: &str) -> World {
    let world = World::new()
        .service_port("shop/web", "appProtocol: http", &[backend])
        .route("shop/web", ANY);
    world.with(&format!(
        "{{apiVersion: v1, kind: Namespace, \
         metadata: {{name: shop, labels: {{weft.dev/mesh: {label}}}}}}}"
    ))
}

/// A log of every request.
fn log(file: &Path) -> AccessLog {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    let config = Config {
        mode: Mode::All,
        sink: Sink::File(file.to_owned()),
        ..Config::default()
    };
    let counts = Registry::new(build, LabelGroups::default()).process();
    AccessLog::start(&config, counts).expect("a file")
}

/// The line about one request of a client of a namespace.
async fn logged(world: &World) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("access.log");
    let weft = Weft::start_with_log(world, log(&file));
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    client.ask(ASK).await;
    let text = || fs::read_to_string(&file).unwrap_or_default();
    eventually(PATIENCE, "the request is logged", || text().ends_with('\n')).await;
    let text = text();
    assert!(!text.contains("token"), "no query is logged: {text}");
    serde_json::from_str(&text).expect("one line of JSON")
}

#[tokio::test]
async fn the_access_log_says_who_answered() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let principal = "spiffe://cluster.local/ns/shop/sa/default";
    for (name, backend, label, status, expected) in [
        ("a member", web.address, "enabled", 200, Some(principal)),
        ("somebody else", web.address, "disabled", 200, None),
        ("nobody", nobody(), "enabled", 503, None),
    ] {
        let line = logged(&world(backend, label)).await;
        assert_eq!(line["status"], status, "{name}: {line}");
        let found = line["destination_principal"].as_str();
        assert_eq!(found, expected, "{name}: {line}");
    }
}

#[tokio::test]
async fn a_tunnel_is_counted_as_one_handshake() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let weft = Weft::start(&world(web.address, "enabled"));
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    for _ in 0..3 {
        assert_eq!(client.ask(ASK).await.status, 200, "it is served");
    }
    let counted = weft.metric(
        "weft_tls_handshakes_total",
        &["side=\"client\"", "version=\"1.3\"", "result=\"ok\""],
    );
    assert!(
        (counted - 1.0).abs() < f64::EPSILON,
        "one tunnel for three requests, and {counted} handshakes"
    );
}
