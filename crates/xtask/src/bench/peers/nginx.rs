//! nginx: one worker; a change is a new file and SIGHUP. It is also the HTTP/2 back-end.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use super::{Change, Edit, Place, REDIRECTED, Role, argv, fill, write};
use crate::bench::request::{BODY_BYTES, host_of};

const FILE: &str = "nginx.conf";

const CONFIGURATION: &str = "daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.err;
worker_rlimit_nofile 19900;
events { worker_connections 19800; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 128;
  client_body_temp_path ${directory}/temp1;
  proxy_temp_path ${directory}/temp2;
  fastcgi_temp_path ${directory}/temp3;
  uwsgi_temp_path ${directory}/temp4;
  scgi_temp_path ${directory}/temp5;
${servers}}
";

const UPSTREAM: &str = "  upstream ${name} { server 127.0.0.1:${port}; keepalive ${idle}; keepalive_requests 1000000000; keepalive_timeout 3600s; }\n";
const PROXY: &str = "proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_set_header Connection ''; proxy_pass http://${name};";
const TLS: &str = "ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${chain}; ssl_certificate_key ${key}; ssl_session_cache off; ssl_session_tickets off;";
const SERVER: &str = "  server { listen 127.0.0.1:${port}${listen} backlog=65535; ${tls} location / { ${location} } }\n";

pub(super) fn configure(place: &Place<'_>, role: Role) -> Result<Vec<String>> {
    let servers = match role {
        Role::Routes(count) => routes(place, count, false),
        _ => hop(place, role),
    };
    let text = configuration(&place.directory, &servers);
    Ok(command(&write(place, FILE, &text)?))
}

pub(super) fn edit(place: &Place<'_>, change: Change) -> Option<Edit> {
    let Change::Redirect {
        routes: count,
        is_on,
    } = change
    else {
        return None;
    };
    Some(Edit {
        file: place.directory.join(FILE),
        text: configuration(&place.directory, &routes(place, count, is_on)),
        signal: Some(Signal::HUP),
    })
}

/// Configuration of the back-end of HTTP/2 scenarios: 1 KiB for every request.
pub(crate) fn http2_backend(directory: &Path, port: u16) -> String {
    let body = "x".repeat(BODY_BYTES);
    let location = format!("default_type text/plain; return 200 '{body}';");
    configuration(directory, &server(port, " http2", "", &location))
}

/// The command that runs a configuration.
pub(crate) fn command(file: &Path) -> Vec<String> {
    argv(Path::new("nginx"), &["-c", &file.display().to_string()])
}

/// A configuration of which `servers` are the last lines.
pub(crate) fn configuration(directory: &Path, servers: &str) -> String {
    let directory = directory.display().to_string();
    fill(
        CONFIGURATION,
        &[("directory", &directory), ("servers", servers)],
    )
}

fn server(port: u16, listen: &str, tls: &str, location: &str) -> String {
    let port = port.to_string();
    let values = [("port", port.as_str()), ("listen", listen), ("tls", tls)];
    fill(&fill(SERVER, &values), &[("location", location)])
}

fn upstream(name: &str, port: u16, idle_connections: u32) -> String {
    let (port, idle) = (port.to_string(), idle_connections.to_string());
    fill(
        UPSTREAM,
        &[("name", name), ("port", &port), ("idle", &idle)],
    )
}

fn hop(place: &Place<'_>, role: Role) -> String {
    let (upstream_port, listen, location) = match role {
        // It has no other way to speak HTTP/2 to a back-end.
        Role::Hop2 => (
            place.backends.http2,
            " http2",
            "grpc_pass grpc://u;".to_owned(),
        ),
        Role::Tls => (
            place.backends.http1,
            " ssl http2",
            fill(PROXY, &[("name", "u")]),
        ),
        _ => (place.backends.http1, "", fill(PROXY, &[("name", "u")])),
    };
    let tls = if role == Role::Tls {
        let chain = place.certificate.chain.display().to_string();
        let key = place.certificate.key.display().to_string();
        fill(TLS, &[("chain", &chain), ("key", &key)])
    } else {
        String::new()
    };
    upstream("u", upstream_port, 5000) + &server(place.port, listen, &tls, &location)
}

fn routes(place: &Place<'_>, count: usize, redirects_last: bool) -> String {
    let mut text = String::new();
    for at in 0..count {
        text.push_str(&upstream(&format!("c{at}"), place.backends.http1, 64));
    }
    for at in 0..count {
        let location = if redirects_last && at + 1 == count {
            format!("return {REDIRECTED} /;")
        } else {
            fill(PROXY, &[("name", &format!("c{at}"))])
        };
        let (port, host) = (place.port, host_of(at));
        text += &format!(
            "  server {{ listen 127.0.0.1:{port}; server_name {host}; location / {{ {location} }} }}\n"
        );
    }
    text
}
