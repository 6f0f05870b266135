//! Handshakes of the client side, as whoever counts them hears of them.

use std::sync::{Arc, Mutex};

use weft_certs::Handshake;

use super::node::{Mesh, World};
use crate::{ConnectFailure, Handshakes, Pool, Timing};

/// What was heard: the group of those that came about, the reason of the others.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Handshakes for Heard {
    fn ended(&self, how: Result<Handshake, &ConnectFailure>) {
        let what = match how {
            Ok(handshake) => handshake.group.unwrap_or("none").to_owned(),
            Err(failure) => failure.reason().to_owned(),
        };
        self.0.lock().expect("nobody panics").push(what);
    }
}

/// Opens two streams, and says what was heard meanwhile.
async fn heard(mut world: World) -> Vec<String> {
    let heard = Arc::new(Heard::default());
    let counts = Arc::clone(&heard) as Arc<dyn Handshakes>;
    world.pool = Pool::counted(world.mesh.clock.clone(), Timing::default(), counts);
    for port in [80, 81] {
        // Whether it opens is told by what was heard.
        let _opened = world.open(port).await;
    }
    let heard = heard.0.lock().expect("nobody panics");
    heard.clone()
}

#[tokio::test(start_paused = true)]
async fn every_handshake_is_heard_of_once() {
    let heard = heard(World::new()).await;
    assert_eq!(heard, ["X25519MLKEM768"], "one connection for both streams");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_heard_of_with_the_reason() {
    let mesh = Mesh::new();
    let heard = heard(World::of(mesh, Some(&Mesh::new()))).await;
    let is_refusal = |reason: &String| reason.starts_with("peer_") || reason.contains("root");
    assert!(!heard.is_empty(), "attempts are heard of");
    assert!(heard.iter().all(is_refusal), "who it is: {heard:?}");
}
