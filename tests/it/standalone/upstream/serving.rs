//! A case that runs: backends in this process, `weft run` beside them, and questions to it.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use http::{HeaderMap, Request, Response, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use weft_ir::{Name, Scheme};
use weft_tests::{
    ask::{Ask, Entry},
    backend::{Backend, Speaks},
    binary::Run,
    body::{Body, empty, full, with_trailers},
    client::{Whole, ask1, ask2, http1, http2, tcp, tls},
    wait::{Expected, PATIENCE, eventually},
};

use super::manifests::{Manifests, Services};

/// Requests of a split.
const MANY: usize = 300;
/// Percentage points a share may be off: five standard deviations of even draws.
const CHANCE: usize = 9;

pub(super) struct Serving {
    run: Run,
    backends: BTreeMap<String, Backend>,
    gateways: Vec<String>,
    root: String,
}

impl Serving {
    pub(super) async fn start(manifests: &Manifests) -> Self {
        let mut backends = BTreeMap::new();
        for (name, service) in &manifests.services {
            let speaks = if service.grpc {
                Speaks::H2c
            } else {
                Speaks::Http1
            };
            let short = name.rsplit('/').next().unwrap_or_default().to_owned();
            let says = move |request| say(short.clone(), request);
            backends.insert(name.clone(), Backend::serve(speaks, says).await);
        }
        let mut files = manifests.files.clone();
        let services = yaml(&manifests.services, &backends);
        files.push(("services.yaml".to_owned(), services));
        let run = Run::start(&files);
        Self {
            run,
            backends,
            gateways: manifests.gateways(),
            root: manifests.certificate.cert_pem.clone(),
        }
    }

    /// The conditions of an object, one per line; empty without status. Statuses are written a
    /// moment after everything serves, so that one that has to come is waited for.
    pub(super) async fn status(&self, object: &str, has_to_come: bool) -> String {
        let file = format!("status/{}.yaml", object.replacen(' ', "/", 1));
        let mut text = self.run.state(&file);
        if has_to_come {
            eventually(PATIENCE, &format!("{object} has a status"), || {
                text = self.run.state(&file);
                text.is_some()
            })
            .await;
        }
        let Some(text) = text else {
            return String::new();
        };
        let object: Value = serde_saphyr::from_str(&text).expected("a status file");
        let mut lines = String::new();
        conditions(&object["status"], "", &mut lines);
        lines
    }

    /// Requests a backend got.
    pub(super) fn requests(&self, service: &str) -> usize {
        let of = self.backends.iter();
        let named = of.filter(|(name, _)| name.rsplit('/').next() == Some(service));
        named.map(|(_, backend)| backend.requests()).sum()
    }

    /// The answer to a request as tables write them: `[gateway NS/NAME] METHOD URL | name: value`.
    pub(super) async fn ask(&self, request: &str) -> Whole {
        let mut request = request.to_owned();
        if !request.starts_with("gateway ") {
            let gateway = self
                .gateways
                .first()
                .map_or("default/adopter", String::as_str);
            request = format!("gateway {gateway} {request}");
        }
        let ask = Ask::parse(&request, false).expected(&request);
        let Entry::Gateway {
            name, scheme, port, ..
        } = &ask.entry
        else {
            panic!("{request}: examples have Gateways");
        };
        let address = self.address(name, *port).await;
        let grpc = ask.headers.contains_key(header::CONTENT_TYPE);
        if grpc || *scheme == Scheme::Https {
            let mut message = http2_request(&ask, *scheme);
            if *scheme == Scheme::Https {
                let host = message.uri().host().unwrap_or_default().to_owned();
                let stream = tls(address, &host, &["h2"], &self.root).await;
                let stream = stream.expected(&request);
                return ask2(&mut http2(stream).await, message).await;
            }
            *message.version_mut() = Version::HTTP_2;
            return ask2(&mut http2(tcp(address).await).await, message).await;
        }
        let mut message = Request::new(empty());
        *message.method_mut() = ask.method.clone();
        *message.uri_mut() = ask.target.parse().expected(&request);
        *message.headers_mut() = ask.headers.clone();
        ask1(&mut http1(tcp(address).await).await, message).await
    }

    /// Where a Gateway listens, which the state directory says a moment after it does.
    async fn address(&self, gateway: &Name, port: u16) -> SocketAddr {
        let mut found = None;
        eventually(PATIENCE, &format!("{gateway} listens on {port}"), || {
            let text = self.run.state("state.yaml").unwrap_or_default();
            let state: Value = serde_saphyr::from_str(&text).unwrap_or_default();
            let entry = &state["gateways"][gateway.to_string()];
            let listening = &entry["ports"][port.to_string()];
            let address = entry["address"].as_str().unwrap_or_default();
            found = format!("{address}:{listening}").parse().ok();
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }

    /// Asks often and counts who answers.
    pub(super) async fn check_split(&self, request: &str, shares: &[(&str, usize)]) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for _request in 0..MANY {
            let answer = self.ask(request).await;
            let who = match answer.status.as_u16() {
                200 => answer.text().split(' ').next().map(str::to_owned),
                failed => Some(failed.to_string()),
            };
            *counts.entry(who.unwrap_or_default()).or_default() += 1;
        }
        for (backend, percent) in shares {
            let got = counts.remove(*backend).unwrap_or_default() * 100 / MANY;
            let near = got.abs_diff(*percent) <= CHANCE && (*percent > 0 || got == 0);
            assert!(
                near,
                "{request}: {backend} gets {got} % instead of {percent} %"
            );
        }
        assert!(
            counts.is_empty(),
            "{request}: nobody else answers: {counts:?}"
        );
    }
}

/// What a backend answers: its name and the request line, then the fields that reached it.
async fn say(name: String, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let _content = body.collect().await;
    let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    let mut said = format!("{name} {} {target}\n", parts.method);
    if let Some(host) = parts.uri.authority() {
        let _infallible = writeln!(said, "host: {host}");
    }
    for (field, value) in &parts.headers {
        let _infallible = writeln!(said, "{field}: {}", value.as_bytes().escape_ascii());
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned();
    let mut response = match kind {
        Some(kind) if kind == "application/grpc" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let mut response = Response::new(with_trailers(said, trailers));
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        _ => Response::new(full(said)),
    };
    let headers = response.headers_mut();
    headers.insert("x-header-3", http::HeaderValue::from_static("three"));
    response
}

fn http2_request(ask: &Ask, scheme: Scheme) -> Request<Body> {
    let mut headers = ask.headers.clone();
    let host = headers.remove(header::HOST).expect("a request has a host");
    let host = host.to_str().expected("a host");
    let uri = format!("{}://{host}{}", scheme.as_str(), ask.target);
    let grpc = headers.contains_key(header::CONTENT_TYPE);
    let mut message = Request::new(if grpc {
        full(&b"\0\0\0\0\0"[..])
    } else {
        empty()
    });
    *message.method_mut() = ask.method.clone();
    *message.uri_mut() = uri.parse().expected("a URI");
    *message.headers_mut() = headers;
    message
}

/// A Service and an EndpointSlice for every backend.
fn yaml(services: &Services, backends: &BTreeMap<String, Backend>) -> String {
    let mut yaml = String::new();
    for (full_name, service) in services {
        let (namespace, name) = full_name.split_once('/').expect("`namespace/name`");
        let address = backends[full_name].address;
        let ports = service.ports.iter();
        let ports: Vec<_> = ports
            .map(|port| format!("{{name: p{port}, port: {port}}}"))
            .collect();
        let targets = service.ports.iter();
        let targets: Vec<_> = targets
            .map(|port| format!("{{name: p{port}, port: {}}}", address.port()))
            .collect();
        let (ports, targets) = (ports.join(", "), targets.join(", "));
        let _infallible = write!(
            yaml,
            "---\napiVersion: v1\nkind: Service\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{ports: [{ports}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: {name}, namespace: {namespace}, \
             labels: {{kubernetes.io/service-name: {name}}}}}\n\
             ports: [{targets}]\nendpoints: [{{addresses: [\"{}\"]}}]\n",
            address.ip()
        );
    }
    yaml
}

/// `WHOSE TYPE=STATUS REASON: MESSAGE` for every condition at any depth.
fn conditions(status: &Value, whose: &str, lines: &mut String) {
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let [kind, value, reason, message] =
            ["type", "status", "reason", "message"].map(|it| condition[it].as_str().unwrap_or("?"));
        let _infallible = writeln!(lines, "{whose}{kind}={value} {reason}: {message}");
    }
    for (list, name) in [
        ("parents", "/parentRef/name"),
        ("ancestors", "/ancestorRef/name"),
        ("listeners", "/name"),
    ] {
        for part in status[list].as_array().into_iter().flatten() {
            let name = part.pointer(name).and_then(Value::as_str).unwrap_or("?");
            conditions(part, &format!("{name} "), lines);
        }
    }
}
