//! Which objects a list of a scripted API server shows: those of a namespace, with labels, of a name.

use serde_json::Value;

use super::Query;

/// Whether an object is on the list. Labels are those of equality, and the one field is the name,
/// which is all that real servers have for every kind.
pub(super) fn selector(namespace: &str, query: &Query) -> impl Fn(&Value) -> bool {
    let pairs = |name: &str| -> Vec<(String, String)> {
        let all = query.get(name).map(String::as_str).unwrap_or_default();
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        all.split(',').filter_map(pair).collect()
    };
    let (labels, fields) = (pairs("labelSelector"), pairs("fieldSelector"));
    let namespace = namespace.to_owned();
    move |object| {
        let metadata = &object["metadata"];
        let is_there = namespace.is_empty() || metadata["namespace"] == *namespace;
        let has_labels = labels
            .iter()
            .all(|(key, value)| metadata["labels"][key] == **value);
        let name =
            |(key, value): &(String, String)| key == "metadata.name" && metadata["name"] == **value;
        is_there && has_labels && fields.iter().all(name)
    }
}
