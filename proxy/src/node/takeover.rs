//! How a supervisor hands its listeners to the one that follows: the same sockets, so that nobody is
//! refused and nothing that waits in them is lost.
//!
//! ```text
//!  new ── connects ──────────────────────> old      (a Unix socket beside the saved configuration)
//!  new <── frames, each with descriptors ── old     (the last frame has none)
//! ```
//!
//! A socket says itself in which namespace it is and what it is for, so that nothing else is said. From
//! then on the old supervisor does nothing to pods any more; its workers go on accepting beside the new
//! ones until it is told to end. Both are root on this node, and nobody else can connect.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, net},
    },
    path::Path,
    time::Duration,
};

use prost::Message;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use weft_intercept::MAX_DESCRIPTORS;

use super::inherited::{Heir, Inherited, Listeners};
use crate::channel::{self, ChannelError, Intake};

/// For everything to be handed over.
const PATIENCE: Duration = Duration::from_secs(5);
/// Descriptors that may wait for their frames.
const WAITING: usize = 2 * MAX_DESCRIPTORS;
/// Requests for the listeners that may wait; there is one supervisor that follows.
const HEIRS: usize = 1;

/// A frame.
#[derive(Clone, Copy, PartialEq, Message)]
struct Handed {
    /// How many descriptors are attached; 0 ends it.
    #[prost(uint32, tag = "1")]
    count: u32,
}

/// Takes over from the supervisor that listens at `path`, if there is one.
pub(super) async fn inherit(path: &Path) -> Inherited {
    let stream = match net::UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "no supervisor to take over from");
            return Inherited::default();
        }
    };
    match timeout(PATIENCE, receive(stream)).await {
        Ok(Ok(descriptors)) => {
            let count = descriptors.len();
            tracing::info!(count, "took over listeners of the supervisor before");
            Inherited::of(descriptors)
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the supervisor before cannot be taken over from");
            Inherited::default()
        }
        Err(_) => {
            tracing::error!("the supervisor before does not answer");
            Inherited::default()
        }
    }
}

async fn receive(stream: net::UnixStream) -> Result<Vec<OwnedFd>, ChannelError> {
    let (_outlet, mut intake): (_, Intake<Handed>) = channel::open(stream, WAITING)?;
    let mut descriptors = Vec::new();
    while let Some(Handed { count }) = intake.next().await? {
        if count == 0 {
            return Ok(descriptors);
        }
        descriptors.extend(intake.descriptors(usize::try_from(count).unwrap_or_default()));
    }
    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
}

/// Listens for the supervisor that follows, and says when one is there. One that listened here before is
/// not asked any more.
///
/// # Errors
/// What the system says.
pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, HeirsWanted)> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    Ok((listener, mpsc::channel(HEIRS)))
}

/// Both ends of the queue of those who follow.
pub(super) type HeirsWanted = (mpsc::Sender<Heir>, mpsc::Receiver<Heir>);

/// Hands the listeners to whoever asks, until nobody has any.
/// From then on the one here is `retired`.
pub(super) async fn serve(
    listener: UnixListener,
    heirs: mpsc::Sender<Heir>,
    retired: impl Fn() + Send,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the supervisor that follows cannot be heard");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (heir, listeners) = oneshot::channel();
        if heirs.send(heir).await.is_err() {
            return;
        }
        let Ok(listeners) = listeners.await else {
            return;
        };
        retired();
        match timeout(PATIENCE, hand_over(stream, &listeners)).await {
            Ok(Ok(())) => tracing::info!("handed the listeners to the supervisor that follows"),
            Ok(Err(error)) => tracing::error!(%error, "the listeners are not handed over"),
            Err(_) => tracing::error!("the supervisor that follows does not take the listeners"),
        }
    }
}

async fn hand_over(stream: UnixStream, listeners: &Listeners) -> Result<(), ChannelError> {
    let (mut outlet, _intake): (_, Intake<Handed>) = channel::open(stream.into_std()?, 0)?;
    let all: Vec<_> = listeners.iter().flat_map(|it| it.iter()).collect();
    for some in all.chunks(MAX_DESCRIPTORS) {
        let descriptors: Vec<_> = some.iter().map(|it| it.socket.as_fd()).collect();
        let count = u32::try_from(some.len()).unwrap_or_default();
        outlet.send(&Handed { count }, &descriptors).await?;
    }
    outlet.send(&Handed { count: 0 }, &[]).await
}
