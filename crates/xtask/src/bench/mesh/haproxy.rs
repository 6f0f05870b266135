//! haproxy on both sides: one thread each; HTTP/1.1 in mutual TLS between them, or bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Layer, Place, Side, both};
use crate::bench::peers::{argv, fill};
use crate::bench::request::HOST;

const CONFIGURATION: &str = "global
  nbthread 1
  maxconn 9000
  tune.ssl.cachesize 0
  tune.ssl.default-dh-param 2048
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
${defaults}frontend f
  bind ${listens}${down} backlog 65535
  default_backend b
backend b
  server s ${leads}${up} pool-max-conn 5000
";

const HTTP: &str = "  timeout http-keep-alive 3600s
  http-reuse always
";

pub(super) fn configure(place: &Place<'_>, layer: Layer) -> Result<[Vec<String>; 2]> {
    both(place, |side| {
        let file = place.directory.join(format!("{}.cfg", side.name));
        fs::write(&file, configuration(place, layer, side))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let file = file.display().to_string();
        Ok(argv(Path::new("haproxy"), &["-db", "-f", &file]))
    })
}

fn configuration(place: &Place<'_>, layer: Layer, side: &Side) -> String {
    let (mode, defaults) = match layer {
        Layer::Http => ("http", HTTP),
        Layer::Tcp => ("tcp", ""),
    };
    let both = place.certificate.both.display();
    let chain = place.certificate.chain.display();
    let tls = format!(" ssl crt {both} ca-file {chain} verify required");
    let (down, up) = match side.is_client {
        true => (
            String::new(),
            format!("{tls} verifyhost {HOST} sni str({HOST}) force-tlsv13"),
        ),
        false => (tls, String::new()),
    };
    fill(
        CONFIGURATION,
        &[
            ("mode", mode),
            ("defaults", defaults),
            ("listens", &side.listens.to_string()),
            ("leads", &side.leads.to_string()),
            ("down", &down),
            ("up", &up),
        ],
    )
}
