//! Serde forms of the types of the `http` crate, and of maps keyed by [`Name`](crate::Name).
//!
//! Used through `#[serde(with = "...")]`. Everything is a plain string, so that a table reads like
//! the manifest it came from.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// `HeaderName` as a lower-case string.
pub(crate) mod header_name {
    use http::HeaderName;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(name: &HeaderName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderName, D::Error> {
        super::parsed(from, "a header name", |text| {
            HeaderName::from_bytes(text.as_bytes()).ok()
        })
    }
}

/// `Vec<HeaderName>` as a list of strings.
pub(crate) mod header_names {
    use http::HeaderName;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Item(#[serde(with = "super::header_name")] HeaderName);

    pub(crate) fn serialize<S: Serializer>(names: &[HeaderName], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(names.iter().map(HeaderName::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<HeaderName>, D::Error> {
        let items = Vec::<Item>::deserialize(from)?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}

/// `HeaderValue` as a string. Values come from manifests, which are UTF-8.
pub(crate) mod header_value {
    use http::HeaderValue;
    use serde::{Deserializer, Serializer, ser::Error};

    pub(crate) fn serialize<S: Serializer>(value: &HeaderValue, to: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| S::Error::custom("a header value of a table is not UTF-8"))?;
        to.serialize_str(text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderValue, D::Error> {
        super::parsed(from, "a header value", |text| {
            HeaderValue::from_bytes(text.as_bytes()).ok()
        })
    }
}

/// `Vec<(HeaderName, HeaderValue)>` as a list of `{name, value}`.
pub(crate) mod headers {
    use http::{HeaderName, HeaderValue};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Item {
        #[serde(with = "super::header_name")]
        name: HeaderName,
        #[serde(with = "super::header_value")]
        value: HeaderValue,
    }

    pub(crate) fn serialize<S: Serializer>(
        headers: &[(HeaderName, HeaderValue)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(headers.iter().map(|(name, value)| Item {
            name: name.clone(),
            value: value.clone(),
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, D::Error> {
        let items = Vec::<Item>::deserialize(from)?;
        Ok(items
            .into_iter()
            .map(|item| (item.name, item.value))
            .collect())
    }
}

/// `Method` as its token.
pub(crate) mod method {
    use http::Method;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(method.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
        super::parsed(from, "an HTTP method", |text| {
            Method::from_bytes(text.as_bytes()).ok()
        })
    }
}

/// `Option<Method>` as its token or null. Needs `#[serde(default)]` beside it.
pub(crate) mod optional_method {
    use http::Method;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Item(#[serde(with = "super::method")] Method);

    pub(crate) fn serialize<S: Serializer>(
        method: &Option<Method>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        method.as_ref().map(Method::as_str).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Method>, D::Error> {
        Ok(Option::<Item>::deserialize(from)?.map(|item| item.0))
    }
}

/// `BTreeMap<Name, T>` as a map with `namespace/name` keys.
pub(crate) mod by_name {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::Name;

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        map: &BTreeMap<Name, T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().map(|(name, value)| (name.to_string(), value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        from: D,
    ) -> Result<BTreeMap<Name, T>, D::Error> {
        let map = BTreeMap::<String, T>::deserialize(from)?;
        map.into_iter()
            .map(|(key, value)| Ok((parse(&key)?, value)))
            .collect()
    }

    fn parse<E: Error>(key: &str) -> Result<Name, E> {
        match key.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Name::new(namespace, name))
            }
            _ => Err(E::custom(format_args!(
                "map key \"{key}\" is not of the form namespace/name"
            ))),
        }
    }
}

/// A value that `parse` makes of a string; `what` names it in the error.
fn parsed<'de, D, T>(
    from: D,
    what: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text<F>(&'static str, F);

    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            let what = self.0;
            (self.1)(text).ok_or_else(|| E::custom(format_args!("\"{text}\" is not {what}")))
        }
    }

    from.deserialize_str(Text(what, parse))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderName, HeaderValue, Method};
    use serde::{Deserialize, Serialize};

    use crate::Name;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        #[serde(with = "super::by_name")]
        map: BTreeMap<Name, u8>,
        #[serde(with = "super::headers")]
        headers: Vec<(HeaderName, HeaderValue)>,
        #[serde(default, with = "super::optional_method")]
        method: Option<Method>,
    }

    #[test]
    fn stored_as_text_and_read_back() {
        let name = HeaderName::from_static("x-name");
        let everything = Everything {
            map: BTreeMap::from([(Name::new("shop", "web"), 1), (Name::new("a", "b.c"), 2)]),
            headers: vec![(name, HeaderValue::from_bytes("é".as_bytes()).unwrap())],
            method: Some(Method::GET),
        };
        let json = serde_json::to_string(&everything).unwrap();
        let map = r#""map":{"a/b.c":2,"shop/web":1}"#;
        let headers = r#""headers":[{"name":"x-name","value":"é"}]"#;
        assert_eq!(json, format!(r#"{{{map},{headers},"method":"GET"}}"#));
        assert_eq!(
            serde_json::from_str::<Everything>(&json).unwrap(),
            everything
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let rows = [
            (
                r#"{"map":{"web":1},"headers":[]}"#,
                "\"web\" is not of the form namespace/name",
            ),
            (
                r#"{"map":{"/web":1},"headers":[]}"#,
                "\"/web\" is not of the form namespace/name",
            ),
            (
                r#"{"map":{},"headers":[{"name":"a b","value":""}]}"#,
                "\"a b\" is not a header name",
            ),
            (
                r#"{"map":{},"headers":[{"name":"a","value":"\u0000"}]}"#,
                "is not a header value",
            ),
            (
                r#"{"map":{},"headers":[],"method":"A B"}"#,
                "\"A B\" is not an HTTP method",
            ),
        ];
        for (json, message) in rows {
            let error = serde_json::from_str::<Everything>(json)
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
