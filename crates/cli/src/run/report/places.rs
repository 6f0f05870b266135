//! Tables of where Gateways and Services listen.

use weft_ir::{PortProtocol, Tables};

use crate::{
    output::table,
    run::state::{GatewayEntry, ServiceEntry, State},
};

/// Gateways with the URLs they answer at; nothing when there are none.
pub(super) fn gateways(state: &State, tables: &Tables) -> Option<String> {
    let mut rows = Vec::new();
    for (name, entry) in &state.gateways {
        let served = tables
            .gateways
            .values()
            .find(|it| it.name.to_string() == *name);
        for port in served.iter().flat_map(|gateway| &gateway.ports) {
            let scheme = match port.protocol {
                PortProtocol::Http => "http",
                PortProtocol::Https => "https",
            };
            rows.push([
                name.clone(),
                port.port.to_string(),
                urls(scheme, entry, port.port),
            ]);
        }
        if served.is_none() {
            rows.push([name.clone(), "–".to_owned(), "not served".to_owned()]);
        }
    }
    some_table(["GATEWAY", "PORT", "URL"], rows)
}

/// `http://127.0.0.1:8080  http://127.7.2.9:8080`, the one to remember first.
fn urls(scheme: &str, entry: &GatewayEntry, port: u16) -> String {
    let listen_on = entry.ports.get(&port).copied().unwrap_or(port);
    let own = entry.address.to_string();
    let localhost = entry
        .localhost
        .contains(&listen_on)
        .then(|| "127.0.0.1".to_owned());
    let standard = matches!((scheme, listen_on), ("http", 80) | ("https", 443));
    let url = |host: String| match standard {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{listen_on}"),
    };
    let urls = localhost.into_iter().chain([own]).map(url);
    urls.collect::<Vec<_>>().join("  ")
}

/// Services with the addresses of their clients; nothing when there are none.
pub(super) fn services(state: &State) -> Option<String> {
    let rows: Vec<_> = state
        .services
        .iter()
        .flat_map(|(name, entry)| service(name, entry, &state.client_namespace))
        .collect();
    some_table(["SERVICE", "ADDRESS", "PORTS", "FOR CLIENTS OF"], rows)
}

fn service(name: &str, entry: &ServiceEntry, default_client: &str) -> Vec<[String; 4]> {
    let ports: Vec<_> = entry
        .ports
        .iter()
        .map(|(port, listen_on)| match port == listen_on {
            true => port.to_string(),
            false => format!("{port} → {listen_on}"),
        })
        .collect();
    let ports = ports.join(", ");
    let row = |address: std::net::Ipv4Addr, clients: &str| {
        let (address, clients) = (address.to_string(), clients.to_owned());
        [name.to_owned(), address, ports.clone(), clients]
    };
    let everybody = entry.clients.is_empty() && entry.others.is_none();
    let of_default = match (everybody, entry.others) {
        (true, _) => "every namespace".to_owned(),
        (false, None) => format!("{default_client} and all others"),
        (false, Some(_)) => default_client.to_owned(),
    };
    let mut rows = vec![row(entry.address, &of_default)];
    rows.extend(
        entry
            .clients
            .iter()
            .map(|(client, address)| row(*address, client)),
    );
    rows.extend(entry.others.map(|address| row(address, "all others")));
    rows
}

fn some_table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> Option<String> {
    (!rows.is_empty()).then(|| table::first(head, rows))
}
