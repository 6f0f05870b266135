//! Envoy on both sides: one worker each; HTTP/1.1 in mutual TLS between them, or bytes.

use std::fs;

use anyhow::{Context, Result};

use super::{Layer, Place, Side, both};
use crate::bench::peers::{argv, fill};
use crate::bench::request::HOST;

const CONFIGURATION: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: ${address}, port_value: ${port}}}
    filter_chains:
    - filters: [${filter}]
${down}
  clusters:
  - name: c
    type: STATIC
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}
    load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ${to_address}, port_value: ${to_port}}}}}]}]}
${up}
"#;

const HTTP: &str = r#"{name: hcm, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h, codec_type: AUTO, route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c, timeout: 0s}}]}]}, http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}"#;

const TCP: &str = r#"{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: c}}"#;

/// What both sides prove, and whom they believe.
const TLS: &str = "tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}, alpn_protocols: [${alpn}], tls_certificates: [{certificate_chain: {filename: ${chain}}, private_key: {filename: ${key}}}], validation_context: {trusted_ca: {filename: ${chain}}}";

const DOWN: &str = r#"      transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, require_client_certificate: true, common_tls_context: {${tls}}}}"#;

const UP: &str = r#"    transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: ${host}, common_tls_context: {${tls}}}}"#;

pub(super) fn configure(place: &Place<'_>, layer: Layer) -> Result<[Vec<String>; 2]> {
    both(place, |side| {
        let file = place.directory.join(format!("{}.yaml", side.name));
        fs::write(&file, configuration(place, layer, side))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let file = file.display().to_string();
        let mut args = vec!["-c", &file, "--concurrency", "1"];
        args.extend(["--disable-hot-restart", "-l", "error"]);
        Ok(argv(&place.programs.envoy, &args))
    })
}

fn configuration(place: &Place<'_>, layer: Layer, side: &Side) -> String {
    let (filter, alpn) = match layer {
        Layer::Http => (HTTP, "http/1.1"),
        Layer::Tcp => (TCP, ""),
    };
    let chain = place.certificate.chain.display().to_string();
    let key = place.certificate.key.display().to_string();
    let tls = fill(TLS, &[("alpn", alpn), ("chain", &chain), ("key", &key)]);
    let (down, up) = match side.is_client {
        true => ("", UP),
        false => (DOWN, ""),
    };
    let (port, to_port) = (side.listens.port(), side.leads.port());
    let text = fill(
        CONFIGURATION,
        &[("filter", filter), ("down", down), ("up", up)],
    );
    fill(
        &text,
        &[
            ("tls", &tls),
            ("host", HOST),
            ("address", &side.listens.ip().to_string()),
            ("port", &port.to_string()),
            ("to_address", &side.leads.ip().to_string()),
            ("to_port", &to_port.to_string()),
        ],
    )
}
