//! A proxy as far as the control plane can see: it asks for a certificate, opens a stream and says
//! what it has taken.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;
use weft_certs::{
    BootstrapConnector, Bundles, Clock, Expected as Peer, Identity, IdentityConnector,
    KeyAndRequest, Trust, TrustBundle,
};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_tests::wait::{Expected, PATIENCE, soon};
use weft_wire::proto::config::{
    Bundle, ClientMessage, Delta, Role, ServerMessage, Trusts, WorkerTrusts, client_message,
    server_message,
};
use weft_wire::proto::identity::{SignRequest, SignResponse};
use weft_wire::{Assembler, Received, Session, Subscriber};

use super::{CONTROL, identity_of};

/// What a pod trusts before it has a certificate.
pub(super) struct Anchor {
    bundles: Bundles,
    clock: Clock,
}

impl Anchor {
    pub(super) fn new(domain: &TrustDomain, pem: &str) -> Self {
        let clock = Clock::system();
        let (bundle, refused) = TrustBundle::from_pem(domain, pem, clock.now());
        assert_eq!(refused, [], "every published root can be trusted");
        assert!(!bundle.is_empty(), "a root is published");
        Self {
            bundles: Bundles::new(bundle, 1),
            clock,
        }
    }

    fn trust(&self) -> Trust {
        Trust::new(self.bundles.clone(), self.clock.clone())
    }

    /// A certificate for an identity, by a token; or how that is refused.
    pub(super) async fn certify(
        &self,
        address: SocketAddr,
        token: Option<&str>,
        id: &SpiffeId,
    ) -> Result<Identity, Code> {
        self.certify_pod(address, token, (id, "")).await
    }

    /// The same for a pod of the node whose proxy asks.
    pub(super) async fn certify_pod(
        &self,
        address: SocketAddr,
        token: Option<&str>,
        (id, pod_uid): (&SpiffeId, &str),
    ) -> Result<Identity, Code> {
        let asked = KeyAndRequest::new(id).expect("a request");
        let request = SignRequest {
            identity: id.to_string(),
            csr_der: asked.der().to_vec().into(),
            pod_uid: pod_uid.to_owned(),
        };
        let answer = self.ask(address, token, request).await?;
        let chain: Vec<_> = answer.chain.iter().map(|der| der.to_vec()).collect();
        let leaf = asked.into_leaf(&chain, &self.bundles, self.clock.now());
        let leaf = leaf.expected("the certificate is as peers want it");
        Ok(Identity::new(leaf, self.trust()))
    }

    /// What is answered to a request as it is; or how it is refused.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        token: Option<&str>,
        asked: SignRequest,
    ) -> Result<SignResponse, Code> {
        let connector = BootstrapConnector::new(&self.trust()).expected("a connector");
        let tcp = connect(address).await;
        let (tls, _peer) = soon("handshake", connector.connect(tcp, &controller()))
            .await
            .expected("the identity service is who it should be");
        let mut request = Request::new(asked);
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expected("a header value");
            request.metadata_mut().insert("authorization", value);
        }
        let path = PathAndQuery::from_static("/weft.identity.v1.Identity/Sign");
        let mut grpc = Grpc::with_origin(Channel::over(tls).await, origin());
        grpc.ready().await.expected("the connection is open");
        let codec = ProstCodec::<SignRequest, SignResponse>::default();
        let answer = soon("an answer", grpc.unary(request, path, codec)).await;
        let answer = answer.map_err(|status| status.code())?;
        Ok(answer.into_inner())
    }
}

/// A proxy that has no stream yet.
pub(super) fn subscriber(name: &str, instance: &str) -> Subscriber {
    let identity = weft_wire::Identity {
        role: Role::Gateway,
        name: name.to_owned(),
        namespace: super::NAMESPACE.to_owned(),
        instance: instance.to_owned(),
    };
    Subscriber::new(identity, Assembler::default())
}

/// A proxy with an open stream.
pub(super) struct Proxy {
    pub(super) subscriber: Subscriber,
    session: Session,
    sender: mpsc::Sender<ClientMessage>,
    received: Streaming<ServerMessage>,
}

impl Proxy {
    /// Opens a stream as somebody; or how that is refused, to somebody who keeps what it has.
    pub(super) async fn open(
        address: SocketAddr,
        identity: &Identity,
        subscriber: Subscriber,
    ) -> Result<Self, (Code, Box<Subscriber>)> {
        Self::open_by(address, (identity, None), subscriber).await
    }

    /// The same with a token.
    pub(super) async fn open_by(
        address: SocketAddr,
        (identity, token): (&Identity, Option<&str>),
        mut subscriber: Subscriber,
    ) -> Result<Self, (Code, Box<Subscriber>)> {
        let connector = IdentityConnector::new(identity).expected("a connector");
        let tcp = connect(address).await;
        let (tls, _peer) = soon("handshake", connector.connect(tcp, &controller()))
            .await
            .expected("the control plane is who it should be");
        let (session, hello) = subscriber.connect();
        let (sender, messages) = mpsc::channel(4);
        sender.send(hello).await.expected("room for a message");
        let path = PathAndQuery::from_static("/weft.config.v1.Config/Stream");
        let mut grpc = Grpc::with_origin(Channel::over(tls).await, origin());
        grpc.ready().await.expected("the connection is open");
        let codec = ProstCodec::<ClientMessage, ServerMessage>::default();
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expected("a header value");
            request.metadata_mut().insert("authorization", value);
        }
        let opened = soon("an answer", grpc.streaming(request, path, codec)).await;
        match opened {
            Ok(opened) => Ok(Self {
                subscriber,
                session,
                sender,
                received: opened.into_inner(),
            }),
            Err(status) => Err((status.code(), Box::new(subscriber))),
        }
    }

    /// The next change, taken but not answered yet.
    pub(super) async fn take(&mut self) -> (Delta, ClientMessage) {
        self.take_within(PATIENCE).await
    }

    /// The same, of a control plane that has every reason to be late.
    pub(super) async fn take_within(&mut self, limit: Duration) -> (Delta, ClientMessage) {
        let message = tokio::time::timeout(limit, self.received.message()).await;
        let message = message.expected("a message in time");
        let message = message.expected("the stream goes on").unwrap_or_default();
        let Some(server_message::Message::Delta(delta)) = message.message.clone() else {
            panic!("no delta: {message:?}");
        };
        assert!(delta.end_of_snapshot, "small changes come in one message");
        match self.subscriber.receive(self.session, message) {
            Ok(Received::Applied { answer, applied }) => {
                assert_eq!(applied.problems, [], "everything is understood");
                (delta, answer)
            }
            other => panic!("not applied: {other:?}"),
        }
    }

    pub(super) async fn answer(&self, answer: ClientMessage) {
        self.sender
            .send(answer)
            .await
            .expected("the stream goes on");
    }

    /// The next change, taken and answered.
    pub(super) async fn next(&mut self) -> Delta {
        let (delta, answer) = self.take().await;
        self.answer(answer).await;
        delta
    }

    /// Says whom it trusts, and by whom its certificate is.
    pub(super) async fn trusts(&self, bundle_version: u64, issuer: &str) {
        self.trusts_with(bundle_version, issuer, Vec::new()).await;
    }

    /// The same of one with a worker, which has a certificate of that issuer.
    pub(super) async fn trusts_with_worker(&self, bundle_version: u64, issuer: &str, of: &str) {
        let worker = WorkerTrusts {
            name: "shop".to_owned(),
            bundle_version,
            leaves: BTreeMap::from([(of.to_owned(), 1)]),
        };
        self.trusts_with(bundle_version, issuer, vec![worker]).await;
    }

    async fn trusts_with(&self, bundle_version: u64, issuer: &str, workers: Vec<WorkerTrusts>) {
        let trusts = Trusts {
            bundle_version,
            issuer: issuer.to_owned(),
            workers,
        };
        let message = Some(client_message::Message::Trusts(trusts));
        self.answer(ClientMessage { message }).await;
    }

    /// The next bundle; nothing else is due.
    pub(super) async fn bundle(&mut self) -> Bundle {
        let message = soon("a bundle", self.received.message()).await;
        let message = message.expect("the stream goes on").unwrap_or_default();
        match message.message {
            Some(server_message::Message::Bundle(bundle)) => {
                assert_eq!(
                    bundle.renew_within_ms, 90_000,
                    "as the control plane was told"
                );
                bundle
            }
            other => panic!("no bundle: {other:?}"),
        }
    }

    /// Waits until the stream is no more, however it ends.
    pub(super) async fn broken(&mut self) {
        while let Ok(Some(_message)) = self.received.message().await {}
    }

    /// How the stream ends.
    pub(super) async fn end(&mut self) -> Code {
        match soon("the end of the stream", self.received.message()).await {
            Ok(Some(message)) => panic!("the stream goes on: {message:?}"),
            Ok(None) => Code::Ok,
            Err(status) => status.code(),
        }
    }
}

/// What a change is about: type and name of each resource.
pub(super) fn resources(delta: &Delta) -> Vec<String> {
    let name = |kind: &str, name: &str| format!("{kind} {name}");
    let upserts = delta.upserts.iter().map(|it| name(&it.r#type, &it.name));
    let removed = delta.removed.iter().map(|it| name(&it.r#type, &it.name));
    let mut all: Vec<_> = upserts
        .chain(removed.map(|name| format!("-{name}")))
        .collect();
    all.sort();
    all
}

fn controller() -> Peer {
    Peer::exactly(identity_of(CONTROL, "weft-controller"))
}

async fn connect(address: SocketAddr) -> TcpStream {
    soon("connect", TcpStream::connect(address))
        .await
        .expected("the control plane listens")
}

/// Nobody reads it; HTTP/2 wants one.
fn origin() -> Uri {
    Uri::from_static("https://control.weft.test")
}

/// One HTTP/2 connection.
struct Channel(SendRequest<Body>);

impl Channel {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = soon("HTTP/2", handshake).await.expected("HTTP/2");
        // Ends with the last request handle, or with the server; both are seen elsewhere.
        tokio::spawn(async move { drop(connection.await) });
        Self(sender)
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
