//! Names of objects: namespace and name, and with them the kind.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::object::Kind;

#[cfg(test)]
mod tests;

/// Namespace and name of an object; cluster-scoped objects have an empty namespace. Cheap to
/// clone.
///
/// Keys order as the text `{namespace}/{name}` does, which is the tie-break of Gateway API route
/// precedence; `a-b/x` therefore sorts before `a/x`. Keys of one namespace stay together.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    namespace: Arc<str>,
    name: Arc<str>,
}

/// A key as two texts, so that a map of [`ObjectKey`] can be searched without making one:
/// `map.get(&("shop", "web") as &dyn KeyParts)`.
pub trait KeyParts {
    /// The namespace; empty for a cluster-scoped object.
    fn namespace(&self) -> &str;

    /// The name.
    fn name(&self) -> &str;
}

/// Kind and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub key: ObjectKey,
}

// === impl ObjectKey ===

impl ObjectKey {
    /// A key of its two parts; the namespace is empty for cluster-scoped objects.
    #[must_use]
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of a cluster-scoped object.
    #[must_use]
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self::new("", name)
    }

    /// The namespace; empty for a cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl From<ObjectKey> for (Arc<str>, Arc<str>) {
    /// Namespace and name.
    fn from(key: ObjectKey) -> Self {
        (key.namespace, key.name)
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl KeyParts ===

impl KeyParts for ObjectKey {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl KeyParts for (&str, &str) {
    fn namespace(&self) -> &str {
        self.0
    }

    fn name(&self) -> &str {
        self.1
    }
}

impl<'a> Borrow<dyn KeyParts + 'a> for ObjectKey {
    fn borrow(&self) -> &(dyn KeyParts + 'a) {
        self
    }
}

impl Ord for dyn KeyParts + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for dyn KeyParts + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn KeyParts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.namespace() == other.namespace() && self.name() == other.name()
    }
}

impl Eq for dyn KeyParts + '_ {}

/// Compares the texts `{namespace}/{name}` without building them.
fn compare(left: &(impl KeyParts + ?Sized), right: &(impl KeyParts + ?Sized)) -> Ordering {
    if left.namespace() == right.namespace() {
        return left.name().cmp(right.name());
    }
    // Two different namespaces differ at the latest where the shorter one's slash stands, so the
    // names need no look. A slash cannot occur inside a namespace.
    let slash = std::iter::once(b'/');
    let right = right.namespace().bytes().chain(slash.clone());
    left.namespace().bytes().chain(slash).cmp(right)
}

// === impl ObjectRef ===

impl ObjectRef {
    /// A reference of its parts.
    #[must_use]
    pub fn new(kind: Kind, key: ObjectKey) -> Self {
        Self { kind, key }
    }
}

/// `HTTPRoute shop/web`, the way objects are named in messages.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}
