//! What `/metrics` of a proxy says of connections, and of the identities of its workers. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dump::Identity;

const EXPIRY: &str = "weft_identity_cert_expiry_timestamp_seconds";
const RENEWALS: &str = "weft_identity_renewals_total";
const FAILURES: &str = "weft_identity_renewal_failures";
const OPENED: &str = "weft_connections_opened_total";
const CLOSED: &str = "weft_connections_closed_total";

/// Connections that entered at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Connections {
    /// Kind, namespace, name and port of what they entered at.
    parent: String,
    protocol: String,
    tls: String,
    open: u64,
    opened: u64,
}

/// The JSON form of `weft proxy connections`.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub(super) connections: Vec<Connections>,
}

impl Connections {
    /// Its row of the table.
    pub(super) fn row(&self) -> [String; 5] {
        [
            self.parent.clone(),
            self.protocol.clone(),
            self.tls.clone(),
            self.open.to_string(),
            self.opened.to_string(),
        ]
    }
}

/// Connections by where they entered, of the whole text.
pub(super) fn connections(text: &str) -> Vec<Connections> {
    let mut found: BTreeMap<[String; 3], (u64, u64)> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, labels, value)) = sample(line) else {
            continue;
        };
        if name != OPENED && name != CLOSED {
            continue;
        }
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let (kind, namespace) = (label("parent_kind"), label("parent_namespace"));
        let name_of = label("parent_name");
        let parent = match (kind.as_str(), namespace.as_str()) {
            ("", "") => name_of,
            (kind, "") => format!("{kind} {name_of}"),
            (kind, namespace) => format!("{kind} {namespace}/{name_of}"),
        };
        let mut parent = parent.trim().to_owned();
        if let Some(port) = labels.get("parent_port").filter(|it| !it.is_empty()) {
            parent.push(':');
            parent.push_str(port);
        }
        let key = [parent, label("protocol"), label("tls")];
        let (opened, closed) = found.entry(key).or_default();
        let counter = if name == OPENED { opened } else { closed };
        *counter += value;
    }
    let row =
        |([parent, protocol, tls], (opened, closed)): ([String; 3], (u64, u64))| Connections {
            parent,
            protocol,
            tls,
            // Read one after the other, they may have changed in between.
            open: opened.saturating_sub(closed),
            opened,
        };
    found.into_iter().map(row).collect()
}

/// Identities of workers, of the whole text. An identity that several workers have is there for each.
pub(super) fn identities(text: &str) -> Vec<Identity> {
    let mut found: BTreeMap<[String; 2], Identity> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, labels, value)) = sample(line) else {
            continue;
        };
        let is_worker = labels.get("holder").is_some_and(|it| it == "worker");
        if !is_worker || ![EXPIRY, RENEWALS, FAILURES].contains(&name) {
            continue;
        }
        let label = |name: &str| labels.get(name).cloned();
        let id = label("identity").unwrap_or_default();
        let key = [label("shard").unwrap_or_default(), id.clone()];
        let identity = found.entry(key).or_insert_with(|| Identity {
            id,
            holder: "worker".to_owned(),
            shard: label("shard"),
            not_after_unix_s: None,
            renewals: 0,
            failures: 0,
            last_error: None,
        });
        match name {
            EXPIRY => identity.not_after_unix_s = i64::try_from(value).ok(),
            RENEWALS if label("result").is_some_and(|it| it == "ok") => identity.renewals = value,
            FAILURES if value > 0 => {
                identity.failures = u32::try_from(value).unwrap_or(u32::MAX);
                identity.last_error = label("reason");
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

/// Name, labels and value of a counter's line (OpenMetrics 1.0 section 5); values in labels that are
/// escaped stay so.
fn sample(line: &str) -> Option<(&str, BTreeMap<&str, String>, u64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, rest) = rest.rsplit_once('}')?;
    let value = rest.split_whitespace().next()?;
    let value = value.split('.').next()?.parse().ok()?;
    let mut found = BTreeMap::new();
    for label in labels.split("\",") {
        let (key, value) = label.split_once("=\"")?;
        found.insert(key, value.trim_end_matches('"').to_owned());
    }
    Some((name, found, value))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Connections, connections, identities};

    #[test]
    fn what_was_opened_and_not_closed_is_open() {
        let text = "\
# TYPE weft_connections_opened counter
weft_connections_opened_total{parent_kind=\"Gateway\",parent_namespace=\"shop\",parent_name=\"edge\",parent_port=\"80\",protocol=\"http\",tls=\"none\"} 7
weft_connections_closed_total{parent_kind=\"Gateway\",parent_namespace=\"shop\",parent_name=\"edge\",parent_port=\"80\",protocol=\"http\",reason=\"idle\",tls=\"none\"} 2
weft_connections_closed_total{parent_kind=\"Gateway\",parent_namespace=\"shop\",parent_name=\"edge\",parent_port=\"80\",protocol=\"http\",reason=\"drain\",tls=\"none\"} 3
weft_requests_total{parent_kind=\"Gateway\"} 900
weft_build_info{version=\"0.1.0\"} 1
# EOF
";
        let expected = Connections {
            parent: "Gateway shop/edge:80".to_owned(),
            protocol: "http".to_owned(),
            tls: "none".to_owned(),
            open: 2,
            opened: 7,
        };
        assert_eq!(connections(text), [expected]);
        assert_eq!(connections("nonsense {\n# EOF"), []);
    }

    #[test]
    fn workers_say_until_when_their_identities_are_good() {
        let text = "\
# TYPE weft_identity_cert_expiry_timestamp_seconds gauge
weft_identity_cert_expiry_timestamp_seconds{holder=\"parent\",identity=\"spiffe://a/ns/weft-system/sa/weft-node\"} 9000
weft_identity_cert_expiry_timestamp_seconds{shard=\"shop\",holder=\"worker\",identity=\"spiffe://a/ns/shop/sa/web\"} 7320
# TYPE weft_identity_renewals counter
weft_identity_renewals_total{shard=\"shop\",holder=\"worker\",identity=\"spiffe://a/ns/shop/sa/web\",result=\"ok\"} 3
weft_identity_renewals_total{shard=\"shop\",holder=\"worker\",identity=\"spiffe://a/ns/shop/sa/web\",result=\"signer_denied\"} 8
weft_identity_renewals_total{shard=\"pay\",holder=\"worker\",identity=\"spiffe://a/ns/pay/sa/card\",result=\"ok\"} 0
# TYPE weft_identity_renewal_failures gauge
weft_identity_renewal_failures{shard=\"pay\",holder=\"worker\",identity=\"spiffe://a/ns/pay/sa/card\",reason=\"signer_denied\"} 2
weft_identity_renewal_failures{shard=\"pay\",holder=\"worker\",identity=\"spiffe://a/ns/pay/sa/card\",reason=\"signer_unavailable\"} 0
# EOF
";
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let rows: Vec<_> = identities(text).iter().map(|it| it.row(now)).collect();
        let expected = [
            [
                "spiffe://a/ns/pay/sa/card",
                "worker pay",
                "no certificate yet",
                "0",
                "2 times: signer_denied",
            ],
            [
                "spiffe://a/ns/shop/sa/web",
                "worker shop",
                "2h01m",
                "3",
                "-",
            ],
        ];
        assert_eq!(rows, expected, "those of workers, and of nobody else");
    }
}
