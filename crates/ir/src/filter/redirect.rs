//! `RequestRedirect`: answers with a `Location` made from the request and the filter.

use std::fmt::{self, Write};

use http::{
    HeaderValue,
    header::{HOST, LOCATION},
};
use serde::{Deserialize, Serialize};

use super::{FilterContext, PathModifier, answer};
use crate::{Scheme, host::host_of};

/// `HTTPRequestRedirectFilter`. What is `None` is taken from the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Scheme of the `Location`.
    #[serde(default)]
    pub scheme: Option<Scheme>,
    /// Host of the `Location`.
    #[serde(default)]
    pub hostname: Option<Box<str>>,
    /// Port of the `Location`; `None` is the port of the scheme if that is set, else the port the
    /// request came in by.
    #[serde(default)]
    pub port: Option<u16>,
    /// Path of the `Location`; the query is kept.
    #[serde(default)]
    pub path: Option<PathModifier>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

impl Redirect {
    /// The redirect answer to a request in canonical form.
    pub(super) fn respond(
        &self,
        request: &http::request::Parts,
        context: &FilterContext,
    ) -> Box<http::response::Parts> {
        // Validated heads and manifests hold no byte that a header value refuses.
        let Ok(location) = HeaderValue::try_from(self.location(request, context)) else {
            return answer(500);
        };
        let mut parts = answer(self.status);
        parts.headers.insert(LOCATION, location);
        parts
    }

    /// The absolute URI the client is sent to.
    fn location(&self, request: &http::request::Parts, context: &FilterContext) -> String {
        let scheme = self.scheme.unwrap_or(context.scheme);
        let own_authority = request
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        let host = match &self.hostname {
            Some(hostname) => hostname,
            None => host_of(own_authority.unwrap_or_default()),
        };
        let path = request.uri.path();
        let mut location = String::with_capacity(host.len() + path.len() + 64);
        location.push_str(scheme.as_str());
        location.push_str("://");
        location.push_str(host);
        let port = self
            .port
            .unwrap_or_else(|| self.scheme.map_or(context.port, Scheme::default_port));
        if port != scheme.default_port() {
            // Writing to a String does not fail.
            let _ = write!(location, ":{port}");
        }
        match &self.path {
            Some(modifier) => modifier.write(path, &mut location),
            None => location.push_str(path),
        }
        if let Some(query) = request.uri.query() {
            location.push('?');
            location.push_str(query);
        }
        location
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(scheme) = self.scheme {
            write!(f, " scheme {}", scheme.as_str())?;
        }
        if let Some(hostname) = &self.hostname {
            write!(f, " host {hostname}")?;
        }
        if let Some(port) = self.port {
            write!(f, " port {port}")?;
        }
        self.path
            .as_ref()
            .map_or(Ok(()), |path| write!(f, " {path}"))
    }
}

#[cfg(test)]
mod tests;
