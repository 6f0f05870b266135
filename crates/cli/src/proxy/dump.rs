//! What `/config` of a proxy says. Pure. What a newer proxy says besides is passed over.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use weft_ir::{Endpoint, EndpointState, Tables};

use crate::exit::Failure;

/// The configuration of a proxy.
#[derive(Debug, Deserialize)]
pub(super) struct Dump {
    /// `None` before the first.
    #[serde(default)]
    pub(super) tables: Option<Tables>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) endpoints: Vec<Port>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) identities: Vec<Identity>,
}

/// Null is none.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A port of a Service, and who serves it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Port {
    service: String,
    port: u16,
    endpoints: Vec<Endpoint>,
}

/// An identity of a proxy.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) id: String,
    /// Which process has it: `parent` or `worker`.
    #[serde(default = "parent")]
    pub(super) holder: String,
    /// Which worker, where there are several.
    #[serde(default)]
    pub(super) shard: Option<String>,
    /// `None` until there is a certificate.
    pub(super) not_after_unix_s: Option<i64>,
    pub(super) renewals: u64,
    pub(super) failures: u32,
    pub(super) last_error: Option<String>,
}

/// Who answers says what it has itself.
fn parent() -> String {
    "parent".to_owned()
}

/// The JSON form of `weft proxy endpoints`.
#[derive(Debug, Serialize)]
pub(super) struct Endpoints<'a> {
    pub(super) endpoints: &'a [Port],
}

/// The JSON form of `weft proxy identities`.
#[derive(Debug, Serialize)]
pub(super) struct Identities<'a> {
    pub(super) identities: &'a [Identity],
}

impl Dump {
    /// Reads it.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            Failure::errors(format!(
                "what the proxy shows cannot be read: {error}; is it of another version? (`weft \
                 version`)"
            ))
        })
    }
}

impl Port {
    /// Its rows of the table; one that says so when nobody serves it.
    pub(super) fn rows(&self) -> Vec<[String; 7]> {
        let row = |rest: [&str; 5]| {
            let [address, state, zone, pod, member] = rest.map(str::to_owned);
            let port = self.port.to_string();
            [
                self.service.clone(),
                port,
                address,
                state,
                zone,
                pod,
                member,
            ]
        };
        if self.endpoints.is_empty() {
            return vec![row(["none", "-", "-", "-", "-"])];
        }
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let state = match endpoint.state {
                EndpointState::Ready => "ready",
                EndpointState::Terminating => "terminating",
            };
            let [zone, pod, member] = [&endpoint.zone, &endpoint.pod, &endpoint.member]
                .map(|text| text.as_deref().unwrap_or("-"));
            row([&endpoint.address.to_string(), state, zone, pod, member])
        });
        endpoints.collect()
    }
}

impl Identity {
    /// Its row of the table.
    pub(super) fn row(&self, now: SystemTime) -> [String; 5] {
        let now_unix_s = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now_unix_s = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        let left = match self.not_after_unix_s.map(|end| end - now_unix_s) {
            None => "no certificate yet".to_owned(),
            Some(left) if left < 0 => "ended".to_owned(),
            Some(left) => format!("{}h{:02}m", left / 3600, left % 3600 / 60),
        };
        let trouble = match &self.last_error {
            Some(error) if self.failures > 0 => format!("{} times: {error}", self.failures),
            _ => "-".to_owned(),
        };
        let holder = match &self.shard {
            Some(shard) => format!("{} {shard}", self.holder),
            None => self.holder.clone(),
        };
        let renewals = self.renewals.to_string();
        [self.id.clone(), holder, left, renewals, trouble]
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Dump, Port};

    #[test]
    fn endpoints_and_identities_are_read() {
        let dump = Dump::parse(
            r#"{"version":1,"generation":7,"tables":{"gateways":{},"services":{}},"later":1,
                "endpoints":[
                  {"service":"shop/web","port":80,"endpoints":[
                    {"address":"10.0.0.1:8080","state":"ready","member":"spiffe://a/ns/b/sa/c"}]},
                  {"service":"shop/none","port":81,"endpoints":[]}],
                "identities":[
                  {"id":"spiffe://a/ns/b/sa/c","notAfterUnixS":7320,"renewals":2,"failures":0,"lastError":null},
                  {"id":"spiffe://a/ns/b/sa/d","holder":"worker","shard":"shop","notAfterUnixS":null,"renewals":0,"failures":3,"lastError":"away"}]}"#,
        )
        .expect("a dump");
        let rows: Vec<_> = dump.endpoints.iter().flat_map(Port::rows).collect();
        let expected = [
            [
                "shop/web",
                "80",
                "10.0.0.1:8080",
                "ready",
                "-",
                "-",
                "spiffe://a/ns/b/sa/c",
            ],
            ["shop/none", "81", "none", "-", "-", "-", "-"],
        ];
        assert_eq!(rows, expected);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let rows: Vec<_> = dump.identities.iter().map(|it| it.row(now)).collect();
        let expected = [
            ["spiffe://a/ns/b/sa/c", "parent", "2h01m", "2", "-"],
            [
                "spiffe://a/ns/b/sa/d",
                "worker shop",
                "no certificate yet",
                "0",
                "3 times: away",
            ],
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_proxy_without_configuration_has_nothing() {
        let dump = Dump::parse(r#"{"version":1,"generation":null,"tables":null,"endpoints":null}"#);
        let dump = dump.expect("a dump");
        assert!(dump.tables.is_none() && dump.endpoints.is_empty());
        assert!(Dump::parse("not ready").is_err());
    }
}
