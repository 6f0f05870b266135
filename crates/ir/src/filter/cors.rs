//! `CORS`: answers preflights and marks responses for the origins that may read them.
//!
//! The filter owns the `access-control-*` fields of its rule: what a backend says about origins is
//! replaced, so that an origin the filter does not name never passes. The origin is always echoed,
//! never `*` (one rule for requests with and without credentials), hence `vary: origin`.

mod allow;
mod origin;

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, LAST_MODIFIED,
        ORIGIN, PRAGMA, SET_COOKIE, VARY,
    },
};
use serde::{Deserialize, Serialize};

pub use self::{
    allow::{AllowList, AllowListError},
    origin::{OriginError, OriginHost, OriginPattern},
};
use super::answer;

/// `HTTPCORSFilter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins that may read responses.
    #[serde(default)]
    pub allow_origins: Vec<OriginPattern>,
    /// Whether they may send credentials.
    #[serde(default)]
    pub allow_credentials: bool,
    /// Methods beside the safelisted GET, HEAD and POST.
    #[serde(default)]
    pub allow_methods: AllowList,
    /// Request headers beside the safelisted ones.
    #[serde(default)]
    pub allow_headers: AllowList,
    /// Response headers that scripts may read, beside the safelisted ones.
    #[serde(default)]
    pub expose_headers: AllowList,
    /// Seconds for which a client may keep the answer to a preflight; the API's default is 5.
    #[serde(default = "default_max_age")]
    pub max_age: u32,
}

/// The default of `HTTPCORSFilter.maxAge`, in seconds.
fn default_max_age() -> u32 {
    5
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            allow_origins: Vec::new(),
            allow_credentials: false,
            allow_methods: AllowList::Safelisted,
            allow_headers: AllowList::Safelisted,
            expose_headers: AllowList::Safelisted,
            max_age: default_max_age(),
        }
    }
}

/// What the response phase needs of a request. Without a CORS filter it is empty and free.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// The `origin` of the request, if the CORS filter allows it.
    allowed_origin: Option<HeaderValue>,
}

impl Cors {
    /// Judges the origin of a request.
    pub(super) fn capture(&self, request: &HeaderMap) -> Captured {
        let mut origins = request.get_all(ORIGIN).iter();
        // Two origins are no origin: which of them would the browser believe?
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return Captured::default();
        };
        let allowed = origin
            .to_str()
            .is_ok_and(|origin| self.allow_origins.iter().any(|allow| allow.matches(origin)));
        Captured {
            allowed_origin: allowed.then(|| origin.clone()),
        }
    }

    /// The answer to a CORS-preflight request, `None` for every other request. A preflight is an
    /// OPTIONS with `origin` and `access-control-request-method` (Fetch, "CORS-preflight request").
    pub(super) fn preflight(
        &self,
        request: &http::request::Parts,
    ) -> Option<Box<http::response::Parts>> {
        if request.method != Method::OPTIONS || !request.headers.contains_key(ORIGIN) {
            return None;
        }
        let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let mut parts = answer(StatusCode::NO_CONTENT.as_u16());
        let captured = self.capture(&request.headers);
        self.apply_response(&captured, &mut parts.headers);
        for asked in [
            ACCESS_CONTROL_REQUEST_METHOD,
            ACCESS_CONTROL_REQUEST_HEADERS,
        ] {
            parts.headers.append(VARY, asked.into());
        }
        if captured.allowed_origin.is_some() {
            let headers = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
            let asked = [
                (
                    ACCESS_CONTROL_ALLOW_METHODS,
                    self.allow_methods.answer(Some(method)),
                ),
                (
                    ACCESS_CONTROL_ALLOW_HEADERS,
                    self.allow_headers.answer(headers),
                ),
            ];
            for (name, value) in asked {
                if let Some(value) = value {
                    parts.headers.insert(name, value.clone());
                }
            }
            parts
                .headers
                .insert(ACCESS_CONTROL_MAX_AGE, self.max_age.into());
        }
        Some(parts)
    }

    /// Marks a response. Applying it twice changes nothing.
    pub(super) fn apply_response(&self, captured: &Captured, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        // Also without origin: a cache must not hand this response to a cross-origin request
        // (Fetch, "CORS protocol and HTTP caches").
        vary_by_origin(headers);
        let Some(origin) = &captured.allowed_origin else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.allow_credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        let expose = match &self.expose_headers {
            AllowList::Safelisted => None,
            AllowList::Listed(names) => Some(names.clone()),
            AllowList::Any if self.allow_credentials => names_to_expose(headers),
            AllowList::Any => Some(HeaderValue::from_static("*")),
        };
        if let Some(expose) = expose {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose);
        }
    }
}

/// Adds `origin` to `vary` unless it is there.
fn vary_by_origin(headers: &mut HeaderMap) {
    let varies = headers.get_all(VARY).iter().any(|line| {
        line.as_bytes().split(|&byte| byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(ORIGIN.as_str().as_bytes())
        })
    });
    if !varies {
        headers.append(VARY, ORIGIN.into());
    }
}

/// With credentials `*` is an ordinary name to browsers and the API forbids it, so "all headers"
/// is said by name: every field of this response that scripts do not see anyway.
fn names_to_expose(headers: &HeaderMap) -> Option<HeaderValue> {
    const KNOWN: [HeaderName; 8] = [
        CACHE_CONTROL,
        CONTENT_LANGUAGE,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        EXPIRES,
        LAST_MODIFIED,
        PRAGMA,
        SET_COOKIE,
    ];
    let mut names: Vec<&str> = headers
        .keys()
        .filter(|name| !KNOWN.contains(name))
        .map(HeaderName::as_str)
        .filter(|name| !name.starts_with("access-control-"))
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        return None;
    }
    HeaderValue::try_from(names.join(", ")).ok()
}

impl fmt::Display for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("origins")?;
        if self.allow_origins.is_empty() {
            f.write_str(" none")?;
        }
        for origin in &self.allow_origins {
            write!(f, " {origin}")?;
        }
        for (name, list) in [
            ("methods", &self.allow_methods),
            ("headers", &self.allow_headers),
            ("expose", &self.expose_headers),
        ] {
            if *list != AllowList::Safelisted {
                write!(f, "; {name} {list}")?;
            }
        }
        if self.allow_credentials {
            f.write_str("; credentials")?;
        }
        write!(f, "; max-age {}s", self.max_age)
    }
}

#[cfg(test)]
mod tests;
