//! Routes that need the certification authorities of a platform that has none, such as an image
//! without `/etc/ssl/certs/ca-certificates.crt`. The control plane cannot know that.

use std::collections::BTreeSet;

use weft_ir::{Authorities, RouteId, Tables};
use weft_wire::{Kind, proto::config::ResourceError};

/// Why requests of such a route are refused.
const LACKING: &str = "a BackendTLSPolicy asks for the authorities of the platform, and the image of this \
                       proxy has none; add /etc/ssl/certs/ca-certificates.crt to it, or name those to trust \
                       in caCertificateRefs";

/// Routes with a backend or mirror that only authorities of the platform could vouch for.
pub(crate) fn lacking(tables: &Tables) -> Vec<ResourceError> {
    let ports = (tables.gateways.values()).flat_map(|gateway| &gateway.ports);
    let listeners = ports.flat_map(|port| &port.listeners);
    let of_gateways = listeners.map(|listener| &listener.routes);
    let frontends = (tables.services.values()).flat_map(|service| &service.ports);
    let of_services = frontends.flat_map(|it| it.producer.iter().chain(it.consumers.values()));
    let rules = of_gateways.chain(of_services).flat_map(|it| it.rules());
    let lacking = rules.filter(|rule| {
        let mut settings = rule.backend_tls();
        settings.any(|tls| tls.authorities == Authorities::System)
    });
    let routes: BTreeSet<&RouteId> = lacking.map(|rule| &*rule.route).collect();
    let error = |route: &RouteId| ResourceError {
        r#type: Kind::Route(route.kind).as_str().to_owned(),
        name: route.name.to_string(),
        message: LACKING.to_owned(),
    };
    routes.into_iter().map(error).collect()
}
