//! Matches of gRPC calls (`GRPCRouteMatch`, `GRPCMethodMatch`).

use serde::{Deserialize, Serialize};

use super::{HeaderMatch, Unmet, header};
use crate::{Regex, RegexError, RequestView};

/// One `GRPCRouteMatch`: every condition has to hold. The default takes every gRPC call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GrpcMatch {
    /// Condition on service and method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<GrpcMethodMatch>,
    /// Conditions on metadata, all of which have to hold; one per name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// See [`GrpcMatch::unsupported`].
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub(crate) unsupported: bool,
}

/// `GRPCMethodMatch`: a part that is `None` takes everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum GrpcMethodMatch {
    /// `Exact`, case-sensitive.
    Exact {
        /// Fully qualified service, such as `helloworld.Greeter`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<Box<str>>,
        /// Method, such as `SayHello`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<Box<str>>,
    },
    /// `RegularExpression`, over all of the service and all of the method.
    #[serde(rename = "RegularExpression")]
    Regex {
        /// Expression for the fully qualified service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<Regex>,
        /// Expression for the method.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<Regex>,
    },
}

impl GrpcMatch {
    /// A match of these conditions. Of several conditions on one name the first stays; a method
    /// condition that takes everything is dropped.
    pub fn new(method: Option<GrpcMethodMatch>, headers: Vec<HeaderMatch>) -> Self {
        let method = method.filter(|condition| !condition.is_open());
        Self {
            method,
            headers: header::distinct(headers),
            unsupported: false,
        }
    }

    /// In place of a match with conditions that this version does not know; of gRPC calls the same
    /// as [`HttpMatch::unsupported`](crate::HttpMatch::unsupported).
    pub fn unsupported() -> Self {
        Self {
            unsupported: true,
            ..Self::default()
        }
    }

    /// The first condition that `request` does not meet; `call` is its service and method.
    pub(crate) fn check(
        &self,
        call: Option<(&str, &str)>,
        request: &RequestView<'_>,
    ) -> Result<(), Unmet<'_>> {
        match (&self.method, call) {
            (None, _) => {}
            (Some(method), Some((service, name))) if method.matches(service, name) => {}
            (Some(_), _) => return Err(Unmet::Call),
        }
        header::check(&self.headers, request)
    }

    /// Whether the match leaves out some path.
    pub(crate) fn restricts_path(&self) -> bool {
        self.method.is_some()
    }
}

impl GrpcMethodMatch {
    /// An `Exact` match of values as a manifest writes them; an empty one is the same as none and
    /// takes everything.
    pub fn exact(service: Option<&str>, method: Option<&str>) -> Self {
        let given = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(Box::from);
        Self::Exact {
            service: given(service),
            method: given(method),
        }
    }

    /// A `RegularExpression` match of values as a manifest writes them; an empty one is the same as
    /// none and takes everything.
    ///
    /// # Errors
    /// [`RegexError`] of the first pattern that does not compile.
    pub fn regex(service: Option<&str>, method: Option<&str>) -> Result<Self, RegexError> {
        let given = |value: Option<&str>| {
            value
                .filter(|text| !text.is_empty())
                .map(Regex::new)
                .transpose()
        };
        Ok(Self::Regex {
            service: given(service)?,
            method: given(method)?,
        })
    }

    /// Whether neither service nor method is given.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Exact { service, method } => service.is_none() && method.is_none(),
            Self::Regex { service, method } => service.is_none() && method.is_none(),
        }
    }

    /// Whether the condition holds for a call.
    pub fn matches(&self, service: &str, method: &str) -> bool {
        fn exact(wanted: &Option<Box<str>>, text: &str) -> bool {
            wanted.as_ref().is_none_or(|wanted| **wanted == *text)
        }
        fn regex(wanted: &Option<Regex>, text: &str) -> bool {
            wanted
                .as_ref()
                .is_none_or(|regex| regex.is_match(text.as_bytes()))
        }
        match self {
            Self::Exact {
                service: wanted_service,
                method: wanted_method,
            } => exact(wanted_service, service) && exact(wanted_method, method),
            Self::Regex {
                service: wanted_service,
                method: wanted_method,
            } => regex(wanted_service, service) && regex(wanted_method, method),
        }
    }
}

/// Service and method of a call: its path is `/service/method`, the method being what follows the
/// last slash (gRPC over HTTP/2, "Path"). `None` for a path of another form.
pub(crate) fn call_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}
