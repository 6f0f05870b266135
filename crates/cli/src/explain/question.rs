//! A request as the user describes it, in the canonical form that the data path would see.

use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_TYPE, HOST},
    request::Parts,
};
use weft_ir::{host_of, normalise};

use crate::{args::Explain, exit::Failure};

/// The head of a request, ready to be decided on.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Normalised, with exactly one `host`.
    pub(crate) head: Parts,
    /// Host in lower case without port.
    pub(crate) host: String,
    /// Server name of the TLS connection, in lower case; `None` for no server name at all.
    pub(crate) sni: Option<String>,
    /// Whether the path holds `%2F`, `%5C` or `%00`.
    pub(crate) encoded_separator: bool,
}

impl Question {
    /// The request of the options; `authority` is its host unless they name one.
    ///
    /// # Errors
    /// A usage error for a path or host that no request can have.
    pub(crate) fn new(args: &Explain, authority: &str) -> Result<Self, Failure> {
        let (path, query) = match args.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (args.path.as_str(), None),
        };
        let normal = normalise(path)
            .map_err(|error| Failure::usage(format!("--path {path}: {error}; it answers 400")))?;
        let mut target = normal.path.into_owned();
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        let authority = args.host.as_deref().unwrap_or(authority);
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = args.method.clone();
        let bad_path = |error| Failure::usage(format!("--path {target}: {error}"));
        head.uri = target.parse().map_err(bad_path)?;
        let bad_host = |_| Failure::usage(format!("--host {authority}: this is no host"));
        let host = HeaderValue::from_str(authority).map_err(bad_host)?;
        if args.grpc {
            head.method = Method::POST;
            let grpc = HeaderValue::from_static("application/grpc");
            head.headers.insert(CONTENT_TYPE, grpc);
        }
        for field in &args.header {
            head.headers.append(field.name.clone(), field.value.clone());
        }
        head.headers.insert(HOST, host);
        let host = host_of(authority).to_ascii_lowercase();
        let sni = args.sni.as_deref().map(str::to_ascii_lowercase);
        Ok(Self {
            sni: sni.or_else(|| Some(host.clone())),
            host,
            head,
            encoded_separator: normal.encoded_separator,
        })
    }
}
