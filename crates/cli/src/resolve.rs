//! `weft resolve`: the address of a Service in a running directory.

use std::{net::Ipv4Addr, path::Path};

use serde::Serialize;

use crate::{
    args::{Global, Resolve, Target},
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
    run::{STATE_FILE, ServiceEntry, State},
};

#[cfg(test)]
mod tests;

/// The answer; its JSON form only grows.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resolved {
    version: u32,
    service: String,
    client_namespace: String,
    address: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

/// Runs the command.
pub(crate) fn run(args: &Resolve, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let state = read(&args.state_dir)?;
    let resolved = resolve(&state, &args.service, args.namespace.as_deref())?;
    match (format, resolved.port) {
        (Format::Json, _) => output::print_json(&resolved)?,
        (_, Some(port)) => output::print(&format!("{}:{port}\n", resolved.address))?,
        (_, None) => output::print(&format!("{}\n", resolved.address))?,
    }
    Ok(Exit::Good)
}

fn read(state_dir: &Path) -> Result<State, Failure> {
    let file = state_dir.join(STATE_FILE);
    let file = file.display();
    match State::read(state_dir) {
        Ok(Some(state)) => Ok(state),
        Ok(None) => Err(Failure::unreachable(format!(
            "there is no {file}; start `weft run`, or name its state directory with --state-dir"
        ))),
        Err(error) => Err(Failure::unreachable(format!(
            "cannot read {file}: {error}; start `weft run` again to have it written anew"
        ))),
    }
}

fn resolve(state: &State, target: &Target, client: Option<&str>) -> Result<Resolved, Failure> {
    let client = client.unwrap_or(&state.client_namespace);
    if state.services.is_empty() {
        return Err(Failure::errors(
            "no Service is served, so that none has an address: the files of `weft run -f` hold no \
             Service with a ClusterIP; add one, it gets its address at once",
        ));
    }
    let name = target.name(client).to_string();
    let Some(entry) = state.services.get(&name) else {
        return Err(Failure::errors(format!(
            "Service {name} has no address: it does not exist, or it is headless or of type \
             ExternalName; write SVC.NS for a Service of another namespace than {client}"
        )));
    };
    let port = match target.port {
        None => None,
        Some(port) => Some(*entry.ports.get(&port).ok_or_else(|| {
            let ports: Vec<_> = entry.ports.keys().map(u16::to_string).collect();
            let ports = ports.join(", ");
            Failure::errors(format!(
                "Service {name} has no TCP port {port}; its ports: {ports}"
            ))
        })?),
    };
    Ok(Resolved {
        version: 1,
        address: address_for(entry, client, &state.client_namespace),
        service: name,
        client_namespace: client.to_owned(),
        port,
    })
}

/// The address whose clients are treated as those of a namespace.
fn address_for(entry: &ServiceEntry, client: &str, default_client: &str) -> Ipv4Addr {
    if client == default_client {
        return entry.address;
    }
    let own = entry.clients.get(client).copied();
    own.or(entry.others).unwrap_or(entry.address)
}
