//! nginx on both sides: one worker each; HTTP/1.1 in mutual TLS between them.

use std::fs;

use anyhow::{Context, Result};

use super::{Place, Side, both};
use crate::bench::peers::{fill, nginx_command, nginx_configuration};
use crate::bench::request::HOST;

const SERVERS: &str = "  upstream u { server ${leads}; keepalive 5000; keepalive_requests 1000000000; keepalive_timeout 3600s; }
  server { listen ${listens}${ssl} backlog=65535; ${down} location / { ${up} proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_set_header Connection ''; proxy_set_header Host $http_host; proxy_pass ${scheme}://u; } }
";

const DOWN: &str = "ssl_protocols TLSv1.3; ssl_certificate ${chain}; ssl_certificate_key ${key}; ssl_session_cache off; ssl_session_tickets off; ssl_verify_client on; ssl_client_certificate ${chain};";

const UP: &str = "proxy_ssl_certificate ${chain}; proxy_ssl_certificate_key ${key}; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${chain}; proxy_ssl_name ${host}; proxy_ssl_protocols TLSv1.3;";

pub(super) fn configure(place: &Place<'_>) -> Result<[Vec<String>; 2]> {
    both(place, |side| {
        let directory = place.directory.join(side.name);
        fs::create_dir(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let file = directory.join("nginx.conf");
        let text = nginx_configuration(&directory, &servers(place, side));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(nginx_command(&file))
    })
}

fn servers(place: &Place<'_>, side: &Side) -> String {
    let (scheme, ssl, down, up) = match side.is_client {
        true => ("https", "", "", UP),
        false => ("http", " ssl", DOWN, ""),
    };
    let chain = place.certificate.chain.display().to_string();
    let key = place.certificate.key.display().to_string();
    let text = fill(SERVERS, &[("down", down), ("up", up)]);
    fill(
        &text,
        &[
            ("scheme", scheme),
            ("ssl", ssl),
            ("chain", &chain),
            ("key", &key),
            ("host", HOST),
            ("listens", &side.listens.to_string()),
            ("leads", &side.leads.to_string()),
        ],
    )
}
