//! Every figure of the wire: ports, limits, windows, times.

use std::time::Duration;

use h2::{client, server};

/// Where members listen for HBONE, on the address of each pod.
pub const PORT: u16 = 15008;

/// Ports a member has for itself in every pod: captured outbound and inbound connections, HBONE, DNS.
/// No `CONNECT` may lead to one of them, or a tunnel could be made to call itself.
pub const OWN_PORTS: [u16; 4] = [15001, 15006, PORT, 15053];

/// Streams a client puts on one connection; the next one goes on a further connection. A lost
/// connection takes no more than these with it.
pub const CLIENT_STREAMS: usize = 100;

/// Streams a server lets a client put on one connection.
pub const SERVER_STREAMS: u32 = 200;

/// Bytes of a header list, as RFC 9113 section 6.5.2 counts them.
pub const HEADER_LIST_BYTES: u32 = 64 * 1024;

/// Bytes a peer may send on a stream before somebody has read them, while few streams hold any.
pub const STREAM_WINDOW: u32 = 256 * 1024;

/// The same, however many streams hold bytes: what a stream reads within a round trip of 0.25 ms at a
/// gigabit in a second.
pub(crate) const LEAST_STREAM_WINDOW: u32 = 32 * 1024;

/// Bytes that all streams of a connection together may be sent before somebody has read them, beside the
/// least window of each.
pub(crate) const UNREAD_BYTES: u32 = 1024 * 1024;

/// Longest frame we take. Longer than the usual 16 KiB, because each costs a look-up on both sides;
/// not much longer, because a small message waits behind a whole frame.
const FRAME_BYTES: u32 = 64 * 1024;

/// The most that one record of TLS holds (RFC 8446 section 5.1).
pub(crate) const RECORD_BYTES: usize = 16 * 1024;

/// What is before the payload of a frame (RFC 9113 section 4.1).
const FRAME_HEAD_BYTES: usize = 9;

/// What we put into a frame that goes with others: with its head it fills one record.
pub(crate) const SENT_BYTES: usize = RECORD_BYTES - FRAME_HEAD_BYTES;

/// The most that we put into a frame: with its head it fills four records, which is what the TLS library
/// takes at once. Nine bytes more are a record, a system call and a segment of their own.
pub(crate) const MOST_SENT_BYTES: usize = 4 * RECORD_BYTES - FRAME_HEAD_BYTES;

/// What may wait for the connection's task per stream. No more than the peer's window is ever filled.
const SEND_BUFFER_BYTES: usize = STREAM_WINDOW as usize;

/// What `h2` lets small frames cost while nobody has read them: each counts what it falls short of 256
/// bytes. When it is used up `h2` closes the connection with all its streams, so the default, half a
/// window, would let one application that does not read small messages cut all its neighbours. This is
/// a quarter of a million frames, some tens of megabytes, and a peer has proved who it is.
const SMALL_FRAMES_BUDGET: usize = 64 * 1024 * 1024;

/// Resets of streams nobody has looked at yet; more end the connection (CVE-2023-44487).
const UNSEEN_RESETS: usize = 50;

/// The times of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For a connection to come about, TCP and TLS together, and for each side's handshake.
    pub connect: Duration,
    /// For the answer to a `CONNECT`. Longer than `connect`, which is what the other side may take to
    /// reach the application, so that its answer arrives rather than our impatience.
    pub answer: Duration,
    /// Between a PING's answer and the next PING.
    pub ping_every: Duration,
    /// For the answer to a PING.
    pub ping_patience: Duration,
    /// How long a connection without streams is kept.
    pub idle: Duration,
    /// How long streams live on after their connection's certificates have ended, or after the
    /// process was asked to leave.
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(15),
            ping_every: Duration::from_secs(10),
            ping_patience: Duration::from_secs(20),
            idle: Duration::from_secs(300),
            drain: Duration::from_secs(300),
        }
    }
}

/// A window for the connection that no set of streams can use up: a stream that nobody reads then
/// stops itself and no other. With smaller windows a few of them block all, and applications that wait
/// for each other wait for ever.
const fn connection_window(streams: u32) -> u32 {
    STREAM_WINDOW * streams
}

/// The client's half of HTTP/2.
pub(crate) fn client() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(CLIENT_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(CLIENT_STREAMS as u32))
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .data_frame_budget(SMALL_FRAMES_BUDGET);
    builder
}

/// The server's half of HTTP/2.
pub(crate) fn server() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(SERVER_STREAMS)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(SERVER_STREAMS))
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .data_frame_budget(SMALL_FRAMES_BUDGET);
    builder
}
