//! Requests as fixtures write them, in one line.
//!
//! | form | meaning |
//! |---|---|
//! | `[gateway NS/NAME] [sni HOST] METHOD http://HOST[:PORT]/PATH` | a request to a Gateway (default `infra/edge`) |
//! | `from NS to NS/SERVICE:PORT METHOD /PATH` | a mesh request of a client in a namespace |
//!
//! Both take header fields behind ` | name: value`, as often as needed; `GRPC` is the method of a
//! gRPC call.

use anyhow::{Context, Result, bail, ensure};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use weft_ir::{Name, Scheme};

/// One question about a request.
#[derive(Debug)]
pub struct Ask {
    /// The line as written.
    pub text: String,
    /// Whether every candidate is to be listed, not only the winner.
    pub explain: bool,
    /// Where the request comes in.
    pub entry: Entry,
    /// Request method.
    pub method: Method,
    /// Path and query as the client sent them.
    pub target: String,
    /// Header fields, `host` among them.
    pub headers: HeaderMap,
}

/// Where a request comes in.
#[derive(Debug)]
pub enum Entry {
    /// At a Gateway.
    Gateway {
        /// The Gateway.
        name: Name,
        /// Scheme of the client.
        scheme: Scheme,
        /// Port of the listener.
        port: u16,
        /// Server name of the TLS connection.
        sni: Option<String>,
    },
    /// In the mesh.
    Mesh {
        /// Namespace of the client.
        client: String,
        /// The Service it connects to.
        service: Name,
        /// Port of the Service.
        port: u16,
    },
}

impl Ask {
    /// Parses the text behind `# request: ` or `# explain: `.
    ///
    /// # Errors
    /// The text has none of the two forms.
    pub fn parse(text: &str, explain: bool) -> Result<Self> {
        let mut parts = text.split(" | ");
        let head = parts.next().unwrap_or_default();
        let (entry, method, url) = entry_of(head)?;
        let (authority, target) = match url.split_once("://") {
            Some((_, rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", url),
        };
        let authority = match &entry {
            Entry::Mesh { service, .. } => format!("{}.{}", service.name, service.namespace),
            Entry::Gateway { .. } => authority.to_owned(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(http::header::HOST, HeaderValue::try_from(authority)?);
        let grpc = method == "GRPC";
        if grpc {
            headers.insert(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/grpc"),
            );
        }
        for field in parts {
            let (name, value) = field.split_once(": ").context("a field is `name: value`")?;
            let (name, value) = (HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
            if name == http::header::HOST {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        let method = if grpc {
            Method::POST
        } else {
            Method::from_bytes(method.as_bytes())?
        };
        let target = target.to_owned();
        Ok(Self {
            text: text.to_owned(),
            explain,
            entry,
            method,
            target,
            headers,
        })
    }
}

/// Where the request comes in, its method and its URL.
fn entry_of(head: &str) -> Result<(Entry, &str, &str)> {
    let mut words: Vec<&str> = head.split(' ').collect();
    let url = words.pop().context("no URL")?;
    let method = words.pop().context("no method")?;
    if let ["from", client, "to", service] = words[..] {
        let (service, port) = service
            .rsplit_once(':')
            .context("a Service needs its port")?;
        let entry = Entry::Mesh {
            client: client.to_owned(),
            service: name(service)?,
            port: port.parse()?,
        };
        return Ok((entry, method, url));
    }
    let (mut gateway, mut sni) = (Name::new("infra", "edge"), None);
    for pair in words.chunks(2) {
        match pair {
            ["gateway", wanted] => gateway = name(wanted)?,
            ["sni", wanted] => sni = Some((*wanted).to_owned()),
            _ => bail!("{pair:?} is neither `gateway NS/NAME` nor `sni HOST`"),
        }
    }
    let (scheme, rest) = url
        .split_once("://")
        .context("a Gateway request needs an absolute URL")?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => bail!("scheme {other:?}"),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let port = match authority.rsplit_once(':') {
        Some((_, port)) => port.parse()?,
        None => scheme.default_port(),
    };
    ensure!(!authority.is_empty(), "no host");
    Ok((
        Entry::Gateway {
            name: gateway,
            scheme,
            port,
            sni,
        },
        method,
        url,
    ))
}

fn name(text: &str) -> Result<Name> {
    let (namespace, name) = text.split_once('/').context("a name is `namespace/name`")?;
    Ok(Name::new(namespace, name))
}
