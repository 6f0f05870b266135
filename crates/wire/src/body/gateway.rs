//! Gateways without their routes.

use std::sync::Arc;

use ciborium::Value;
use serde::{Deserialize, Serialize};
use weft_ir::{Gateway, Listener, Name, Port};

use super::{Decoded, field, part::Part, read};
use crate::{Key, Kind, Resource, ResourceError};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<P> {
    ports: Vec<Part<P>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_certificate: Option<Name>,
}

pub(crate) fn encode_gateway(gateway: &Gateway) -> Result<Resource, ResourceError> {
    let Gateway {
        name,
        ports,
        client_certificate,
    } = gateway;
    let bare = |port: &Arc<Port>| {
        let mut port = Port::clone(port);
        for listener in &mut port.listeners {
            *listener = Arc::new(Listener {
                routes: Arc::default(),
                ..Listener::clone(listener)
            });
        }
        Part::new(port)
    };
    let body = Body {
        ports: ports.iter().map(bare).collect(),
        client_certificate: client_certificate.clone(),
    };
    Resource::encode(Key::new(Kind::Gateway, name.clone()), &body)
}

/// A Gateway whose listeners have no routes yet. A port that is not understood is not served.
pub(crate) fn decode_gateway(name: &Name, body: &[u8]) -> Result<Decoded<Gateway>, String> {
    let body: Body<Value> = read(body)?;
    let mut ports = Vec::with_capacity(body.ports.len());
    let mut problems = Vec::new();
    for (at, part) in body.ports.iter().enumerate() {
        match part.read::<Port>() {
            Ok(port) => ports.push(Arc::new(port)),
            Err(error) => {
                let number = field(part.raw(), "port").and_then(Value::as_integer);
                let port = number.map_or_else(
                    || format!("port number {} of the list", at + 1),
                    |number| format!("port {}", i128::from(number)),
                );
                problems.push(format!("{port} is not served: {error}"));
            }
        }
    }
    let value = Gateway {
        name: name.clone(),
        ports,
        client_certificate: body.client_certificate,
    };
    Ok(Decoded { value, problems })
}
