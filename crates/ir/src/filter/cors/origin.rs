//! Origins a CORS filter allows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Scheme;

/// One entry of `allowOrigins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OriginPattern {
    /// `*`: every origin, opaque (`null`) ones too.
    Any,
    /// `<scheme>://<host>(:<port>)`
    Of {
        /// Scheme of the origin.
        scheme: Scheme,
        /// Host of the origin.
        host: OriginHost,
        /// Port of the origin; the scheme's own if the manifest names none.
        port: u16,
    },
}

/// Host of an [`OriginPattern`], in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginHost {
    /// `*`
    Any,
    /// What follows a leading `*`, with its dot: any number of labels may take the star's place.
    EndsWith(Box<str>),
    /// Exactly this host.
    Exact(Box<str>),
}

/// Why an `allowOrigins` entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Neither `http://` nor `https://`.
    #[error("the scheme must be http or https, as in \"https://example.com\"")]
    Scheme,
    /// No host, a `*` that is not its first label, or a character that hosts do not have.
    #[error("the host must be a DNS name, \"*\" or \"*.\" and a DNS name")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
}

impl OriginPattern {
    /// Parses an entry of `allowOrigins`.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse(entry: &str) -> Result<Self, OriginError> {
        if entry == "*" {
            return Ok(Self::Any);
        }
        let (scheme, host, port) = split(entry)?;
        let host = match host.strip_prefix('*') {
            Some("") => OriginHost::Any,
            Some(suffix) if suffix.strip_prefix('.').is_some_and(is_host) => {
                OriginHost::EndsWith(suffix.to_ascii_lowercase().into())
            }
            None if is_host(host) => OriginHost::Exact(host.to_ascii_lowercase().into()),
            _ => return Err(OriginError::Host),
        };
        Ok(Self::Of { scheme, host, port })
    }

    /// Whether the pattern allows the value of an `origin` header.
    pub fn matches(&self, origin: &str) -> bool {
        let Self::Of { scheme, host, port } = self else {
            return true;
        };
        let Ok((origin_scheme, origin_host, origin_port)) = split(origin) else {
            return false;
        };
        is_host(origin_host)
            && *scheme == origin_scheme
            && *port == origin_port
            && match host {
                OriginHost::Any => true,
                OriginHost::Exact(exact) => origin_host.eq_ignore_ascii_case(exact),
                OriginHost::EndsWith(suffix) => origin_host
                    .len()
                    .checked_sub(suffix.len())
                    .filter(|&star| star > 0)
                    .and_then(|star| origin_host.get(star..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            }
    }
}

/// Scheme, host and port of an origin; the port defaults to the scheme's.
fn split(origin: &str) -> Result<(Scheme, &str, u16), OriginError> {
    let (scheme, authority) = origin.split_once("://").ok_or(OriginError::Scheme)?;
    let scheme = [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known.as_str()))
        .ok_or(OriginError::Scheme)?;
    // A colon inside brackets belongs to an IPv6 literal.
    let (host, port) = match authority
        .rfind(':')
        .filter(|&at| !authority[at..].contains(']'))
    {
        Some(at) => (&authority[..at], port_of(&authority[at + 1..])?),
        None => (authority, scheme.default_port()),
    };
    Ok((scheme, host, port))
}

/// A port in digits only, without sign.
fn port_of(digits: &str) -> Result<u16, OriginError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OriginError::Port);
    }
    digits
        .parse()
        .ok()
        .filter(|&port| port > 0)
        .ok_or(OriginError::Port)
}

/// A DNS name or an IPv6 literal in brackets.
fn is_host(host: &str) -> bool {
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Of { scheme, host, port } = self else {
            return f.write_str("*");
        };
        write!(f, "{}://", scheme.as_str())?;
        match host {
            OriginHost::Any => f.write_str("*")?,
            OriginHost::EndsWith(suffix) => write!(f, "*{suffix}")?,
            OriginHost::Exact(host) => f.write_str(host)?,
        }
        if *port == scheme.default_port() {
            Ok(())
        } else {
            write!(f, ":{port}")
        }
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = OriginError;

    fn try_from(entry: String) -> Result<Self, Self::Error> {
        Self::parse(&entry)
    }
}

#[cfg(test)]
mod tests;
