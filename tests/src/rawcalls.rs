//! A gRPC server by hand, which can stop wherever a proper one would not.

use crate::{
    rawh2::{ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, literals},
    scripted::Peer,
};

/// The server's side of one HTTP/2 connection. Dropping it is the server's death.
#[derive(Debug)]
pub struct CallServer(Peer);

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call(u32);

impl CallServer {
    /// Begins the connection; `None` when it ends first.
    pub async fn begin(mut peer: Peer) -> Option<Self> {
        if !peer.read_until(PREFACE).await {
            return None;
        }
        let mut server = Self(peer);
        server.send(SETTINGS, 0, 0, &[]).await;
        Some(server)
    }

    /// Reads until a call has begun; `None` when the connection ends first.
    pub async fn called(&mut self) -> Option<Call> {
        self.read_until(|kind, _flags| kind == HEADERS).await
    }

    /// Reads until all of a call has come; `None` when the connection ends first.
    pub async fn asked(&mut self) -> Option<Call> {
        let ends = |kind, flags| matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
        self.read_until(ends).await
    }

    async fn read_until(&mut self, wanted: impl Fn(u8, u8) -> bool) -> Option<Call> {
        loop {
            let head = self.0.read(9).await;
            let &[high, middle, low, kind, flags, ref stream @ ..] = head.as_slice() else {
                return None;
            };
            let length = u32::from_be_bytes([0, high, middle, low]);
            self.0.read(length as usize).await;
            if kind == SETTINGS && flags & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]).await;
            }
            if wanted(kind, flags) {
                let stream = <[u8; 4]>::try_from(stream).ok()?;
                return Some(Call(u32::from_be_bytes(stream)));
            }
        }
    }

    /// Sends the head of an answer with a field `x-name`.
    pub async fn head(&mut self, call: Call, name: &str) {
        // The first entry is `:status: 200` (RFC 7541 appendix A).
        let mut block = vec![0x88];
        block.extend(literals(&[
            ("content-type", b"application/grpc"),
            ("x-name", name.as_bytes()),
        ]));
        self.send(HEADERS, END_HEADERS, call.0, &block).await;
    }

    /// Sends bytes of messages.
    pub async fn data(&mut self, call: Call, bytes: &[u8]) {
        self.send(DATA, 0, call.0, bytes).await;
    }

    /// Ends an answer with status 0.
    pub async fn end(&mut self, call: Call) {
        let block = literals(&[("grpc-status", b"0")]);
        let flags = END_HEADERS | END_STREAM;
        self.send(HEADERS, flags, call.0, &block).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame(&mut bytes, kind, flags, stream, payload);
        self.0.write(bytes).await;
    }
}
