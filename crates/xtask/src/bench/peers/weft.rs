//! Weft: `weft run` on a directory of Kubernetes objects, one file per application as users keep
//! them; a change is one file replaced.

use std::fs;

use anyhow::{Context, Result};

use super::{Change, Edit, Place, REDIRECTED, Role, argv, fill, write};
use crate::bench::request::{HEADER, HOST, IDLE_HOST, host_of};

/// Endpoints of one EndpointSlice; the API allows no more.
const SLICE_ENDPOINTS: usize = 1000;

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bench, namespace: default}
spec:
  gatewayClassName: weft
  listeners:
  - {name: main, port: ${port}, protocol: ${protocol}${tls}}
";

const SECRET: &str = "---
apiVersion: v1
kind: Secret
metadata: {name: bench, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: ${chain}, tls.key: ${key}}
";

const SERVICE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default}
spec: {ports: [{name: main, port: 80, targetPort: ${port}, appProtocol: ${protocol}}]}
";

const SLICE: &str = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-${slice}, namespace: default, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: main, port: ${port}, protocol: TCP}]
endpoints:
${endpoints}";

const ROUTE: &str = "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: default}
spec:
  parentRefs: [{name: bench}]
  hostnames: [${host}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: ${header}, value: \"${value}\"}]}]
    ${action}
";

const OTHER_RULE: &str = "  - matches: [{path: {type: PathPrefix, value: /other-${number}}}]
    backendRefs: [{name: other, port: 80}]
";

pub(super) fn configure(place: &Place<'_>, role: Role) -> Result<Vec<String>> {
    let program = place.programs.weft.as_ref().context("weft is not built")?;
    let objects = place.directory.join("objects");
    fs::create_dir_all(&objects).with_context(|| format!("cannot create {}", objects.display()))?;
    write(place, "objects/gateway.yaml", &gateway(place, role)?)?;
    for (name, text) in applications(place, role) {
        write(place, &format!("objects/{name}.yaml"), &text)?;
    }
    let state = place.directory.join("state");
    let (objects, state) = (objects.display().to_string(), state.display().to_string());
    let admin = format!("127.0.0.1:{}", place.admin_port);
    let mut args = vec!["run", "-f", &objects, "--workers", "1"];
    args.extend(["--state-dir", &state, "--admin", &admin]);
    Ok(argv(program, &args))
}

pub(super) fn edit(place: &Place<'_>, change: Change) -> Edit {
    let (name, text) = match change {
        Change::Redirect { routes, is_on } => {
            let last = routes.saturating_sub(1);
            let name = format!("app-{last}");
            let action = if is_on { redirect() } else { backend(&name) };
            let text = application(place, &name, &host_of(last), &action);
            (name, text)
        }
        Change::Weight { percent } => ("split".to_owned(), split(&shares(percent), percent)),
        Change::SplitRedirect => ("split".to_owned(), split(&redirect(), 0)),
    };
    Edit {
        file: place.directory.join(format!("objects/{name}.yaml")),
        text,
        signal: None,
    }
}

fn gateway(place: &Place<'_>, role: Role) -> Result<String> {
    let port = place.port.to_string();
    if role != Role::Tls {
        let values = [("port", port.as_str()), ("protocol", "HTTP"), ("tls", "")];
        return Ok(fill(GATEWAY, &values));
    }
    let (chain, key) = place.certificate.pem()?;
    let tls = ", tls: {certificateRefs: [{name: bench}]}";
    let values = [("port", port.as_str()), ("protocol", "HTTPS"), ("tls", tls)];
    let (chain, key) = (base64(chain.as_bytes()), base64(key.as_bytes()));
    Ok(fill(GATEWAY, &values) + &fill(SECRET, &[("chain", &chain), ("key", &key)]))
}

/// Files beside the gateway's: name without extension, and text.
fn applications(place: &Place<'_>, role: Role) -> Vec<(String, String)> {
    let port = place.backends.http1;
    let app = |name: &str, host: &str| {
        let text = application(place, name, host, &backend(name));
        (name.to_owned(), text)
    };
    match role {
        Role::Hop | Role::Tls => vec![app("app", HOST)],
        Role::Hop2 => {
            let http2 = place.backends.http2;
            let service = service("app", http2, "kubernetes.io/h2c");
            let slice = slices("app", http2, &answering());
            let text = service + &slice + &route("app", HOST, &backend("app"));
            vec![("app".to_owned(), text)]
        }
        Role::Routes(count) => (0..count)
            .map(|at| app(&format!("app-{at}"), &host_of(at)))
            .collect(),
        Role::Endpoints(count) => {
            let others: Vec<String> = (0..count).map(other_address).collect();
            let text = service("idle", port, "http")
                + &slices("idle", port, &others)
                + &route("idle", IDLE_HOST, &backend("idle"));
            vec![app("app", HOST), ("idle".to_owned(), text)]
        }
        Role::Split => {
            let other = place.backends.http1_other;
            let services = service("app", port, "http")
                + &slices("app", port, &answering())
                + &service("other", other, "http")
                + &slices("other", other, &answering());
            let split = split(&shares(100), 100);
            vec![
                ("services".to_owned(), services),
                ("split".to_owned(), split),
            ]
        }
    }
}

/// Service, endpoint and route of one application.
fn application(place: &Place<'_>, name: &str, host: &str, action: &str) -> String {
    let port = place.backends.http1;
    service(name, port, "http") + &slices(name, port, &answering()) + &route(name, host, action)
}

fn service(name: &str, port: u16, protocol: &str) -> String {
    let port = port.to_string();
    fill(
        SERVICE,
        &[("name", name), ("port", &port), ("protocol", protocol)],
    )
}

/// The address of the back-ends of the benchmark.
fn answering() -> [String; 1] {
    ["127.0.0.1".to_owned()]
}

fn slices(name: &str, port: u16, addresses: &[String]) -> String {
    let port = port.to_string();
    let slice = |(at, addresses): (usize, &[String])| {
        let endpoints: String = addresses
            .iter()
            .map(|address| format!("- {{addresses: [{address}], conditions: {{ready: true}}}}\n"))
            .collect();
        let slice = at.to_string();
        let values = [("name", name), ("slice", &slice), ("port", &port)];
        fill(&fill(SLICE, &values), &[("endpoints", &endpoints)])
    };
    addresses
        .chunks(SLICE_ENDPOINTS)
        .enumerate()
        .map(slice)
        .collect()
}

/// An address that must not be asked (who answers it is up to the network the benchmark runs in),
/// the same for a number in every configuration.
pub(super) fn other_address(number: usize) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    format!("10.99.{high}.{low}")
}

fn route(name: &str, host: &str, action: &str) -> String {
    let (header, value) = HEADER;
    let values = [
        ("name", name),
        ("host", host),
        ("header", header),
        ("value", value),
        ("action", action),
    ];
    fill(ROUTE, &values)
}

fn backend(name: &str) -> String {
    format!("backendRefs: [{{name: {name}, port: 80}}]")
}

fn redirect() -> String {
    format!(
        "filters: [{{type: RequestRedirect, requestRedirect: {{hostname: moved.example, \
         statusCode: {REDIRECTED}}}}}]"
    )
}

fn shares(percent: u8) -> String {
    let rest = 100 - percent;
    format!(
        "backendRefs: [{{name: app, port: 80, weight: {percent}}}, \
         {{name: other, port: 80, weight: {rest}}}]"
    )
}

/// The route of [`Role::Split`]; its second rule is another one in every version.
fn split(action: &str, number: u8) -> String {
    route("split", HOST, action) + &fill(OTHER_RULE, &[("number", &number.to_string())])
}

/// RFC 4648 section 4, as Secrets hold their values.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let word = octet(0) << 16 | octet(1) << 8 | octet(2);
        for digit in 0..4 {
            let is_padding = digit > group.len();
            let value = (word >> (18 - 6 * digit)) as usize & 63;
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, other_address};

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648 section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text, "{bytes}");
        }
    }

    #[test]
    fn ten_thousand_addresses_differ() {
        let all: std::collections::BTreeSet<String> = (0..10_000).map(other_address).collect();
        assert_eq!(all.len(), 10_000);
        assert!(other_address(9_999).parse::<std::net::Ipv4Addr>().is_ok());
    }
}
