//! Secret and ConfigMap: certificates, keys and settings that other objects refer to.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;

use crate::meta::ObjectMeta;
use crate::schema::schema;

schema! {
    /// Settings by key.
    pub struct ConfigMap {
        /// Metadata.
        pub metadata: ObjectMeta,
        /// Text values.
        pub data: BTreeMap<String, String>,
        /// Binary values, base64 in the object.
        pub binary_data: BTreeMap<String, ByteString>,
    }
}

/// Confidential values by key. `Debug` shows the keys and the sizes of values, never a value.
#[derive(Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Secret {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Type, for example `kubernetes.io/tls`; absent means `Opaque`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Values, base64 in the object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, ByteString>,
    /// Values as text, which take precedence; an API server moves them to `data`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub string_data: BTreeMap<String, String>,
}

impl Secret {
    /// The value of a key, wherever it is written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let text = self.string_data.get(key).map(String::as_bytes);
        text.or_else(|| self.data.get(key).map(|value| value.0.as_slice()))
    }
}

impl ConfigMap {
    /// The value of a key, wherever it is written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let text = self.data.get(key).map(String::as_bytes);
        text.or_else(|| self.binary_data.get(key).map(|value| value.0.as_slice()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data.iter().map(|(key, value)| (key, value.0.len()));
        let text = self
            .string_data
            .iter()
            .map(|(key, value)| (key, value.len()));
        // Of the metadata only the name: annotations may repeat the values.
        f.debug_struct("Secret")
            .field("namespace", &self.metadata.namespace)
            .field("name", &self.metadata.name)
            .field("type", &self.type_)
            .field("value_bytes", &data.chain(text).collect::<BTreeMap<_, _>>())
            .finish()
    }
}
