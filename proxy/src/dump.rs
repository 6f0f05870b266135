//! What a proxy shows of its configuration as JSON, which only grows: `weft proxy` reads it. And of the
//! identity of a process that counts nothing else.

use serde_json::{Value, json};
use weft_certs::RenewalStatus;
use weft_telemetry::metrics::{Holder, IdentityLabels, identity_text};
use weft_wire::Configuration;

/// The configuration in force with its number, as far as it is no secret: certificates and keys of
/// listeners are left out.
pub(crate) fn config(
    number: Option<u64>,
    configuration: Option<&Configuration>,
    identities: &[Value],
) -> String {
    let endpoints = configuration.map(|configuration| {
        let of_port = configuration.endpoints.iter();
        let of_port = of_port.map(|(port, endpoints)| {
            json!({
                "service": port.service.to_string(),
                "port": port.port,
                "endpoints": endpoints.all(),
            })
        });
        of_port.collect::<Vec<_>>()
    });
    let config = json!({
        "version": 1,
        "generation": number,
        "tables": configuration.map(|it| &*it.tables),
        "endpoints": endpoints,
        "identities": identities,
    });
    config.to_string()
}

/// An identity and how its certificate is renewed.
pub(crate) fn identity(id: &str, renewal: &RenewalStatus) -> Value {
    json!({
        "id": id,
        "notAfterUnixS": renewal.not_after_unix_s,
        "renewals": renewal.renewals,
        "failures": renewal.failures,
        "lastError": renewal.last_error.as_ref().map(ToString::to_string),
    })
}

/// The same for metrics: the certificate of a parent, as OpenMetrics text without its end.
pub(crate) fn identity_metrics(id: &str, renewal: &RenewalStatus) -> String {
    let labels = IdentityLabels {
        holder: Holder::Parent,
        identity: id.into(),
    };
    identity_text(vec![(labels, renewal.metrics())])
}
