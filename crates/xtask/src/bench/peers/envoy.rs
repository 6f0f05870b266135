//! Envoy: one worker; routes and clusters that change come from files, as state of the world.

use anyhow::Result;

use super::{Change, Edit, Place, REDIRECTED, Role, argv, fill, write};
use crate::bench::request::{HOST, IDLE_HOST, host_of};

/// A listener with one route for everything.
const HOP: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          codec_type: AUTO
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c, timeout: 0s}}]}${idle_host}]}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
${tls}
  clusters:
  - name: c
    type: STATIC
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}
    load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [${endpoints}]}]}
    typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {${protocol}: {}}}}
${idle_cluster}"#;

const TLS: &str = r#"
      transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: [{certificate_chain: {filename: ${chain}}, private_key: {filename: ${key}}}]}}}"#;

/// A host and a cluster that get no request.
const IDLE_ROUTE: &str = ", {name: i, domains: [${host}], routes: [{match: {prefix: /}, route: {cluster: i, timeout: 0s}}]}";
const IDLE_CLUSTER: &str = "  - {name: i, type: STATIC, load_assignment: {cluster_name: i, endpoints: [{lb_endpoints: [${endpoints}]}]}}
";

/// A listener whose routes and clusters come from files.
const WATCHED: &str = r#"
node: {id: bench, cluster: bench}
dynamic_resources: {cds_config: {path_config_source: {path: ${directory}/cds.yaml}, resource_api_version: V3}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          codec_type: AUTO
          rds: {route_config_name: r, config_source: {path_config_source: {path: ${directory}/rds.yaml}, resource_api_version: V3}}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
"#;

const ENDPOINT: &str =
    "{endpoint: {address: {socket_address: {address: ${address}, port_value: ${port}}}}}";

const CLUSTER: &str = "- {\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: ${name}, type: STATIC, load_assignment: {cluster_name: ${name}, endpoints: [{lb_endpoints: [${endpoint}]}]}}\n";

pub(super) fn configure(place: &Place<'_>, role: Role) -> Result<Vec<String>> {
    let http1 = place.backends.http1;
    let text = match role {
        Role::Hop | Role::Hop2 | Role::Tls | Role::Endpoints(_) => hop(place, role),
        Role::Routes(count) => {
            write(place, "rds.yaml", &routes(count, false))?;
            write(
                place,
                "cds.yaml",
                &clusters((0..count).map(|at| (at, http1))),
            )?;
            watched(place)
        }
        Role::Split => {
            let ports = [(0, http1), (1, place.backends.http1_other)];
            write(place, "rds.yaml", &split(Some(100)))?;
            write(place, "cds.yaml", &clusters(ports.into_iter()))?;
            watched(place)
        }
    };
    let config = write(place, "envoy.yaml", &text)?.display().to_string();
    let mut args = vec!["-c", &config, "--concurrency", "1"];
    args.extend(["--disable-hot-restart", "-l", "error"]);
    Ok(argv(&place.programs.envoy, &args))
}

pub(super) fn edit(place: &Place<'_>, change: Change) -> Edit {
    let text = match change {
        Change::Redirect {
            routes: count,
            is_on,
        } => routes(count, is_on),
        Change::Weight { percent } => split(Some(percent)),
        Change::SplitRedirect => split(None),
    };
    Edit {
        file: place.directory.join("rds.yaml"),
        text,
        signal: None,
    }
}

fn hop(place: &Place<'_>, role: Role) -> String {
    let (backend, protocol) = match role {
        Role::Hop2 => (place.backends.http2, "http2_protocol_options"),
        _ => (place.backends.http1, "http_protocol_options"),
    };
    let tls = if role == Role::Tls {
        let chain = place.certificate.chain.display().to_string();
        let key = place.certificate.key.display().to_string();
        fill(TLS, &[("chain", &chain), ("key", &key)])
    } else {
        String::new()
    };
    let (idle_host, idle_cluster) = match role {
        Role::Endpoints(count) => (
            fill(IDLE_ROUTE, &[("host", IDLE_HOST)]),
            fill(IDLE_CLUSTER, &[("endpoints", &endpoints(count, backend))]),
        ),
        _ => (String::new(), String::new()),
    };
    let port = place.port.to_string();
    let endpoint = endpoint("127.0.0.1", backend);
    fill(
        HOP,
        &[
            ("port", &port),
            ("tls", &tls),
            ("endpoints", &endpoint),
            ("protocol", protocol),
            ("idle_host", &idle_host),
            ("idle_cluster", &idle_cluster),
        ],
    )
}

fn watched(place: &Place<'_>) -> String {
    let directory = place.directory.display().to_string();
    fill(
        WATCHED,
        &[("port", &place.port.to_string()), ("directory", &directory)],
    )
}

fn endpoint(address: &str, port: u16) -> String {
    fill(
        ENDPOINT,
        &[("address", address), ("port", &port.to_string())],
    )
}

/// So many endpoints that must not be asked.
fn endpoints(count: usize, port: u16) -> String {
    let endpoints: Vec<String> = (0..count)
        .map(|at| endpoint(&super::weft::other_address(at), port))
        .collect();
    endpoints.join(", ")
}

fn clusters(ports: impl Iterator<Item = (usize, u16)>) -> String {
    let mut text = String::from("resources:\n");
    for (at, port) in ports {
        let name = format!("c{at}");
        let values = [
            ("name", name.as_str()),
            ("endpoint", &endpoint("127.0.0.1", port)),
        ];
        text.push_str(&fill(CLUSTER, &values));
    }
    text
}

const ROUTE_CONFIGURATION: &str = "resources:\n- \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n  name: r\n  virtual_hosts:\n";

fn routes(count: usize, redirects_last: bool) -> String {
    let mut text = ROUTE_CONFIGURATION.to_owned();
    for at in 0..count {
        let action = if redirects_last && at + 1 == count {
            format!("direct_response: {{status: {REDIRECTED}}}")
        } else {
            format!("route: {{cluster: c{at}}}")
        };
        let host = host_of(at);
        text += &format!(
            "  - {{name: v{at}, domains: [{host}], routes: [{{match: {{prefix: /}}, {action}}}]}}\n"
        );
    }
    text
}

/// The share of the first cluster in percent, or no share at all but a redirect.
fn split(percent: Option<u8>) -> String {
    let action = match percent {
        Some(first) => format!(
            "route: {{timeout: 0s, weighted_clusters: {{clusters: [{{name: c0, weight: {first}}}, \
             {{name: c1, weight: {}}}]}}}}",
            100 - first
        ),
        None => format!("direct_response: {{status: {REDIRECTED}}}"),
    };
    let other = percent.unwrap_or_default();
    format!(
        "{ROUTE_CONFIGURATION}  - {{name: v, domains: [{HOST}], routes: [\
         {{match: {{prefix: /other-{other}}}, route: {{cluster: c1}}}}, \
         {{match: {{prefix: /}}, {action}}}]}}\n"
    )
}
