//! The side of a replica that does not lead: tells the one that does, and decides from how that goes
//! whether proxies may be served.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Uri;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weft_certs::Identity;
use weft_source::kube::Leader;
use weft_wire::limits::MESSAGE_BYTES;

use super::{
    PATIENCE, address,
    dial::{DialError, dial},
};
use crate::{
    hub::{Hub, Told},
    proto::replicas::replicas_client::ReplicasClient,
};

/// Delays between two attempts.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// The link of this replica to the one that leads, whoever that is.
pub(crate) struct Link {
    pub(crate) hub: Arc<Hub>,
    /// The identity that all replicas have.
    pub(crate) identity: Identity,
    /// Name of this replica.
    pub(crate) replica: String,
    pub(crate) leader: watch::Receiver<Leader>,
    /// Whether proxies may be served here.
    pub(crate) serves: watch::Sender<bool>,
}

/// Why the leader is not told.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("its Lease does not say where it is; start the controller with --advertise")]
    Nowhere,
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{}", .0.message())]
    Status(Box<Status>),
    #[error("it has ended the stream")]
    Ended,
}

impl Link {
    /// Follows whoever leads, for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        loop {
            let leader = self.leader.borrow_and_update().clone();
            let mut changes = self.leader.clone();
            let following = async {
                match leader {
                    // Nothing is served before it is known who writes statuses.
                    Leader::Unknown => {}
                    Leader::This | Leader::Nobody => {
                        self.serves.send_replace(true);
                    }
                    Leader::Other(leader) => self.follow(&leader).await,
                }
                std::future::pending::<Infallible>().await
            };
            // Both can be dropped; the streams of a link end with it.
            let changed = tokio::select! {
                never = following => match never {},
                changed = changes.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Tells one leader.
    async fn follow(&self, leader: &str) {
        let (linked, seen) = watch::channel(false);
        // Neither ends.
        tokio::join!(self.attempt(leader, &linked), self.judge(leader, seen));
    }

    /// Serves while the leader is told, and for a while longer.
    async fn judge(&self, leader: &str, mut linked: watch::Receiver<bool>) {
        loop {
            let linking = async { linked.wait_for(|linked| *linked).await.is_ok() };
            match timeout(PATIENCE, linking).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_elapsed) => {
                    if self.serves.send_replace(false) {
                        tracing::error!(leader, "serving no proxies until the leader can be told");
                    }
                    if linked.wait_for(|linked| *linked).await.is_err() {
                        return;
                    }
                }
            }
            self.serves.send_replace(true);
            if linked.wait_for(|linked| !*linked).await.is_err() {
                return;
            }
        }
    }

    /// Opens one stream after the other.
    async fn attempt(&self, leader: &str, linked: &watch::Sender<bool>) {
        let mut delay = FIRST_DELAY;
        let mut said = String::new();
        loop {
            let Err(error) = self.tell(leader, linked).await;
            if linked.send_replace(false) {
                delay = FIRST_DELAY;
            }
            let error = error.to_string();
            if error != said {
                tracing::warn!(
                    leader,
                    "the leader is not told what proxies have taken: {error}"
                );
                said = error;
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// One stream, to its end.
    async fn tell(
        &self,
        leader: &str,
        linked: &watch::Sender<bool>,
    ) -> Result<Infallible, LinkError> {
        let ended = |status| LinkError::Status(Box::new(status));
        let address = address(leader).ok_or(LinkError::Nowhere)?;
        let connection = dial(address, &self.identity).await?;
        let mut changes = self.hub.news();
        let mut told = Told::default();
        let mut first = self.hub.report(&mut told).unwrap_or_default();
        first.replica.clone_from(&self.replica);
        let (sender, reports) = mpsc::channel(1);
        sender.send(first).await.map_err(|_| LinkError::Ended)?;
        let origin = Uri::from_static("https://replicas.weft.dev");
        let mut client = ReplicasClient::with_origin(connection, origin)
            .max_encoding_message_size(MESSAGE_BYTES);
        let opened = client.report(ReceiverStream::new(reports)).await;
        let mut answers = opened.map_err(ended)?.into_inner();
        tracing::info!(leader, "the leader is told what proxies have taken");
        // It says anew what it has said before.
        self.hub.departed_by_word(Vec::new());
        linked.send_replace(true);
        loop {
            // Both can be dropped: what was not received stays, and the count stays changed.
            tokio::select! {
                answer = answers.message() => match answer.map_err(ended)? {
                    Some(answer) => self.hub.departed_by_word(answer.departed),
                    None => return Err(LinkError::Ended),
                },
                Ok(()) = changes.changed() => if let Some(report) = self.hub.report(&mut told) {
                    sender.send(report).await.map_err(|_| LinkError::Ended)?;
                },
            }
        }
    }
}
