//! A network configuration list (CNI specification, section 1) with this plugin at its end. Pure.

use serde_json::{Map, Value, json};

/// The `type` of this plugin, which is the name of its file too.
pub(crate) const PLUGIN: &str = "weft-cni";

/// What the plugin is told, beside what every plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) socket: String,
    pub(crate) namespaces: String,
    pub(crate) own_namespace: String,
}

/// Why a file is no configuration this plugin can be put into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("it is no JSON: {0}")]
    Syntax(String),
    #[error("it is neither a list with `plugins` nor a plugin with `type`")]
    Shape,
}

/// The list of a file with this plugin as its last: it captures what the others have made. A file with
/// a single plugin becomes a list. Whatever else is there stays, and a list that has this plugin already
/// gets it anew, so that doing it twice is doing it once.
pub(crate) fn with_plugin(file: &str, settings: &Settings) -> Result<String, ChainError> {
    let mut list = list(file)?;
    let plugins = plugins(&mut list)?;
    plugins.retain(|plugin| !is_ours(plugin));
    plugins.push(json!({
        "type": PLUGIN,
        "socket": settings.socket,
        "namespaces": settings.namespaces,
        "ownNamespace": settings.own_namespace,
    }));
    let mut text = format!("{:#}", Value::Object(list));
    text.push('\n');
    Ok(text)
}

fn list(file: &str) -> Result<Map<String, Value>, ChainError> {
    let value =
        serde_json::from_str(file).map_err(|error| ChainError::Syntax(error.to_string()))?;
    let Value::Object(mut object) = value else {
        return Err(ChainError::Shape);
    };
    if object.contains_key("plugins") {
        return Ok(object);
    }
    if !object.get("type").is_some_and(Value::is_string) {
        return Err(ChainError::Shape);
    }
    let mut list = Map::new();
    for key in ["cniVersion", "name"] {
        if let Some(value) = object.remove(key) {
            list.insert(key.to_owned(), value);
        }
    }
    list.insert("plugins".to_owned(), json!([object]));
    Ok(list)
}

fn plugins(list: &mut Map<String, Value>) -> Result<&mut Vec<Value>, ChainError> {
    let plugins = list.get_mut("plugins").and_then(Value::as_array_mut);
    // Without a plugin before this one there is no network.
    plugins
        .filter(|plugins| plugins.iter().any(|plugin| !is_ours(plugin)))
        .ok_or(ChainError::Shape)
}

fn is_ours(plugin: &Value) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(PLUGIN)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{ChainError, Settings, with_plugin};

    fn settings() -> Settings {
        Settings {
            socket: "/s".to_owned(),
            namespaces: "/n".to_owned(),
            own_namespace: "weft-system".to_owned(),
        }
    }

    fn check(row: &str, file: &str, expected: &str) {
        let once = with_plugin(file, &settings()).expect(row);
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect(row);
        assert_eq!(parse(&once), parse(expected), "{row}");
        let twice = with_plugin(&once, &settings()).expect(row);
        assert_eq!(twice, once, "{row}: a second time");
    }

    const OURS: &str =
        r#"{"type":"weft-cni","socket":"/s","namespaces":"/n","ownNamespace":"weft-system"}"#;

    #[test]
    fn the_plugin_comes_last_and_once() {
        let list =
            |plugins: &str| format!(r#"{{"cniVersion":"1.0.0","name":"a","plugins":[{plugins}]}}"#);
        let ptp = r#"{"type":"ptp","mtu":1400}"#;
        let expected = list(&format!("{ptp},{OURS}"));
        check("a list", &list(ptp), &expected);
        let older = r#"{"type":"weft-cni","socket":"/old"}"#;
        check(
            "with an older one",
            &list(&format!("{older},{ptp}")),
            &expected,
        );
        let single = r#"{"cniVersion":"1.0.0","name":"a","type":"ptp","mtu":1400}"#;
        check("a single plugin", single, &expected);
        let more = r#"{"name":"a","disableCheck":true,"plugins":[{"type":"ptp"}]}"#;
        let expected =
            format!(r#"{{"name":"a","disableCheck":true,"plugins":[{{"type":"ptp"}},{OURS}]}}"#);
        check("what else is there stays", more, &expected);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for file in [
            "[]",
            "{}",
            r#"{"plugins":{}}"#,
            r#"{"plugins":[]}"#,
            r#"{"type":1}"#,
        ] {
            assert_eq!(
                with_plugin(file, &settings()),
                Err(ChainError::Shape),
                "{file}"
            );
        }
        let alone = format!(r#"{{"plugins":[{OURS}]}}"#);
        assert_eq!(
            with_plugin(&alone, &settings()),
            Err(ChainError::Shape),
            "alone"
        );
        let broken = with_plugin("{", &settings());
        assert!(matches!(broken, Err(ChainError::Syntax(_))), "{broken:?}");
    }
}
