//! What carries the bytes of a connection to an endpoint.

use std::{io, mem::MaybeUninit};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_util::either::Either;
use weft_certs::TlsStream;

use super::line::Look;

/// Leads to the endpoint: TCP by itself, or a stream of the tunnel.
pub(crate) type Wire = Either<TcpStream, Box<weft_tunnel::Stream>>;

/// A connection to an endpoint, with the bytes of the request as they are, or in TLS.
pub(crate) type UpstreamIo = Either<Wire, TlsStream<Wire>>;

impl Look for TcpStream {
    fn is_over(&self) -> bool {
        match SockRef::from(self).peek(&mut [MaybeUninit::uninit()]) {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Look for Box<weft_tunnel::Stream> {
    fn is_over(&self) -> bool {
        (**self).is_over()
    }
}

impl<S: Look> Look for TlsStream<S> {
    fn is_over(&self) -> bool {
        // The end of TLS is bytes to be read; the end of what carries it is the same.
        self.get_ref().is_over()
    }
}

impl<L: Look, R: Look> Look for Either<L, R> {
    fn is_over(&self) -> bool {
        match self {
            Self::Left(stream) => stream.is_over(),
            Self::Right(stream) => stream.is_over(),
        }
    }
}
