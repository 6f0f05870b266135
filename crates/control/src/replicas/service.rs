//! The side of the replica that leads: hears what the proxies of the others have taken.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_certs::{Clock, PeerIdentity};
use weft_spiffe::SpiffeId;
use weft_wire::proto::replicas::{ReportRequest, ReportResponse};

use crate::{
    door::{ended, left},
    hub::Hub,
    proto::replicas::replicas_server::Replicas,
};

/// So long a replica may take for its first report.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at how long the certificate of a replica is good.
const LOOK: Duration = Duration::from_secs(30);
/// Answers that may wait for a replica to read them.
const ANSWERS: usize = 16;
/// Longest name of a replica that is taken.
const NAME_BYTES_MAX: usize = 512;

/// The service.
pub(crate) struct ReplicasService {
    pub(crate) hub: Arc<Hub>,
    /// The identity that all replicas have.
    pub(crate) own: SpiffeId,
    pub(crate) clock: Clock,
    pub(crate) leads: watch::Receiver<bool>,
    /// Turns true when streams have to end.
    pub(crate) ends: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl Replicas for ReplicasService {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let peer = request.extensions().get::<PeerIdentity>().cloned();
        let Some(peer) = peer.filter(|peer| peer.id == self.own) else {
            tracing::warn!("reports refused: the peer is no replica");
            return Err(Status::permission_denied("not allowed"));
        };
        if !*self.leads.borrow() {
            return Err(Status::unavailable("this replica does not lead"));
        }
        let mut reports = request.into_inner();
        let first = tokio::time::timeout(PATIENCE, reports.message()).await;
        let first = first.map_err(|_elapsed| Status::deadline_exceeded("no report"))??;
        let named = first.filter(|first| {
            let bytes = first.replica.len();
            bytes > 0 && bytes <= NAME_BYTES_MAX
        });
        let first = named.ok_or_else(|| Status::invalid_argument("the replica has no name"))?;
        let replica = first.replica.clone();
        let link = self.hub.link(&replica);
        tracing::info!(replica, "another replica reports");
        self.hub
            .reported_by((&replica, link), first, self.clock.read().monotonic);
        let (sender, receiver) = mpsc::channel(ANSWERS);
        let listening = Listening {
            hub: Arc::clone(&self.hub),
            clock: self.clock.clone(),
            replica,
            link,
            vouched_until_unix_s: peer.not_after_unix_s,
            reports,
            sender,
            departed: BTreeSet::new(),
            leads: self.leads.clone(),
            ends: self.ends.clone(),
        };
        // Ends with the stream, which either side can end.
        tokio::spawn(listening.run());
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// One stream of reports.
struct Listening {
    hub: Arc<Hub>,
    clock: Clock,
    replica: String,
    link: u64,
    vouched_until_unix_s: i64,
    reports: Streaming<ReportRequest>,
    sender: mpsc::Sender<Result<ReportResponse, Status>>,
    /// What it was told.
    departed: BTreeSet<Arc<str>>,
    leads: watch::Receiver<bool>,
    ends: watch::Receiver<bool>,
}

impl Listening {
    async fn run(mut self) {
        let why = self.listen().await;
        tracing::info!(
            replica = self.replica,
            "another replica reports no more: {why}"
        );
        // Who does not read sees the stream end without a word.
        let _closed = self.sender.try_send(Err(Status::unavailable(why)));
        let now = self.clock.read().monotonic;
        self.hub.unlink((&self.replica, self.link), now);
    }

    /// Hears reports; returns why no more.
    async fn listen(&mut self) -> &'static str {
        let mut changes = self.hub.reports();
        changes.mark_changed();
        loop {
            let left = left(self.vouched_until_unix_s, &self.clock);
            if left.is_zero() {
                return "its certificate has expired";
            }
            // Every branch can be dropped: a message that was not received stays.
            let report = tokio::select! {
                // Wall clocks jump: look from time to time.
                () = tokio::time::sleep(left.min(LOOK)) => continue,
                () = ended(&mut self.ends) => return "this replica is stopping",
                _lost = self.leads.wait_for(|leads| !*leads) => return "this replica does not lead",
                () = self.sender.closed() => return "it has closed the stream",
                Ok(()) = changes.changed() => None,
                report = self.reports.message() => Some(report),
            };
            let report = match report {
                Some(Ok(Some(report))) => report,
                Some(_) => return "the stream has ended",
                None if self.tell_departed() => continue,
                None => return "it does not read what it is told",
            };
            let now = self.clock.read().monotonic;
            self.hub
                .reported_by((&self.replica, self.link), report, now);
        }
    }

    /// Tells it which pods no proxy reaches any more, if these are others than it was told. Whether there is
    /// room for that.
    fn tell_departed(&mut self) -> bool {
        let departed = self.hub.departed(self.clock.read().monotonic);
        if departed == self.departed {
            return true;
        }
        let answer = ReportResponse {
            departed: departed.iter().map(ToString::to_string).collect(),
        };
        self.departed = departed;
        self.sender.try_send(Ok(answer)).is_ok()
    }
}
