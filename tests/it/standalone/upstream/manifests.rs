//! What a case serves: the files of the example, and what they refer to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use weft_certs::{SelfSigned, self_signed};
use weft_tests::wait::Expected;

use super::{Case, examples};

/// A Gateway for routes that name none.
const ADOPTER: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: adopter, namespace: default}
spec:
  gatewayClassName: weft
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
";

/// `namespace/name` of a Service and the ports it is referred to with.
pub(super) type Services = BTreeMap<String, Service>;

/// A Service that routes refer to.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// Its ports.
    pub(super) ports: BTreeSet<u64>,
    /// Whether GRPCRoutes refer to it.
    pub(super) grpc: bool,
}

/// A case in YAML.
pub(super) struct Manifests {
    /// Name and content of each file.
    pub(super) files: Vec<(String, String)>,
    /// Services to make.
    pub(super) services: Services,
    /// The certificate of every Secret.
    pub(super) certificate: SelfSigned,
    objects: Vec<Value>,
}

impl Manifests {
    pub(super) fn of(case: &Case) -> Self {
        let mut files: Vec<(String, String)> = Vec::new();
        for file in case.files {
            let text = fs::read_to_string(examples().join(file)).expected(file);
            files.push(((*file).to_owned(), text));
        }
        if !case.given.is_empty() {
            files.push(("given.yaml".to_owned(), case.given.to_owned()));
        }
        let mut objects: Vec<Value> = Vec::new();
        for (file, text) in &files {
            let documents: Vec<Value> = serde_saphyr::from_multiple(text).expected(file);
            objects.extend(documents.into_iter().filter(|it| !it.is_null()));
        }
        if case.adopt {
            files = vec![("adopted.json".to_owned(), adopted(&mut objects))];
            files.push(("adopter.yaml".to_owned(), ADOPTER.to_owned()));
        }
        let mut hosts: Vec<&str> = case
            .answers
            .iter()
            .filter_map(|(ask, _)| host(ask))
            .collect();
        hosts.push("localhost");
        let certificate = certificate(&hosts);
        files.push(("secrets.yaml".to_owned(), secrets(&objects, &certificate)));
        Self {
            files,
            services: services(&objects),
            certificate,
            objects,
        }
    }

    /// `Kind namespace/name` of the Gateways and routes of the case.
    pub(super) fn judged(&self) -> impl Iterator<Item = String> {
        let judged = self.objects.iter().filter(|object| {
            let kind = text(object, "/kind");
            kind == "Gateway" || kind.ends_with("Route")
        });
        judged.map(|object| {
            let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
            format!("{kind} {}/{name}", namespace(object))
        })
    }

    /// Whether an object of the example or given with it is a route that waits for a parent.
    pub(super) fn gateways(&self) -> Vec<String> {
        let gateways = self
            .objects
            .iter()
            .filter(|it| text(it, "/kind") == "Gateway");
        let name = |it: &Value| format!("{}/{}", namespace(it), text(it, "/metadata/name"));
        gateways.map(name).collect()
    }
}

/// Attaches routes without parents; everything else stays as it is.
fn adopted(objects: &mut [Value]) -> String {
    let mut text = String::new();
    for object in objects {
        let orphan =
            object.pointer("/spec/rules").is_some() && object.pointer("/spec/parentRefs").is_none();
        if orphan {
            object["spec"]["parentRefs"] =
                serde_json::json!([{"name": "adopter", "namespace": "default"}]);
        }
        text.push_str(&format!("{object}\n---\n"));
    }
    text
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    match text(object, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    }
}

/// Every Service a route sends to or mirrors to.
fn services(objects: &[Value]) -> Services {
    let mut services = Services::new();
    for object in objects {
        let grpc = text(object, "/kind") == "GRPCRoute";
        each(object, &mut |key, value| {
            let references = match key {
                "backendRefs" => value.as_array().map_or(&[][..], Vec::as_slice),
                "backendRef" => std::slice::from_ref(value),
                _ => return,
            };
            for reference in references.iter().filter(|it| text(it, "/group").is_empty()) {
                let namespace = match text(reference, "/namespace") {
                    "" => namespace(object),
                    namespace => namespace,
                };
                let name = format!("{namespace}/{}", text(reference, "/name"));
                let service = services.entry(name).or_default();
                service.ports.extend(reference["port"].as_u64());
                service.grpc |= grpc;
            }
        });
    }
    services
}

/// A Secret with the certificate for every reference of a Gateway.
fn secrets(objects: &[Value], certificate: &SelfSigned) -> String {
    let mut names = BTreeSet::new();
    for object in objects.iter().filter(|it| text(it, "/kind") == "Gateway") {
        each(object, &mut |key, value| {
            if key == "certificateRefs" {
                for reference in value.as_array().map_or(&[][..], Vec::as_slice) {
                    let namespace = match text(reference, "/namespace") {
                        "" => namespace(object),
                        namespace => namespace,
                    };
                    names.insert((namespace.to_owned(), text(reference, "/name").to_owned()));
                }
            }
        });
    }
    let indent = |pem: &str| pem.trim_end().replace('\n', "\n    ");
    let secrets = names.iter().map(|(namespace, name)| {
        format!(
            "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             stringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
            indent(&certificate.cert_pem),
            indent(certificate.key_pem.expose())
        )
    });
    secrets.collect()
}

/// Calls `visit` for every field at any depth.
fn each<'a>(value: &'a Value, visit: &mut dyn FnMut(&str, &'a Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                visit(key, value);
                each(value, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
        _ => {}
    }
}

/// Host of a request in a table.
fn host(request: &str) -> Option<&str> {
    let (_, rest) = request.split_once("://")?;
    rest.split([':', '/']).next()
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates are checked against the real clock"
)]
fn certificate(hosts: &[&str]) -> SelfSigned {
    self_signed(hosts, std::time::SystemTime::now()).expected("a certificate")
}
