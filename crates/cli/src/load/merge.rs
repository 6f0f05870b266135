//! Files over a cluster, as if they were applied: what the API server knows of an object stays.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use weft_api::AnyObject;
use weft_source::Event;
use weft_store::Store;

use crate::{clock, exit::Failure};

/// Fields of metadata that the API server sets.
const KEPT: &[&str] = &["uid", "creationTimestamp", "generation"];

/// Applies what files hold. An object that is new was created just now, so that it loses against older
/// ones where age decides.
///
/// # Errors
/// An object cannot be written or read as JSON, which none of a known kind is.
pub(super) fn over(store: &mut Store, events: Vec<Event>) -> Result<(), Failure> {
    for event in events {
        let object = match event {
            Event::Apply(object) => object,
            Event::Delete(reference) => {
                store.delete(&reference);
                continue;
            }
        };
        let before = store.get(&object.reference());
        let before = before.map(|it| it.to_value()).transpose()?;
        store.apply(AnyObject::parse(applied(object.to_value()?, before))?);
    }
    Ok(())
}

fn applied(mut object: Value, before: Option<Value>) -> Value {
    match before {
        Some(mut before) => {
            for field in KEPT {
                object["metadata"][*field] = before["metadata"][*field].take();
            }
            if let Some(status) = before.get_mut("status") {
                object["status"] = status.take();
            }
        }
        None => {
            if let Ok(now) = Timestamp::try_from(clock::today()) {
                // Kubernetes writes whole seconds.
                let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                object["metadata"]["creationTimestamp"] = now.into();
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_server_knows_stays() {
        let written = json!({ "metadata": { "name": "a" }, "spec": { "new": 1 } });
        let before = json!({
            "metadata": { "name": "a", "uid": "u", "generation": 3,
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "old": 1 }, "status": { "s": 1 },
        });
        let merged = applied(written, Some(before));
        assert_eq!(merged["metadata"]["uid"], "u");
        assert_eq!(merged["metadata"]["generation"], 3);
        assert_eq!(merged["spec"], json!({ "new": 1 }));
        assert_eq!(merged["status"], json!({ "s": 1 }));
    }

    #[test]
    fn a_new_object_is_the_youngest() {
        let merged = applied(json!({ "metadata": { "name": "a" } }), None);
        let created = merged["metadata"]["creationTimestamp"].as_str();
        let created: Timestamp = created.expect("a date").parse().expect("a date");
        assert!(created.as_second() > 1_700_000_000, "{created}");
    }
}
