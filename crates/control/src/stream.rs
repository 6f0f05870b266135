//! `Config.Stream`: one stream per proxy, which is sent its part of the configuration and says what it
//! has taken.
//!
//! A stream is a task with at most one unanswered message, so a proxy that does not read costs that
//! message and delays nobody.

mod authorise;
mod bundles;
mod node;

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_api::{ObjectKey, ObjectRef};
use weft_certs::{Clock, PeerIdentity, SignerRoots};
use weft_ir::RouteKind;
use weft_spiffe::TrustDomain;
use weft_telemetry::metrics::ConfigMetrics;
use weft_wire::{
    Key, Kind, Problem, Publisher, Session, SubscriberError,
    proto::config::{ClientMessage, Hello, ServerMessage, client_message::Message},
};

use self::bundles::Bundles;
use crate::{
    door::{ended, left},
    hub::{Hub, JoinError, Seat, whose},
    identity::{Tokens, bearer},
    proto::config::config_server::Config,
};

/// So long a proxy may take for its first message, and for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that may be unanswered: a delta, and a bundle.
const UNANSWERED: usize = 2;
/// What a proxy is told that has come to a replica which cannot tell the leader about it.
const ELSEWHERE: &str = "this replica serves nobody now; call another one";
/// What a metric says of a resource that a proxy did not understand.
const NOT_UNDERSTOOD: &str = "NotUnderstood";

/// The service.
pub(crate) struct ConfigService {
    pub(crate) hub: Arc<Hub>,
    pub(crate) domain: TrustDomain,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ConfigMetrics>,
    /// Whether this replica serves: whoever writes statuses knows what its proxies have taken.
    pub(crate) serves: watch::Receiver<bool>,
    /// Turns true when streams have to end.
    pub(crate) ends: watch::Receiver<bool>,
    /// Whom proxies are to trust.
    pub(crate) roots: watch::Receiver<SignerRoots>,
    /// Over which time they renew when another certificate issues.
    pub(crate) spread: Duration,
    /// Tells whose a token is.
    pub(crate) tokens: Arc<Tokens>,
    /// Namespace and name of the service account of the proxies of nodes; `None` where there is no
    /// mesh.
    pub(crate) nodes: Option<(String, String)>,
}

#[tonic::async_trait]
impl Config for ConfigService {
    type StreamStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        if !*self.serves.borrow() {
            return Err(Status::unavailable(ELSEWHERE));
        }
        let peer = request.extensions().get::<PeerIdentity>().cloned();
        let peer = peer.ok_or_else(|| Status::unauthenticated("no certificate"))?;
        let token = bearer(request.metadata()).map(str::to_owned);
        let mut messages = request.into_inner();
        let hello = hello(&mut messages).await?;
        let gateway = self.authorise(&peer, &hello, token.as_deref()).await?;
        let mut publisher = Publisher::new();
        let session = publisher.connect(&hello).map_err(said_wrong)?;
        let seat = self
            .hub
            .join(&gateway, &hello.instance)
            .map_err(|error| match error {
                JoinError::NotSynced => Status::unavailable(error.to_string()),
                JoinError::Unknown => Status::permission_denied("not allowed"),
                JoinError::TooMany => Status::resource_exhausted(error.to_string()),
            })?
            .with_tunnels(hello.tunnels);
        tracing::info!(whose = whose::shown(&gateway), instance = %hello.instance, held = hello.have.len(), "proxy connected");
        let (sender, receiver) = mpsc::channel(UNANSWERED);
        let conversation = Conversation {
            generations: self.hub.generations(),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
            serves: self.serves.clone(),
            ends: self.ends.clone(),
            bundles: Bundles::new(self.roots.clone(), self.spread),
            // Who keeps a connection longer trusts somebody nobody vouches for any more.
            vouched_until_unix_s: peer.not_after_unix_s,
            messages,
            sender,
            publisher,
            session,
            seat,
        };
        // Ends with the stream, which either side can end.
        tokio::spawn(conversation.run());
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// With what a proxy opens a stream.
async fn hello(messages: &mut Streaming<ClientMessage>) -> Result<Hello, Status> {
    let first = tokio::time::timeout(PATIENCE, messages.message()).await;
    let first = first.map_err(|_elapsed| Status::deadline_exceeded("no Hello"))??;
    match first.and_then(|first| first.message) {
        Some(Message::Hello(hello)) => Ok(hello),
        _ => Err(Status::failed_precondition("a stream opens with Hello")),
    }
}

/// One stream.
struct Conversation {
    seat: Seat,
    publisher: Publisher,
    session: Session,
    messages: Streaming<ClientMessage>,
    sender: mpsc::Sender<Result<ServerMessage, Status>>,
    generations: watch::Receiver<u64>,
    serves: watch::Receiver<bool>,
    ends: watch::Receiver<bool>,
    bundles: Bundles,
    vouched_until_unix_s: i64,
    clock: Clock,
    metrics: Arc<ConfigMetrics>,
}

/// Why a stream ends.
enum End {
    /// The proxy went.
    Gone,
    /// We end it, and say why.
    Told(Status),
}

/// What a stream turns for.
enum Happened {
    /// There is another configuration.
    Generation,
    /// There are other roots, or another issuer.
    Roots,
    /// The proxy said something.
    Message(ClientMessage),
    /// It is time to look.
    Nothing,
    /// There is nothing more to do.
    End(End),
}

impl Conversation {
    async fn run(mut self) {
        let end = self.converse().await;
        let now = self.now();
        let (whose, instance) = (whose::shown(self.seat.gateway()), self.seat.instance());
        match end {
            End::Gone => tracing::info!(whose, instance, "proxy disconnected"),
            End::Told(status) => {
                let why = status.message();
                tracing::info!(whose, instance, "stream ended: {why}");
                // There is room unless a message was never read; then the end of the stream says it.
                let _unread = self.sender.try_send(Err(status));
            }
        }
        self.seat.leave(now);
    }

    async fn converse(&mut self) -> End {
        self.generations.mark_changed();
        loop {
            let next = match self.next().await {
                Happened::Message(message) => self.answer(message),
                Happened::Generation => self.publish(),
                Happened::Roots => Ok(self.bundles.next()),
                Happened::Nothing => self.look(),
                Happened::End(end) => return end,
            };
            match next {
                Ok(None) => {}
                Ok(Some(message)) => {
                    // One delta and one bundle are unanswered at most, so there is room for it.
                    if self.sender.send(Ok(message)).await.is_err() {
                        return End::Gone;
                    }
                }
                Err(status) => return End::Told(status),
            }
        }
    }

    /// Waits for something to happen. Every branch can be dropped: a message that was not received
    /// stays, and watched values stay changed.
    async fn next(&mut self) -> Happened {
        let wait = self.patience();
        tokio::select! {
            () = ended(&mut self.ends) => {
                Happened::End(End::Told(Status::unavailable("the control plane is stopping")))
            }
            Ok(()) = lost(&mut self.serves) => {
                Happened::End(End::Told(Status::unavailable(ELSEWHERE)))
            }
            () = self.sender.closed() => Happened::End(End::Gone),
            Ok(()) = self.generations.changed() => Happened::Generation,
            Ok(()) = self.bundles.changed() => Happened::Roots,
            message = self.messages.message() => match message {
                Ok(Some(message)) => Happened::Message(message),
                Ok(None) | Err(_) => Happened::End(End::Gone),
            },
            () = tokio::time::sleep(wait) => Happened::Nothing,
        }
    }

    /// Sends the newest configuration, or what leads to it.
    fn publish(&mut self) -> Result<Option<ServerMessage>, Status> {
        if !self.seat.is_valid() {
            return Err(Status::aborted(
                "the Gateway is gone, or a newer stream took over",
            ));
        }
        let (generation, snapshot) = self.seat.target();
        for (key, error) in snapshot.refused() {
            tracing::error!("{key} cannot be sent: {error}");
            self.metrics.rejected(key.kind.as_str(), "TooLarge");
        }
        self.publisher.publish(generation, snapshot);
        let message = self.publisher.next(self.now());
        self.report();
        Ok(message)
    }

    fn answer(&mut self, message: ClientMessage) -> Result<Option<ServerMessage>, Status> {
        if let Some(Message::Trusts(trusts)) = message.message {
            self.seat.trusts(trusts.clone());
            return Ok(self.bundles.said(trusts));
        }
        if let Some(Message::Pods(report)) = message.message {
            return match whose::is_node(self.seat.gateway()) {
                true => {
                    self.seat.reports(report);
                    Ok(None)
                }
                false => Err(Status::permission_denied("only nodes have pods")),
            };
        }
        self.tell_problems(&message);
        let now = self.now();
        let next = self.publisher.answer(self.session, message, now);
        let next = next.map_err(said_wrong)?;
        self.report();
        Ok(next)
    }

    /// What the proxy did not understand: for people, and for a metric by type.
    fn tell_problems(&self, message: &ClientMessage) {
        let Some(Message::Nack(nack)) = &message.message else {
            return;
        };
        let (whose, instance) = (whose::shown(self.seat.gateway()), self.seat.instance());
        for error in &nack.errors {
            let kind = Kind::parse(&error.r#type).map_or("other", Kind::as_str);
            self.metrics.rejected(kind, NOT_UNDERSTOOD);
            let (name, why) = (&error.name, &error.message);
            tracing::warn!(
                whose,
                instance,
                "the proxy did not understand {kind} {name}: {why}"
            );
        }
    }

    /// Tells the hub what the proxy has taken.
    fn report(&self) {
        let standing = self.publisher.standing();
        if let Some(generation) = standing.generation {
            let refused = standing.problems.into_iter().filter_map(refusal);
            self.seat.took(generation, refused.collect());
        }
    }

    /// Ends a stream whose proxy owes an answer for too long, or whose certificate is over.
    fn look(&self) -> Result<Option<ServerMessage>, Status> {
        let overdue = self.publisher.overdue(self.now());
        if overdue.is_some_and(|owed| owed >= PATIENCE) {
            return Err(Status::deadline_exceeded("no answer to the last change"));
        }
        if self.certificate_left().is_zero() {
            return Err(Status::unauthenticated("the certificate has expired"));
        }
        Ok(None)
    }

    /// Until the next look.
    fn patience(&self) -> Duration {
        let owed = self.publisher.overdue(self.now());
        let answer = owed.map_or(PATIENCE, |owed| PATIENCE.saturating_sub(owed));
        // Wall clocks jump: look from time to time.
        let certificate = self.certificate_left().min(PATIENCE);
        answer.min(certificate).max(Duration::from_millis(1))
    }

    fn certificate_left(&self) -> Duration {
        left(self.vouched_until_unix_s, &self.clock)
    }

    fn now(&self) -> Duration {
        self.clock.read().monotonic
    }
}

/// Waits until this replica does not serve; an error where nobody says so any more.
async fn lost(serves: &mut watch::Receiver<bool>) -> Result<(), watch::error::RecvError> {
    serves.wait_for(|serves| !*serves).await.map(drop)
}

fn said_wrong(error: SubscriberError) -> Status {
    Status::failed_precondition(error.to_string())
}

/// A route or Gateway that a proxy cannot serve as it says; `None` of every other resource.
fn refusal(problem: Problem) -> Option<(ObjectRef, String)> {
    let key = Key::parse(&problem.kind, &problem.name).ok()?;
    let kind = match key.kind {
        Kind::Gateway => weft_api::Kind::Gateway,
        Kind::Route(RouteKind::Http) => weft_api::Kind::HttpRoute,
        Kind::Route(RouteKind::Grpc) => weft_api::Kind::GrpcRoute,
        _ => return None,
    };
    let key = ObjectKey::new(key.name.namespace, key.name.name);
    Some((ObjectRef::new(kind, key), problem.message))
}
