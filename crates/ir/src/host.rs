//! Hostnames of listeners and routes: parsing, matching, intersection, specificity.

use std::{fmt, net::Ipv4Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Longest hostname in bytes, the wildcard label included (`Hostname`, shared_types.go).
const MAX_LENGTH: usize = 253;

/// A hostname of a listener or route, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hostname {
    /// One host, such as `www.example.com`.
    Exact(Box<str>),
    /// Every host that ends in the suffix, which keeps its leading dot: `*.example.com` is
    /// `.example.com`.
    Wildcard(Box<str>),
}

impl Hostname {
    /// Parses what a `hostname` or `hostnames[]` field may hold: an RFC 1123 name, alone or behind
    /// `*.`, of at most 253 bytes. `None` for everything else, IP addresses included. Upper case is
    /// accepted and lowered, since host names have no case (RFC 9110 section 4.2.3).
    pub fn parse(text: &str) -> Option<Self> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let is_name = text.len() <= MAX_LENGTH
            && name.split('.').all(is_label)
            && name.parse::<Ipv4Addr>().is_err();
        match (is_name, wildcard) {
            (false, _) => None,
            (true, false) => Some(Self::Exact(name.to_ascii_lowercase().into())),
            (true, true) => Some(Self::Wildcard(
                format!(".{}", name.to_ascii_lowercase()).into(),
            )),
        }
    }

    /// Whether a request for `host` (lower case, no port) is one for this hostname. A wildcard
    /// stands for one label or more, so `*.example.com` takes `a.b.example.com` and leaves
    /// `example.com` (`HTTPRouteSpec.hostnames`).
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }

    /// The hosts that both take: the more specific of the two, or `None` if no host is common.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let narrow = match (self, other) {
            (Self::Exact(host), _) => other.matches(host).then_some(self),
            (_, Self::Exact(host)) => self.matches(host).then_some(other),
            (Self::Wildcard(a), Self::Wildcard(b)) if a.ends_with(&**b) => Some(self),
            (Self::Wildcard(a), Self::Wildcard(b)) => b.ends_with(&**a).then_some(other),
        };
        narrow.cloned()
    }

    /// How specific the hostname is: characters of a non-wildcard hostname (0 for a wildcard), then
    /// characters of the hostname. Of two hostnames that take the same host the greater is the more
    /// specific one; no hostname at all is `(0, 0)` (`HTTPRouteSpec.hostnames`, `GRPCRouteRule`,
    /// listener selection of `Listener.hostname`).
    pub fn specificity(&self) -> (usize, usize) {
        match self {
            Self::Exact(name) => (name.len(), name.len()),
            // The asterisk counts; the suffix has its dot.
            Self::Wildcard(suffix) => (0, suffix.len() + 1),
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("\"{text}\" is not a hostname")))
    }
}

/// The host part of an authority: the port is cut off, an IPv6 literal keeps its brackets
/// (RFC 3986 section 3.2). Borrowed as sent: the case does not change.
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The last colon of `[::1]` is inside the brackets, hence the look at the port.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let literal_is_open = host.starts_with('[') && !host.ends_with(']');
            if literal_is_open { authority } else { host }
        }
        _ => authority,
    }
}

/// A label of RFC 1123: letters, digits and hyphens, with a letter or digit at both ends.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let ends_well = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

#[cfg(test)]
mod tests;
