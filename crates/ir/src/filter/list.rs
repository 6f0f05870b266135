//! The filter list of a rule or a backend, with what the data path needs to know up front.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Captured, Filter};

/// Filters in list order. A list without work for a phase costs one branch in it.
///
/// A list with a filter of a newer version is that filter alone: it refuses the request, and nothing
/// else of the list may act first (`HTTPRouteFilter.type`: "the filter MUST NOT be skipped").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    list: Box<[Filter]>,
    on_response: bool,
    has_cors: bool,
}

impl Filters {
    /// Whether there is no filter at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The filters, in list order.
    pub fn iter(&self) -> std::slice::Iter<'_, Filter> {
        self.list.iter()
    }

    /// Whether one of the filters answers every request, so that no backend is needed.
    pub fn is_terminal(&self) -> bool {
        self.list.iter().any(Filter::is_terminal)
    }

    /// Notes what the response phase needs to know of the request. Call it with the request as the
    /// client sent it, before any filter of this list has run.
    pub fn capture(&self, request: &http::request::Parts) -> Captured {
        if !self.has_cors {
            return Captured::default();
        }
        // The specification allows one CORS filter in a list; with more, the first one decides.
        self.list
            .iter()
            .find_map(|filter| match filter {
                Filter::Cors(cors) => Some(cors.capture(&request.headers)),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Applies the response half of every filter, in list order.
    pub fn apply_response(&self, captured: &Captured, headers: &mut http::HeaderMap) {
        if self.on_response {
            for filter in &self.list {
                filter.apply_response(captured, headers);
            }
        }
    }
}

impl From<Vec<Filter>> for Filters {
    fn from(mut list: Vec<Filter>) -> Self {
        if list.contains(&Filter::Unsupported) {
            list = vec![Filter::Unsupported];
        }
        let has_cors = list.iter().any(|filter| matches!(filter, Filter::Cors(_)));
        let modifies = list
            .iter()
            .any(|filter| matches!(filter, Filter::ResponseHeaders(_)));
        Self {
            list: list.into_boxed_slice(),
            on_response: has_cors || modifies,
            has_cors,
        }
    }
}

impl FromIterator<Filter> for Filters {
    fn from_iter<I: IntoIterator<Item = Filter>>(filters: I) -> Self {
        Self::from(filters.into_iter().collect::<Vec<_>>())
    }
}

impl<'a> IntoIterator for &'a Filters {
    type Item = &'a Filter;
    type IntoIter = std::slice::Iter<'a, Filter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Filters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}
