//! The stream from the control plane: opened, followed, opened again.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, Streaming};
use weft_certs::{Expected, IdentityConnector, IdentityError, SignError};
use weft_spiffe::SpiffeId;
use weft_wire::{
    limits,
    proto::config::{ClientMessage, ServerMessage, server_message::Message},
};

use super::{
    dial::{Address, DialError, dial},
    sign::Token,
    trust::{Trusted, Trusting},
};
use crate::{backoff::Backoff, chance::Chance, stubs::config::config_client::ConfigClient};

/// Delays between two attempts. The limit is short, because an edit waits for it after the control
/// plane was away: the way back of an edit is two seconds, and this is a quarter of it at most.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_millis(500);
/// Messages on their way to the control plane: a Hello, one answer per message that came, and what is
/// said unasked, which is little at a time.
const OUTBOX: usize = 16;

/// What happens to streams.
#[derive(Debug)]
pub(crate) enum Happened {
    /// One is being opened; it wants a Hello first.
    Opened(Stream),
    /// A message came.
    Received(ServerMessage),
    /// Whom to trust, at first and whenever that changes.
    Trusts(Trusted),
    /// There is none, and why. Another one follows.
    Closed(String),
}

/// A stream as its user sees it. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) outbox: mpsc::Sender<ClientMessage>,
    _end: DropGuard,
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Stream {
    /// Takes what is to be said, and ends `end` when it is dropped.
    pub(crate) fn new(outbox: mpsc::Sender<ClientMessage>, end: &CancellationToken) -> Self {
        Self {
            outbox,
            _end: end.clone().drop_guard(),
        }
    }
}

/// Where the control plane is.
#[derive(Clone, Debug)]
pub(super) struct ControlPlane {
    pub(super) host: String,
    pub(super) port: u16,
    /// Who it has to be.
    pub(super) controller: SpiffeId,
    /// What a stream is opened with, where the certificate does not say who opens it.
    pub(super) token: Option<Token>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("this proxy cannot speak TLS: {0}")]
    Tls(#[from] IdentityError),
    #[error(transparent)]
    Token(#[from] SignError),
    #[error("the control plane ended the stream: {0}")]
    Status(Box<Status>),
    #[error("the control plane ended the stream")]
    Ended,
    #[error("the stream is opened anew")]
    Dropped,
}

/// Follows the control plane for ever.
pub(super) async fn follow<E: From<Happened>>(
    target: ControlPlane,
    mut trusting: Trusting,
    events: mpsc::Sender<E>,
    mut chance: Chance,
) {
    let trusted = Happened::Trusts(trusting.trusted());
    if events.send(trusted.into()).await.is_err() {
        return;
    }
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut address = Address::new(&target.host, target.port);
    loop {
        let why = match stream(
            (&target, &mut address),
            &mut trusting,
            &events,
            &mut backoff,
        )
        .await
        {
            Ok(()) => return,
            Err(error) => error,
        };
        match &why {
            LinkError::Dial(DialError::Tls { .. }) | LinkError::Status(_) => trusting.refused(),
            _ => trusting.refusals = 0,
        }
        let closed = Happened::Closed(why.to_string());
        if events.send(closed.into()).await.is_err() {
            return;
        }
        tokio::time::sleep(backoff.jittered(&mut chance)).await;
    }
}

/// One stream, to its end; `Ok` when nobody listens any more.
async fn stream<E: From<Happened>>(
    (target, address): (&ControlPlane, &mut Address),
    trusting: &mut Trusting,
    events: &mpsc::Sender<E>,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    let connector = IdentityConnector::new(trusting.identity())?;
    let expected = Expected::exactly(target.controller.clone());
    let connection = dial(address, |tcp| async move {
        let (tls, _peer) = connector.connect(tcp, &expected).await?;
        Ok(tls)
    });
    let connection = connection.await?;
    let origin = http::Uri::from_static("https://config.weft.dev");
    let mut client = ConfigClient::with_origin(connection, origin)
        .max_decoding_message_size(limits::MESSAGE_BYTES)
        .max_encoding_message_size(limits::MESSAGE_BYTES);
    let (outbox, waiting) = mpsc::channel(OUTBOX);
    let end = CancellationToken::new();
    let opened = Stream::new(outbox.clone(), &end);
    let opening = opening(target, waiting)?;
    if events.send(Happened::Opened(opened).into()).await.is_err() {
        return Ok(());
    }
    let received = async {
        let inbound = client.stream(opening).await?.into_inner();
        converse((inbound, outbox), trusting, events, backoff).await
    };
    tokio::select! {
        ended = received => ended,
        () = end.cancelled() => Err(LinkError::Dropped),
    }
}

/// Says whom the proxy trusts, after Hello, which opened the stream, and whenever it is something else;
/// passes on what comes.
async fn converse<E: From<Happened>>(
    (mut inbound, outbox): (Streaming<ServerMessage>, mpsc::Sender<ClientMessage>),
    trusting: &mut Trusting,
    events: &mpsc::Sender<E>,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    loop {
        let said = outbox.send(trusting.said()).await;
        said.map_err(|_closed| LinkError::Ended)?;
        loop {
            // Both can be dropped: a message that was not received stays.
            let message = tokio::select! {
                message = inbound.message() => message?,
                () = trusting.changed() => break,
            };
            let message = message.ok_or(LinkError::Ended)?;
            backoff.reset();
            trusting.refusals = 0;
            let (event, is_bundle) = match message.message {
                Some(Message::Bundle(bundle)) => {
                    trusting.take(bundle);
                    (Happened::Trusts(trusting.trusted()), true)
                }
                _ => (Happened::Received(message), false),
            };
            if events.send(event.into()).await.is_err() {
                return Ok(());
            }
            if is_bundle {
                break;
            }
        }
    }
}

/// The request that opens a stream. Made when the control plane has proved who it is: it may carry a
/// token.
fn opening(
    target: &ControlPlane,
    waiting: mpsc::Receiver<ClientMessage>,
) -> Result<Request<ReceiverStream<ClientMessage>>, LinkError> {
    let mut opening = Request::new(ReceiverStream::new(waiting));
    if let Some(token) = &target.token {
        let metadata = opening.metadata_mut();
        metadata.insert("authorization", token.read()?);
    }
    Ok(opening)
}
