//! ConfigMaps and Secrets (`ValidateConfigMap`, `ValidateSecret`). Messages never repeat values.

use serde_json::Value;

use super::super::text;
use super::{Faults, fields, string};

/// Most bytes of all values.
const VALUES_MAX_BYTES: usize = 1 << 20;

pub(super) fn config_map(object: &Value, faults: &mut Faults) {
    let data = fields(object, "data");
    keys(object, &["data", "binaryData"], faults);
    let binary = fields(object, "binaryData").into_iter().flatten();
    for (key, _) in binary {
        if data.is_some_and(|data| data.contains_key(key)) {
            faults.add(format!("binaryData[{key}]"), "is a key of data too");
        }
    }
}

pub(super) fn secret(object: &Value, faults: &mut Faults) {
    keys(object, &["data", "stringData"], faults);
    let has = |key: &str| {
        let holds = |name| fields(object, name).is_some_and(|data| data.contains_key(key));
        holds("data") || holds("stringData")
    };
    let needed: &[&str] = match string(object, "type").unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        _ => &[],
    };
    for key in needed.iter().filter(|key| !has(key)) {
        faults.add(
            format!("data[{key}]"),
            "is required by the type of the Secret",
        );
    }
}

fn keys(object: &Value, names: &[&str], faults: &mut Faults) {
    let mut bytes = 0;
    for name in names {
        for (key, value) in fields(object, name).into_iter().flatten() {
            // Base64 takes four bytes for three.
            let text = value.as_str().map_or(0, str::len);
            bytes += if *name == "stringData" || *name == "data" && names.contains(&"binaryData") {
                text
            } else {
                text / 4 * 3
            };
            if !text::is_config_key(key) {
                let message = "the key must be letters, digits, `-`, `_` and `.`";
                faults.add(format!("{name}[{key}]"), message);
            }
        }
    }
    if bytes > VALUES_MAX_BYTES {
        let message = format!("may have at most {VALUES_MAX_BYTES} bytes of values, not {bytes}");
        faults.add(names[0], message);
    }
}
