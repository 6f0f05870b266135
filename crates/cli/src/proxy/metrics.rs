//! What `/metrics` of a proxy says of connections. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

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
    use super::{Connections, connections};

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
}
