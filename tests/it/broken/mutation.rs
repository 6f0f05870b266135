//! Broken objects: good ones of every kind, damaged at random places in ways people and tools do.

use proptest::{
    prelude::{Just, Strategy, any, prop, prop_oneof},
    sample::select,
};
use serde_json::{Value, json};

/// One good object per kind and shape.
pub(super) fn seeds() -> Vec<Value> {
    serde_saphyr::from_multiple(include_str!("seeds.yaml")).expect("the seeds are YAML")
}

/// A seed and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    seed: usize,
    edits: Vec<Edit>,
}

/// One damage. Places are positions in the list of all values, modulo its length.
#[derive(Clone, Debug)]
enum Edit {
    Drop(u16),
    Rename(u16, &'static str),
    Replace(u16, Junk),
    /// Puts a copy of one value where another is.
    Copy(u16, u16),
    /// Makes one item of a list many.
    Repeat(u16, u8),
    /// Puts a value in a list, or in a map.
    Wrap(u16, bool),
    /// Metadata no user writes.
    Metadata(&'static str, Junk),
}

/// What stands where something else should.
#[derive(Clone, Debug)]
enum Junk {
    Null,
    Truth(bool),
    Integer(i64),
    Float(f64),
    Text(&'static str),
    /// A text of so many bytes.
    Huge(usize),
    /// Lists in one another.
    Nested(usize),
    EmptyList,
    EmptyMap,
    UnknownMap,
}

/// Texts that mean trouble somewhere.
const TEXTS: &[&str] = &[
    "",
    " ",
    "/",
    "//",
    "/a/../b",
    "no-slash",
    "/%2f%zz",
    "/caf\u{e9}",
    "?x=1",
    "(a{1000}){1000}",
    "(unclosed",
    "[z-a]",
    "\\",
    "(?P<n>a)(?P<n>b)",
    "a**",
    "x{2147483648}",
    "*",
    "*.*.example.com",
    "-dash.example.com",
    "UPPER.example.com",
    "a..b",
    "h:8080",
    "127.0.0.1",
    "::1",
    "999.1.1.1",
    "None",
    "1h61",
    "99999h99999h",
    "0s",
    "-1s",
    "10ns",
    "80",
    "Unknown",
    "ExtensionRef",
    "RequestRedirect",
    "RegularExpression",
    "Service",
    "Gateway",
    "core",
    "gateway.networking.k8s.io",
    "x/y/z",
    "content-length",
    "host",
    "bad header",
    "line\nbreak",
    "nul\u{0}byte",
    "\u{feff}",
    "\u{202e}",
    "{{ .Values.name }}",
    "$(NAME)",
    "yesterday",
    "0000-13-40T99:99:99Z",
];

/// Names of fields that exist somewhere else, or nowhere.
const NAMES: &[&str] = &[
    "",
    "Spec",
    "backendRef",
    "name ",
    "matches",
    "filters",
    "weight",
    "port",
    "status",
    "$ref",
    "a.b[0]",
    "x-kubernetes-preserve-unknown-fields",
];

fn junk() -> impl Strategy<Value = Junk> {
    let integers = [-1, 0, 1, 65_535, 65_536, 1_000_001, i64::MIN, i64::MAX].to_vec();
    prop_oneof![
        1 => Just(Junk::Null),
        1 => any::<bool>().prop_map(Junk::Truth),
        2 => select(integers).prop_map(Junk::Integer),
        1 => select([0.5, -1e300, 1e18].to_vec()).prop_map(Junk::Float),
        8 => select(TEXTS).prop_map(Junk::Text),
        1 => select([64, 254, 300, 1_025, 5_000].to_vec()).prop_map(Junk::Huge),
        1 => select([3, 100].to_vec()).prop_map(Junk::Nested),
        1 => Just(Junk::EmptyList),
        1 => Just(Junk::EmptyMap),
        1 => Just(Junk::UnknownMap),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let spot = any::<u16>;
    let metadata = select(
        [
            "labels",
            "annotations",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "ownerReferences",
            "finalizers",
            "managedFields",
            "uid",
            "resourceVersion",
        ]
        .to_vec(),
    );
    prop_oneof![
        3 => spot().prop_map(Edit::Drop),
        2 => (spot(), select(NAMES)).prop_map(|(at, name)| Edit::Rename(at, name)),
        8 => (spot(), junk()).prop_map(|(at, junk)| Edit::Replace(at, junk)),
        2 => (spot(), spot()).prop_map(|(from, to)| Edit::Copy(from, to)),
        1 => (spot(), 2..100_u8).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => (spot(), any::<bool>()).prop_map(|(at, list)| Edit::Wrap(at, list)),
        1 => (metadata, junk()).prop_map(|(field, junk)| Edit::Metadata(field, junk)),
    ]
}

/// Up to `most` broken objects.
pub(super) fn broken(most: usize) -> impl Strategy<Value = Vec<Broken>> {
    let edits = prop::collection::vec(edit(), 1..5);
    let one = (0..seeds().len(), edits).prop_map(|(seed, edits)| Broken { seed, edits });
    prop::collection::vec(one, 1..=most)
}

impl Broken {
    /// The object, under a name of its own as long as no damage takes it away.
    pub(super) fn object(&self, seeds: &[Value], index: usize) -> Value {
        let mut object = seeds[self.seed].clone();
        object["metadata"]["name"] = json!(format!("broken-{index}"));
        for edit in &self.edits {
            edit.apply(&mut object);
        }
        object
    }
}

impl Edit {
    fn apply(&self, object: &mut Value) {
        match self {
            Self::Drop(at) => {
                let _ = take(object, &spot(object, *at));
            }
            Self::Rename(at, name) => {
                let at = spot(object, *at);
                let (parent, _) = at.rsplit_once('/').unwrap_or_default();
                let parent = parent.to_owned();
                if let Some(value) = take(object, &at)
                    && let Some(Value::Object(fields)) = object.pointer_mut(&parent)
                {
                    fields.insert((*name).to_owned(), value);
                }
            }
            Self::Replace(at, junk) => put(object, *at, |_| junk.value()),
            Self::Copy(from, to) => {
                let copy = object.pointer(&spot(object, *from)).cloned();
                put(object, *to, |_| copy.unwrap_or_default());
            }
            Self::Repeat(at, count) => put(object, *at, |value| match value {
                Value::Array(items) => {
                    let items = items.iter().cycle().take(items.len() * usize::from(*count));
                    items.cloned().collect()
                }
                value => vec![value; usize::from(*count)].into(),
            }),
            Self::Wrap(at, true) => put(object, *at, |value| json!([value])),
            Self::Wrap(at, false) => put(object, *at, |value| json!({"value": value})),
            Self::Metadata(field, junk) => {
                if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                    metadata.insert((*field).to_owned(), junk.value());
                }
            }
        }
    }
}

impl Junk {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Truth(truth) => json!(truth),
            Self::Integer(number) => json!(number),
            Self::Float(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::Huge(length) => json!("a".repeat(*length)),
            Self::Nested(depth) => (0..*depth).fold(json!(1), |inner, _| json!([inner])),
            Self::EmptyList => json!([]),
            Self::EmptyMap => json!({}),
            Self::UnknownMap => json!({"type": "Unknown", "unknown": {"name": "x"}}),
        }
    }
}

/// JSON pointers of every value below the root, in the order they are written.
fn spots(value: &Value, prefix: &str, found: &mut Vec<String>) {
    let mut visit = |key: &str, child: &Value| {
        let path = format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        spots(child, &path, found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, child)| visit(key, child)),
        Value::Array(items) => {
            (items.iter().enumerate()).for_each(|(index, child)| visit(&index.to_string(), child))
        }
        _ => {}
    }
}

fn spot(object: &Value, at: u16) -> String {
    let mut found = Vec::new();
    spots(object, "", &mut found);
    let index = usize::from(at) % found.len().max(1);
    found.get(index).cloned().unwrap_or_default()
}

fn put(object: &mut Value, at: u16, new: impl FnOnce(Value) -> Value) {
    let spot = spot(object, at);
    if let Some(value) = object.pointer_mut(&spot) {
        let old = value.take();
        *value = new(old);
    }
}

fn take(object: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent)? {
        Value::Object(fields) => fields.remove(&key),
        Value::Array(items) => {
            let index: usize = key.parse().ok()?;
            (index < items.len()).then(|| items.remove(index))
        }
        _ => None,
    }
}
