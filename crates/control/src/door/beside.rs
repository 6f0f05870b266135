//! Two services behind one port.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{body::Body, codegen::Service};

/// A service, and another one beside it that is called by its name: paths of gRPC are
/// `/{service}/{method}`.
#[derive(Clone, Debug)]
pub(crate) struct Beside<A, B> {
    pub(crate) service: A,
    pub(crate) other: B,
    pub(crate) other_name: &'static str,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<A, B> Service<Request<Incoming>> for Beside<A, B>
where
    A: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    B: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    A::Future: Send + 'static,
    B::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    /// Generated services are always ready.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        let mut parts = request.uri().path().split('/');
        let (_root, name) = (parts.next(), parts.next());
        if name == Some(self.other_name) {
            Box::pin(self.other.call(request))
        } else {
            Box::pin(self.service.call(request))
        }
    }
}
