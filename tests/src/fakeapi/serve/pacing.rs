//! How late and how slowly a scripted API server answers.

use std::time::Duration;

use http::Response;

use super::super::fault::Fault;
use super::super::state::State;
use crate::body::{Body, fed};

/// An answer that comes one byte at a time.
pub(super) fn trickle(bytes: Vec<u8>, pace: Duration) -> Response<Body> {
    let (feed, body) = fed();
    tokio::spawn(async move {
        for byte in bytes {
            tokio::time::sleep(pace).await;
            if !feed.data(vec![byte]).await {
                return;
            }
        }
    });
    Response::new(body)
}

/// How late answers come.
pub(super) fn latency(state: &State) -> Option<Duration> {
    state.faults.iter().find_map(|fault| match fault {
        Fault::Latency(latency) => Some(*latency),
        _ => None,
    })
}

/// How slowly bodies come.
pub(in crate::fakeapi) fn pace(state: &State) -> Option<Duration> {
    state.faults.iter().find_map(|fault| match fault {
        Fault::Trickle(pace) => Some(*pace),
        _ => None,
    })
}
