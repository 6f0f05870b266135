//! The stream to an endpoint, which hears an answer out although nobody takes the request any more.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::Lined;

/// A connection whose failed writes are kept from hyper until there is nothing left to read.
///
/// An endpoint that refuses an upload answers and closes before it has read everything. The bytes
/// that are still on their way reset the connection, and hyper gives it up at the first write that
/// fails, although the answer is there to be read (RFC 9112 section 9.5 asks clients to look). In
/// HTTP/2 it is the acknowledgement of a frame that meets an endpoint that answered and died.
#[derive(Debug)]
pub(super) struct HeardOut<S = Lined> {
    stream: S,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nobody takes what is written, but there may be something to read: written bytes are lost.
    Deaf,
    /// Nothing comes either.
    Over,
}

impl<S> HeardOut<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            state: State::Open,
        }
    }

    /// What a write came to, of `length` bytes.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) if self.state == State::Open && is_gone(&error) => {
                self.state = State::Deaf;
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }

    fn is_deaf(&self) -> bool {
        self.state == State::Deaf
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for HeardOut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.is_deaf() && read.is_ready() && buf.filled().len() == before {
            self.state = State::Over;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeardOut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = || bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf() {
            return Poll::Ready(Ok(length()));
        }
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
            Poll::Ready(Err(error)) => self.wrote(Poll::Ready(Err(error)), length()),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A peer that reset the connection behind its last bytes.
    struct Gone(VecDeque<u8>);

    impl AsyncRead for Gone {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = buf.remaining().min(self.0.len());
            let bytes: Vec<_> = self.0.drain(..count).collect();
            buf.put_slice(&bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            _buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn failed_writes_are_told_once_nothing_is_left_to_read() {
        let mut stream = HeardOut::new(Gone(b"413".iter().copied().collect()));
        for _ in 0..3 {
            stream.write_all(b"upload").await.expect("not told yet");
        }
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("the answer");
        assert_eq!(answer, "413");
        let told = stream.write_all(b"upload").await.map_err(|it| it.kind());
        assert_eq!(told, Err(ErrorKind::ConnectionReset));
    }
}
