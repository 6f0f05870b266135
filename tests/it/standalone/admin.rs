//! The admin endpoint: on loopback only, for loopback names only, read-only, and truthful.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use weft_proxy::admin::{Admin, AdminError, MetricsText, State};
use weft_tests::{
    rawclient::{RawClient, head},
    wait::Expected,
};

/// A state whose readiness the test decides.
struct Fixed {
    is_ready: AtomicBool,
}

impl State for Fixed {
    fn metrics(&self) -> MetricsText<'_> {
        Box::pin(std::future::ready("# EOF\n".to_owned()))
    }

    fn ready(&self) -> Result<(), String> {
        match self.is_ready.load(Relaxed) {
            true => Ok(()),
            false => Err("one file is still loading".to_owned()),
        }
    }

    fn config(&self) -> String {
        "{}".to_owned()
    }
}

async fn serve() -> (std::net::SocketAddr, Arc<Fixed>) {
    let admin = Admin::bind(([127, 0, 0, 1], 0).into())
        .await
        .expected("a port");
    let address = admin.address().expected("its address");
    let state = Arc::new(Fixed {
        is_ready: AtomicBool::new(false),
    });
    tokio::spawn(admin.serve(Arc::clone(&state) as Arc<dyn State>));
    (address, state)
}

#[tokio::test]
async fn it_shows_what_there_is_and_changes_nothing() {
    let (address, _state) = serve().await;
    let rows = [
        ("GET / HTTP/1.1\nhost: localhost", 200),
        ("GET /healthz HTTP/1.1\nhost: localhost:1", 200),
        ("GET /metrics HTTP/1.1\nhost: 127.0.0.1", 200),
        ("GET /config HTTP/1.1\nhost: [::1]:15000", 200),
        ("GET /metrics?x=1 HTTP/1.1\nhost: LOCALHOST", 200),
        ("GET /quitquitquit HTTP/1.1\nhost: localhost", 404),
        (
            "POST /metrics HTTP/1.1\nhost: localhost\ncontent-length: 0",
            405,
        ),
        ("DELETE /config HTTP/1.1\nhost: localhost", 405),
        ("GET /config HTTP/1.1\nhost: rebound.example", 403),
        ("GET /config HTTP/1.1\nhost: 127.0.0.1.example", 403),
        ("GET /config HTTP/1.1\nhost: 10.0.0.1", 403),
        ("GET /config HTTP/1.1", 403),
    ];
    for (asked, status) in rows {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.ask(asked).await.status, status, "{asked}");
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let (address, state) = serve().await;
    let mut client = RawClient::connect(address).await;
    let answer = client.ask("GET /readyz HTTP/1.1\nhost: localhost").await;
    assert_eq!(answer.status, 503, "not yet");
    assert!(
        answer.text().contains("one file is still loading"),
        "{}",
        answer.text()
    );
    state.is_ready.store(true, Relaxed);
    assert_eq!(
        client
            .ask("GET /readyz HTTP/1.1\nhost: localhost")
            .await
            .status,
        200,
        "now"
    );
    client
        .send(head("HEAD /readyz HTTP/1.1\nhost: localhost"))
        .await;
    assert_eq!(client.answer_to("HEAD").await.status, 200, "without a body");
}

#[tokio::test]
async fn metrics_have_their_content_type() {
    let (address, _state) = serve().await;
    let mut client = RawClient::connect(address).await;
    let answer = client.ask("GET /metrics HTTP/1.1\nhost: localhost").await;
    let content_type = answer.field("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("application/openmetrics-text"),
        "{content_type}"
    );
    assert_eq!(answer.text(), "# EOF\n");
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Admin::bind(address.parse().expect("an address")).await;
        assert!(
            matches!(refused, Err(AdminError::NotLoopback(_))),
            "{address}: {refused:?}"
        );
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expected("a port");
    let refused = Admin::bind(taken.local_addr().expected("its address")).await;
    assert!(
        matches!(refused, Err(AdminError::Bind { .. })),
        "a port that is taken: {refused:?}"
    );
}
