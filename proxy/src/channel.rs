//! What the parent and its worker say to each other, and how it travels: frames of protobuf over a
//! Unix stream socket, listening sockets attached.
//!
//! ```text
//! length    u32, big endian, of the message that follows; at most FRAME_BYTES
//! message   ToWorker or FromWorker
//! ```
//!
//! The worker reads bytes of strangers, so the parent takes what it says for hostile: lengths are
//! bounded before anything is allocated, and nothing it can say makes the parent fail.

#[cfg(test)]
mod tests;

use std::{
    io,
    marker::PhantomData,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net,
    },
    sync::Arc,
};

use bytes::{Buf, BytesMut};
use prost::{Message, Oneof};
use tokio::{io::Interest, net::UnixStream};
use weft_intercept::MAX_DESCRIPTORS;
use weft_wire::{
    limits,
    proto::config::{ClientMessage, ServerMessage, WorkerTrusts},
};

use crate::identity::{Csr, Signed, Trust};

/// Longest message: one of the control plane, and what goes around it.
pub(crate) const FRAME_BYTES: usize = limits::MESSAGE_BYTES + 4096;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// What the parent says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ToWorker {
    #[prost(oneof = "Order", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) order: Option<Order>,
}

/// What the worker is to do.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Order {
    /// Take over listening sockets; the descriptors are attached.
    #[prost(message, tag = "1")]
    Sockets(Sockets),
    /// A change of the configuration, certificates included.
    #[prost(message, tag = "2")]
    Config(ServerMessage),
    /// Finish what is under way, say so, and end.
    #[prost(message, tag = "3")]
    Drain(Drain),
    /// Say what the metrics are.
    #[prost(message, tag = "4")]
    Scrape(Scrape),
    /// Answers a [`Csr`].
    #[prost(message, tag = "5")]
    Signed(Signed),
    /// Whom to trust from now on.
    #[prost(message, tag = "6")]
    Trust(Trust),
    /// Log by this filter.
    #[prost(string, tag = "7")]
    Log(String),
}

/// Listening sockets.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sockets {
    /// `IP:PORT` of each attached descriptor, in their order.
    #[prost(string, repeated, tag = "1")]
    pub(crate) addresses: Vec<String>,
}

/// The end of a worker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Drain {
    /// Time for what is under way.
    #[prost(uint64, tag = "1")]
    pub(crate) limit_ms: u64,
}

/// Asks for metrics.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Scrape {
    /// Comes back with the answer.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
}

/// What the worker says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FromWorker {
    #[prost(oneof = "Report", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) report: Option<Report>,
}

/// What the parent learns.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Report {
    /// First, and only first.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// Answers a change: `Ack` or `Nack`.
    #[prost(message, tag = "2")]
    Answer(ClientMessage),
    /// All is well.
    #[prost(message, tag = "3")]
    Heartbeat(Heartbeat),
    /// Answers `Scrape`.
    #[prost(message, tag = "4")]
    Metrics(Metrics),
    /// Answers `Drain`; the worker ends.
    #[prost(message, tag = "5")]
    Drained(Drained),
    /// A certificate is needed, in the name of the Gateway.
    #[prost(message, tag = "6")]
    Csr(Csr),
    /// Whom it trusts and by whom its certificate is, whenever that changes.
    #[prost(message, tag = "7")]
    Trusts(WorkerTrusts),
}

impl From<Csr> for Report {
    fn from(csr: Csr) -> Self {
        Self::Csr(csr)
    }
}

impl From<WorkerTrusts> for Report {
    fn from(trusts: WorkerTrusts) -> Self {
        Self::Trusts(trusts)
    }
}

/// A worker has started.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    /// Its [`VERSION`].
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    /// How it asks for the configuration.
    #[prost(message, optional, tag = "2")]
    pub(crate) config: Option<ClientMessage>,
}

/// Sent every second by a worker whose threads do their work.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Heartbeat {
    /// Client connections that are open.
    #[prost(uint64, tag = "1")]
    pub(crate) connections: u64,
    /// Requests, tunnels and opaque connections under way.
    #[prost(uint64, tag = "2")]
    pub(crate) exchanges: u64,
}

/// The worker's metrics.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metrics {
    /// The number of the question.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// OpenMetrics text; empty when it is too long for a frame.
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

/// Everything under way is done, or time is over.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Drained {
    /// Requests, tunnels and opaque connections that were cut.
    #[prost(uint64, tag = "1")]
    pub(crate) cut: u64,
}

/// Parent and worker come from one file; a worker of another version is not used.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a channel is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The socket failed.
    #[error("the channel between parent and worker failed: {0}")]
    Io(#[from] io::Error),
    /// A message beyond [`FRAME_BYTES`], to send or received.
    #[error("a message of {0} bytes exceeds {FRAME_BYTES}")]
    TooLong(usize),
    /// Bytes that are no message.
    #[error("a frame holds no message: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// More descriptors than are expected.
    #[error("{0} descriptors came where at most {1} were expected")]
    Descriptors(usize, usize),
}

/// The two directions of a channel. `most_descriptors` may wait for their messages at a time.
///
/// # Errors
/// When the socket cannot be watched.
pub(crate) fn open<M>(
    socket: net::UnixStream,
    most_descriptors: usize,
) -> io::Result<(Outlet, Intake<M>)> {
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UnixStream::from_std(socket)?);
    let intake = Intake {
        socket: Arc::clone(&socket),
        room: vec![0; READ_BYTES].into_boxed_slice(),
        buffer: BytesMut::new(),
        descriptors: Vec::new(),
        most_descriptors,
        message: PhantomData,
    };
    Ok((Outlet(socket), intake))
}

/// Sends messages.
#[derive(Debug)]
pub(crate) struct Outlet(Arc<UnixStream>);

impl Outlet {
    /// Sends a message whole, with at most [`MAX_DESCRIPTORS`] descriptors. Not cancel safe: what was
    /// dropped half way has ruined the channel.
    ///
    /// # Errors
    /// [`ChannelError::TooLong`] before anything is sent, or [`ChannelError::Io`].
    pub(crate) async fn send(
        &mut self,
        message: &impl Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let length = message.encoded_len();
        let prefix = u32::try_from(length).ok();
        let prefix = prefix.filter(|_| length <= FRAME_BYTES);
        let prefix = prefix.ok_or(ChannelError::TooLong(length))?;
        let mut frame = BytesMut::with_capacity(4 + length);
        frame.extend_from_slice(&prefix.to_be_bytes());
        // There is room for all of it.
        let _fits = message.encode(&mut frame);
        let mut descriptors = descriptors;
        while !frame.is_empty() {
            let send = || weft_intercept::send(&*self.0, &frame, descriptors);
            let sent = self.0.async_io(Interest::WRITABLE, send).await?;
            frame.advance(sent);
            descriptors = &[];
        }
        Ok(())
    }
}

/// Receives messages of one kind.
#[derive(Debug)]
pub(crate) struct Intake<M> {
    socket: Arc<UnixStream>,
    room: Box<[u8]>,
    buffer: BytesMut,
    descriptors: Vec<OwnedFd>,
    most_descriptors: usize,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Intake<M> {
    /// The next message; `None` when the peer is gone. Cancel safe.
    ///
    /// # Errors
    /// See [`ChannelError`]; the channel is of no use then.
    pub(crate) async fn next(&mut self) -> Result<Option<M>, ChannelError> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            let (room, came) = (&mut self.room, &mut self.descriptors);
            let receive = || weft_intercept::receive(&*self.socket, room, came);
            let bytes = match self.socket.async_io(Interest::READABLE, receive).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                other => other?,
            };
            let waiting = self.descriptors.len();
            if waiting > self.most_descriptors {
                let most = self.most_descriptors;
                return Err(ChannelError::Descriptors(waiting, most));
            }
            if bytes == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(&self.room[..bytes]);
        }
    }

    /// Takes the oldest descriptors; fewer, if no more have come.
    pub(crate) fn descriptors(&mut self, count: usize) -> Vec<OwnedFd> {
        let count = count.min(self.descriptors.len());
        self.descriptors.drain(..count).collect()
    }

    fn decode(&mut self) -> Result<Option<M>, ChannelError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > FRAME_BYTES {
            return Err(ChannelError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(4);
        let frame = self.buffer.split_to(length).freeze();
        Ok(Some(M::decode(frame)?))
    }
}

/// Descriptors a worker lets wait: those of the messages that one read can hold.
pub(crate) const WAITING_DESCRIPTORS: usize = 16 * MAX_DESCRIPTORS;
