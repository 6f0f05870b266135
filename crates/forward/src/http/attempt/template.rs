//! How to make a request again.

use http::{HeaderMap, Method, Request, Uri, Version, request::Parts};

use crate::{
    body::{Replay, RequestBody},
    http::job::Job,
};

/// A request that can be made again.
pub(in crate::http) struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    idempotent: bool,
    /// `None` for a request without a body.
    body: Option<Replay>,
}

impl Template {
    pub(super) fn request(&self) -> Request<RequestBody> {
        let body = self.body.as_ref();
        let mut request = Request::new(body.map_or(RequestBody::Empty, |kept| {
            RequestBody::Replay(kept.attempt())
        }));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub(super) fn can_repeat(&self) -> bool {
        self.body.as_ref().is_none_or(Replay::can_repeat)
    }

    /// Whether all of the request has come, and can be repeated.
    pub(super) fn is_whole(&self) -> bool {
        self.body.as_ref().is_none_or(Replay::is_whole)
    }

    /// The path that endpoints are asked for.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Whether making the request twice means what making it once means: by its method, or because
    /// the owner of the route says so.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether it can be made again only as long as nobody has seen it, or perhaps not even then.
    pub(super) fn is_made_once(&self) -> bool {
        !self.is_idempotent() || self.body.is_some()
    }

    /// There will be no other attempt.
    pub(super) fn let_go(self) {
        if let Some(body) = self.body {
            body.let_go();
        }
    }
}

impl Job {
    /// Puts the first request into its slot, and keeps how to make another one: a closing keep-alive
    /// connection must not cost a request that nobody has seen, or that is idempotent (RFC 9110
    /// section 9.2.2), and a retry stanza may ask for more.
    pub(in crate::http) fn load(&mut self, mut parts: Parts, body: RequestBody) {
        parts.extensions.clear();
        parts.version = Version::HTTP_11;
        let (body, kept) = match body {
            RequestBody::Empty => (RequestBody::Empty, None),
            source => {
                let kept = Replay::new(source);
                (RequestBody::Replay(kept.attempt()), Some(kept))
            }
        };
        self.template = Some(Template {
            idempotent: parts.method.is_idempotent() || self.route().is_idempotent(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: kept,
        });
        self.request = Some(Request::from_parts(parts, body));
    }
}
