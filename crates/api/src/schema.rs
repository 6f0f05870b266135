//! The two macros every type of this room is written with: `schema!` for a JSON object of the
//! Kubernetes API and `open_enum!` for a string field whose values may grow in later versions.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Whether a field is left out when the object is written, as Go's `omitempty` does for the
/// field's Go type: absent options, empty lists and empty maps are; plain values never are.
pub(crate) trait Omit {
    /// True when the field carries nothing a reader could not infer from its absence.
    fn omit(&self) -> bool {
        false
    }
}

impl<T> Omit for Option<T> {
    fn omit(&self) -> bool {
        self.is_none()
    }
}

impl<T> Omit for Vec<T> {
    fn omit(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Omit for BTreeMap<K, V> {
    fn omit(&self) -> bool {
        self.is_empty()
    }
}

impl Omit for String {}
impl Omit for i32 {}
impl Omit for i64 {}
impl Omit for LabelSelector {}
impl Omit for IntOrString {}

/// Declares structs that mirror JSON objects of the Kubernetes API: camelCase names, every field
/// optional on reading (CRD validation, not parsing, says what is required), nothing empty
/// written back.
macro_rules! schema {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$param:ident>)? {
            $( $(#[$field_meta:meta])* pub $field:ident: $type:ty, )*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name $(<$param>)? {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "crate::schema::Omit::omit")]
                pub $field: $type,
            )*
        }

        impl $(<$param>)? crate::schema::Omit for $name $(<$param>)? {}
    )+};
}

/// Declares string-backed enums that survive values they do not know: reading never fails on a
/// new value and writing gives back exactly the text that was read.
macro_rules! open_enum {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(
                $(#[$variant_meta])*
                #[doc = concat!("`", $text, "`.")]
                $variant,
            )+
            /// A value this version does not know, exactly as written; empty when the field was
            /// absent from an object that must have it.
            Unknown(Box<str>),
        }

        impl $name {
            /// Every value this version knows, in the order of the specification.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in the object.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Unknown(text.into()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Unknown(Box::default())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }

        impl crate::schema::Omit for $name {}
    )+};
}

pub(crate) use {open_enum, schema};
