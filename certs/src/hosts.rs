//! Host patterns of listeners and the look-up of the most specific one for a server name.
//!
//! Order (Gateway API, `Listener.hostname` and listener isolation): exact name, then the wildcard
//! with the most labels to the right of `*`, then the listener without a hostname. A wildcard
//! stands for one label or more, never for none.

use std::collections::HashMap;

/// The hostname of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// No hostname: any server name, and clients that send none.
    Any,
    /// `*.example.com`, kept as `example.com`.
    Wildcard(String),
    /// One name.
    Exact(String),
}

impl HostPattern {
    /// Reads the `hostname` of a listener: empty for any, `*.` in front for a wildcard. Upper
    /// case is folded; that the name is a valid one is left to whoever accepted the listener.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        match hostname.strip_prefix("*.") {
            Some(parent) => Self::Wildcard(parent.to_ascii_lowercase()),
            None if hostname.is_empty() => Self::Any,
            None => Self::Exact(hostname.to_ascii_lowercase()),
        }
    }
}

/// Values by host pattern. Look-up costs one hash per label of the name, however many patterns
/// there are, and does not allocate.
#[derive(Debug)]
pub(crate) struct HostMap<T> {
    exact: HashMap<String, T>,
    wildcard: HashMap<String, T>,
    any: Option<T>,
}

impl<T: Default> HostMap<T> {
    pub(crate) fn new() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            any: None,
        }
    }

    /// The value of `pattern`, made if it is new.
    pub(crate) fn entry(&mut self, pattern: HostPattern) -> &mut T {
        match pattern {
            HostPattern::Any => self.any.get_or_insert_default(),
            HostPattern::Wildcard(parent) => self.wildcard.entry(parent).or_default(),
            HostPattern::Exact(name) => self.exact.entry(name).or_default(),
        }
    }

    /// The value of the most specific pattern for `name` (lower case), or the one of
    /// [`HostPattern::Any`] when the client sent no name.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&T> {
        let named = name.and_then(|name| {
            self.exact.get(name).or_else(|| {
                let parents = std::iter::successors(parent(name), |name| parent(name));
                parents
                    .filter_map(|parent| self.wildcard.get(parent))
                    .next()
            })
        });
        named.or(self.any.as_ref())
    }
}

/// The name without its first label: `b.c` for `a.b.c`.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

#[cfg(test)]
mod tests;
