//! haproxy: one thread; hosts are looked up in a map file, a change is a new map and SIGUSR2.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use super::{Change, Edit, Place, REDIRECTED, Role, argv, fill, write};
use crate::bench::request::host_of;

const MAP: &str = "hosts.map";

const CONFIGURATION: &str = "global
  nbthread 1
  maxconn 9000
  tune.ssl.cachesize 0
  tune.ssl.default-dh-param 2048
  ${global}
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout http-keep-alive 3600s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}${bind} backlog 65535
  ${choice}
backend redirected
  http-request return status ${redirected}
";

const BACKEND: &str =
    "backend ${name}\n  server s 127.0.0.1:${port}${protocol} pool-max-conn 5000\n";

pub(super) fn configure(place: &Place<'_>, role: Role) -> Result<Vec<String>> {
    let text = match role {
        Role::Routes(count) => {
            write(place, MAP, &map(count, false))?;
            routes(place, count)
        }
        _ => hop(place, role),
    };
    let file = write(place, "haproxy.cfg", &text)?.display().to_string();
    // Only a master process can load a new configuration; a plain one is smaller.
    let mode = if matches!(role, Role::Routes(_)) {
        "-W"
    } else {
        "-db"
    };
    Ok(argv(Path::new("haproxy"), &[mode, "-f", &file]))
}

pub(super) fn edit(place: &Place<'_>, change: Change) -> Option<Edit> {
    let Change::Redirect { routes, is_on } = change else {
        return None;
    };
    Some(Edit {
        file: place.directory.join(MAP),
        text: map(routes, is_on),
        signal: Some(Signal::USR2),
    })
}

fn configuration(place: &Place<'_>, global: &str, bind: &str, choice: &str) -> String {
    let values = [
        ("global", global),
        ("port", &place.port.to_string()),
        ("bind", bind),
        ("choice", choice),
        ("redirected", &REDIRECTED.to_string()),
    ];
    fill(CONFIGURATION, &values)
}

fn backend(name: &str, port: u16, protocol: &str) -> String {
    let port = port.to_string();
    fill(
        BACKEND,
        &[("name", name), ("port", &port), ("protocol", protocol)],
    )
}

fn hop(place: &Place<'_>, role: Role) -> String {
    let (port, protocol) = match role {
        Role::Hop2 => (place.backends.http2, " proto h2"),
        _ => (place.backends.http1, ""),
    };
    let bind = match role {
        Role::Hop2 => " proto h2".to_owned(),
        Role::Tls => {
            let file = place.certificate.both.display();
            format!(" ssl crt {file} alpn h2,http/1.1")
        }
        _ => String::new(),
    };
    configuration(place, "", &bind, "default_backend b") + &backend("b", port, protocol)
}

fn routes(place: &Place<'_>, count: usize) -> String {
    let map = place.directory.join(MAP);
    let choice = format!("use_backend %[req.hdr(host),lower,map({})]", map.display());
    let mut text = configuration(place, "master-worker", "", &choice);
    for at in 0..count {
        text.push_str(&backend(&format!("c{at}"), place.backends.http1, ""));
    }
    text
}

fn map(count: usize, redirects_last: bool) -> String {
    let mut text = String::new();
    for at in 0..count {
        let host = host_of(at);
        text += &if redirects_last && at + 1 == count {
            format!("{host} redirected\n")
        } else {
            format!("{host} c{at}\n")
        };
    }
    text
}
