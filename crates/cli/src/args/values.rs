//! Values of options, parsed.

use std::{str::FromStr, time::Duration};

use http::{HeaderName, HeaderValue};
use weft_ir::Name;

/// `SVC[.NS][:PORT]`: a Service as its clients write it. `SVC.NS.svc` and
/// `SVC.NS.svc.cluster.local` are understood too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name of the Service.
    pub(crate) service: String,
    /// Its namespace, if given.
    pub(crate) namespace: Option<String>,
    /// A port of it, if given.
    pub(crate) port: Option<u16>,
}

impl Target {
    /// The Service, in `namespace` if it names none itself.
    pub(crate) fn name(&self, namespace: &str) -> Name {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        Name::new(namespace, self.service.as_str())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = split_port(text)?;
        let mut labels = host.split('.');
        let service = labels.next().unwrap_or_default().to_owned();
        let namespace = labels.next().map(str::to_owned);
        let rest: Vec<&str> = labels.collect();
        let is_name = |text: &str| !text.is_empty() && !text.contains(['/', ' ']);
        let known = matches!(rest.as_slice(), [] | ["svc"] | ["svc", "cluster", "local"]);
        if !known || !is_name(&service) || namespace.as_deref().is_some_and(|it| !is_name(it)) {
            return Err("write SVC, SVC.NS or SVC.NS:PORT, such as web.shop:80".to_owned());
        }
        Ok(Self {
            service,
            namespace,
            port,
        })
    }
}

/// `NS/NAME[:PORT]`: a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The Gateway.
    pub(crate) name: Name,
    /// A port of it, if given.
    pub(crate) port: Option<u16>,
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, port) = split_port(text)?;
        match name.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(Self {
                name: Name::new(namespace, name),
                port,
            }),
            _ => Err("write NS/NAME or NS/NAME:PORT, such as shop/edge:80".to_owned()),
        }
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((rest, port)) => Ok((rest, Some(parse_port(port)?))),
    }
}

/// `FROM=TO`: two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortPair {
    /// The port as written in the YAML.
    pub(crate) from: u16,
    /// The port that is listened on.
    pub(crate) to: u16,
}

impl FromStr for PortPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once('=')
            .ok_or("write FROM=TO, such as 80=8081")?;
        Ok(Self {
            from: parse_port(from)?,
            to: parse_port(to)?,
        })
    }
}

/// `NAME=PORT`: a backend of `weft echo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    /// What it calls itself: visible ASCII.
    pub(crate) name: String,
    /// The port it listens on.
    pub(crate) port: u16,
}

impl FromStr for NamedPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, port))
                if !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic()) =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    port: parse_port(port)?,
                })
            }
            _ => Err("write NAME=PORT, such as stable=9001".to_owned()),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is no port; use 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// `NAME=VALUE`: a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderField {
    /// Name.
    pub(crate) name: HeaderName,
    /// Value.
    pub(crate) value: HeaderValue,
}

impl FromStr for HeaderField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.split_once('=').or_else(|| text.split_once(": "));
        let (name, value) = split.ok_or("write NAME=VALUE, such as x-env=canary")?;
        let name = HeaderName::from_str(name);
        let value = HeaderValue::from_str(value);
        Ok(Self {
            name: name.map_err(|_| format!("{text:?} has no valid header name"))?,
            value: value.map_err(|_| format!("{text:?} has no valid header value"))?,
        })
    }
}

/// `NAME=VALUE`: a value of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Name of the value.
    pub(crate) name: String,
    /// The value, in YAML.
    pub(crate) value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write NAME=VALUE, such as replicas=3".to_owned()),
        }
    }
}

/// A name of a namespace: a DNS label (RFC 1123 section 2.1).
pub(crate) fn dns_label(text: &str) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = !text.is_empty() && text.len() <= 63 && text.bytes().all(is_inner);
    if is_label && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("write at most 63 of a-z, 0-9 and -, such as weft-system".to_owned())
    }
}

/// A duration such as `30s`, `500ms` or `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    weft_api::duration::parse(text).map_err(|error| error.to_string())
}
