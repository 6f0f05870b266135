//! Small worlds as manifests: what a test says, and what every test needs but none is about.

use std::{fmt::Write as _, net::SocketAddr};

/// Manifests of a test. Names are written `namespace/name`; specs are flow YAML without the outer
/// braces.
#[derive(Clone, Debug, Default)]
pub struct World {
    yaml: String,
    next_ip: u8,
}

/// What every world has: the namespaces, and a Gateway `infra/edge` that listens on 8080 for all
/// of them.
const BASE: &str = "\
{apiVersion: v1, kind: Namespace, metadata: {name: infra}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: client}}
";

impl World {
    /// A world with a Gateway `infra/edge` whose one listener takes HTTP for every host on 8080.
    #[must_use]
    pub fn new() -> Self {
        Self::bare().gateway("infra/edge", "{name: http, port: 8080, protocol: HTTP}")
    }

    /// A world without a Gateway.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            yaml: BASE.to_owned(),
            next_ip: 0,
        }
    }

    /// These manifests and no others.
    #[must_use]
    pub fn raw(yaml: String) -> Self {
        Self { yaml, next_ip: 0 }
    }

    /// The manifests.
    #[must_use]
    pub fn yaml(&self) -> &str {
        &self.yaml
    }

    /// Any object, as YAML.
    #[must_use]
    pub fn with(mut self, yaml: &str) -> Self {
        let _infallible = write!(self.yaml, "---\n{yaml}\n");
        self
    }

    /// A Gateway open to routes of all namespaces. `listeners` are flow mappings, one per line.
    #[must_use]
    pub fn gateway(self, name: &str, listeners: &str) -> Self {
        let all = "allowedRoutes: {namespaces: {from: All}}}";
        let listeners: Vec<_> = listeners
            .lines()
            .map(|line| {
                let open = line
                    .trim()
                    .strip_suffix('}')
                    .expect("a listener is a flow mapping");
                format!("{open}, {all}")
            })
            .collect();
        let spec = format!(
            "gatewayClassName: weft, listeners: [{}]",
            listeners.join(", ")
        );
        self.object("gateway.networking.k8s.io/v1", "Gateway", name, &spec)
    }

    /// A Service with one port, 80, and these ready endpoints.
    #[must_use]
    pub fn service(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        self.service_port(name, "", endpoints)
    }

    /// A Service whose port 80 says more about itself, such as `appProtocol: kubernetes.io/h2c`.
    #[must_use]
    pub fn service_port(mut self, name: &str, more: &str, endpoints: &[SocketAddr]) -> Self {
        self.next_ip += 1;
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(", {more}")
        };
        let spec = format!(
            "clusterIP: 10.0.0.{}, ports: [{{name: http, port: 80{more}}}]",
            self.next_ip
        );
        let mut world = self.object("v1", "Service", name, &spec);
        for endpoint in endpoints {
            world = world.endpoint(name, *endpoint, "ready: true");
        }
        world
    }

    /// One more endpoint of a Service, with its conditions.
    #[must_use]
    pub fn endpoint(self, service: &str, address: SocketAddr, conditions: &str) -> Self {
        let (namespace, name) = split(service);
        let (ip, port) = (address.ip(), address.port());
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        self.with(&format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: {family}, \
             metadata: {{name: {name}-{port}, namespace: {namespace}, \
             labels: {{kubernetes.io/service-name: {name}}}}}, \
             ports: [{{name: http, port: {port}}}], \
             endpoints: [{{addresses: [\"{ip}\"], conditions: {{{conditions}}}}}]}}"
        ))
    }

    /// An HTTPRoute of `infra/edge`.
    #[must_use]
    pub fn route(self, name: &str, spec: &str) -> Self {
        self.attached("HTTPRoute", name, "{name: edge, namespace: infra}", spec)
    }

    /// A GRPCRoute of `infra/edge`.
    #[must_use]
    pub fn grpc_route(self, name: &str, spec: &str) -> Self {
        self.attached("GRPCRoute", name, "{name: edge, namespace: infra}", spec)
    }

    /// An HTTPRoute of a Service: a producer route in its namespace, else a consumer route.
    #[must_use]
    pub fn mesh_route(self, name: &str, service: &str, spec: &str) -> Self {
        let (namespace, parent) = split(service);
        let parent =
            format!("{{group: \"\", kind: Service, name: {parent}, namespace: {namespace}}}");
        self.attached("HTTPRoute", name, &parent, spec)
    }

    /// A Secret with a certificate and its key in PEM.
    #[must_use]
    pub fn secret(self, name: &str, certificate: &str, key: &str) -> Self {
        let (namespace, name) = split(name);
        let indent = |pem: &str| pem.trim_end().replace('\n', "\n    ");
        self.with(&format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             stringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}",
            indent(certificate),
            indent(key)
        ))
    }

    /// A ConfigMap with certification authorities in PEM.
    #[must_use]
    pub fn authorities(self, name: &str, pem: &str) -> Self {
        let (namespace, name) = split(name);
        let pem = pem.trim_end().replace('\n', "\n    ");
        self.with(&format!(
            "apiVersion: v1\nkind: ConfigMap\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             data:\n  ca.crt: |\n    {pem}"
        ))
    }

    /// A BackendTLSPolicy for a Service of its namespace.
    #[must_use]
    pub fn backend_tls(self, name: &str, service: &str, validation: &str) -> Self {
        let spec = format!(
            "targetRefs: [{{group: \"\", kind: Service, name: {service}}}], \
             validation: {{{validation}}}"
        );
        let version = "gateway.networking.k8s.io/v1";
        self.object(version, "BackendTLSPolicy", name, &spec)
    }

    fn attached(self, kind: &str, name: &str, parent: &str, spec: &str) -> Self {
        let spec = format!("parentRefs: [{parent}], {spec}");
        self.object("gateway.networking.k8s.io/v1", kind, name, &spec)
    }

    fn object(self, version: &str, kind: &str, name: &str, spec: &str) -> Self {
        let (namespace, name) = split(name);
        self.with(&format!(
            "{{apiVersion: {version}, kind: {kind}, \
             metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
        ))
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/')
        .unwrap_or_else(|| panic!("{name:?} is not `namespace/name`"))
}
