//! One question to the supervisor of the node, within a time limit.

use std::{
    io,
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use weft_intercept::handoff::{self, Reply, Request};

/// How long a question may take whose answer the node can find: the supervisor has it in milliseconds, and
/// runtimes have limits of their own for a whole pod.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// The same for a pod of the mesh that starts, which waits for the control plane, too; and after that for
/// its capture.
pub(crate) const STARTS: Duration = handoff::UNKNOWN.saturating_add(Duration::from_secs(10));

/// Asks, and gives the reason when there is no answer within `limit`.
///
/// The question is asked on a thread, so that the limit holds for all of it: connecting to a socket
/// whose queue is full, and an answer that comes byte by byte.
pub(crate) fn ask(socket: &Path, request: Request, limit: Duration) -> Result<Reply, String> {
    let (answer, answered) = sync_channel(1);
    let path = socket.to_owned();
    let asked = thread::Builder::new().spawn(move || {
        let exchange = || -> io::Result<Reply> {
            let stream = UnixStream::connect(&path)?;
            handoff::write(&request, &stream)?;
            handoff::read(&stream)
        };
        // Nobody listens any more when the limit has passed.
        let _ = answer.send(exchange());
    });
    let because = |reason: String| {
        let socket = socket.display();
        format!("the node agent does not answer on {socket}: {reason}; is it running on this node?")
    };
    asked.map_err(|error| because(error.to_string()))?;
    match answered.recv_timeout(limit) {
        Ok(reply) => reply.map_err(|error| because(error.to_string())),
        Err(RecvTimeoutError::Timeout) => Err(because(format!("{} s are over", limit.as_secs()))),
        Err(RecvTimeoutError::Disconnected) => Err(because("the question was lost".to_owned())),
    }
}
