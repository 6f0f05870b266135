//! What can be chosen about an installation: one table, of which the defaults, `values.yaml` and
//! `values.schema.json` of the chart are made, and by which `weft install` judges what it is given.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

/// One choice.
struct Field {
    /// `NAME`, or `GROUP.NAME`; the fields of a group stand together.
    name: &'static str,
    /// For whoever edits `values.yaml`; lines of a comment.
    about: &'static str,
    default: fn() -> Value,
    shape: Shape,
}

/// Which values a field takes.
enum Shape {
    /// Text of these characters besides lower-case letters and digits; never empty, so that it can
    /// stand in a template as it is.
    Text {
        besides: &'static str,
    },
    OneOf(&'static [&'static str]),
    Whole {
        least: u64,
        most: u64,
    },
    YesOrNo,
    /// Passed on to Kubernetes.
    List,
    /// Passed on to Kubernetes.
    Object,
}

/// Characters of a reference to an image.
const IMAGE: Shape = Shape::Text {
    besides: "A-Z._/:@-",
};
/// Characters of names of objects and of trust domains.
const NAME: Shape = Shape::Text { besides: "._-" };
/// Characters of a directory of a node.
const DIRECTORY: Shape = Shape::Text { besides: "A-Z._/-" };

const FIELDS: &[Field] = &[
    Field {
        name: "image",
        about: "Image of the control plane.",
        default: || {
            json!(concat!(
                "ghcr.io/weft-mesh/weft:",
                env!("CARGO_PKG_VERSION")
            ))
        },
        shape: IMAGE,
    },
    Field {
        name: "proxyImage",
        about: "Image of the pods that every Gateway gets, and of the proxies of nodes.",
        default: || {
            json!(concat!(
                "ghcr.io/weft-mesh/weft-proxy:",
                env!("CARGO_PKG_VERSION")
            ))
        },
        shape: IMAGE,
    },
    Field {
        name: "imagePullPolicy",
        about: "When the images of the control plane and of the proxies of nodes are pulled.",
        default: || json!("IfNotPresent"),
        shape: Shape::OneOf(&["Always", "IfNotPresent", "Never"]),
    },
    Field {
        name: "imagePullSecrets",
        about: "Secrets to pull them with, such as [{name: registry}].",
        default: || json!([]),
        shape: Shape::List,
    },
    Field {
        name: "replicas",
        about: "Pods of the control plane. All of them serve proxies, one of them leads.",
        default: || json!(2),
        shape: Shape::Whole { least: 1, most: 9 },
    },
    Field {
        name: "trustDomain",
        about: "Whose identities are issued: spiffe://<trustDomain>/ns/<namespace>/sa/<name>. Never\n\
                change it once workloads have theirs.",
        default: || json!("cluster.local"),
        shape: NAME,
    },
    Field {
        name: "certificateLife",
        about: "How long certificates are good for, 10m to 90 days. They are renewed at half of it.",
        default: || json!("24h"),
        shape: Shape::Text { besides: "" },
    },
    Field {
        name: "rotationSpread",
        about: "Time over which they are renewed once another certificate issues, 1s to 24h: what a rotation\n\
                of the root waits for. A tenth of their life where that is shorter.",
        default: || json!("10m"),
        shape: Shape::Text { besides: "" },
    },
    Field {
        name: "gatewayClass",
        about: "Name of the GatewayClass.",
        default: || json!("weft"),
        shape: NAME,
    },
    Field {
        name: "logLevel",
        about: "The least severe events that the control plane and the proxies of nodes log.",
        default: || json!("info"),
        shape: Shape::OneOf(&["error", "warn", "info", "debug", "trace"]),
    },
    Field {
        name: "resources",
        about: "What a pod of the control plane asks for. Without a limit on CPU, which would be one on\n\
                how fast edits take effect.",
        default: || json!({ "requests": { "cpu": "100m", "memory": "128Mi" } }),
        shape: Shape::Object,
    },
    Field {
        name: "podAnnotations",
        about: "Annotations of its pods. Metrics are on port 15021, path /metrics.",
        default: || json!({}),
        shape: Shape::Object,
    },
    Field {
        name: "nodeSelector",
        about: "Labels of the nodes it may run on.",
        default: || json!({}),
        shape: Shape::Object,
    },
    Field {
        name: "tolerations",
        about: "Taints of nodes it may run on.",
        default: || json!([]),
        shape: Shape::List,
    },
    Field {
        name: "mesh.enabled",
        about: "Whether there is a mesh: a proxy on every node, which captures the pods of namespaces with\n\
                the label weft.dev/mesh=enabled. The namespace of Weft has to admit privileged pods then.",
        default: || json!(true),
        shape: Shape::YesOrNo,
    },
    Field {
        name: "mesh.cniConfigurations",
        about: "Where the container runtime of a node reads its CNI configuration.",
        default: || json!("/etc/cni/net.d"),
        shape: DIRECTORY,
    },
    Field {
        name: "mesh.cniPrograms",
        about: "Where it looks for CNI plugins.",
        default: || json!("/opt/cni/bin"),
        shape: DIRECTORY,
    },
    Field {
        name: "mesh.resources",
        about: "What the proxy of a node asks for, for its supervisor and all its workers.",
        default: || json!({ "requests": { "cpu": "100m", "memory": "64Mi" } }),
        shape: Shape::Object,
    },
    Field {
        name: "mesh.podAnnotations",
        about: "Annotations of its pods. Metrics are on port 15021, path /metrics.",
        default: || json!({}),
        shape: Shape::Object,
    },
    Field {
        name: "mesh.nodeSelector",
        about: "Labels of the nodes that have a mesh. Pods of others are outside of it.",
        default: || json!({ "kubernetes.io/os": "linux" }),
        shape: Shape::Object,
    },
    Field {
        name: "monitoring.dashboards",
        about: "Whether there is a ConfigMap with a dashboard, by the label that Grafana's sidecar looks for.",
        default: || json!(false),
        shape: Shape::YesOrNo,
    },
    Field {
        name: "monitoring.alerts",
        about: "Whether there are alerts, as a PrometheusRule: the cluster has to have that kind.",
        default: || json!(false),
        shape: Shape::YesOrNo,
    },
];

/// A value that cannot be chosen.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum ValueError {
    /// There is no such field.
    #[error("there is no value {name:?}; there are {}", names())]
    Unknown { name: String },
    /// The field does not take it.
    #[error("{name}: {value} is {cure}")]
    Refused {
        name: &'static str,
        value: Value,
        cure: String,
    },
}

fn names() -> String {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    names.join(", ")
}

/// The default of every field.
pub(super) fn defaults() -> BTreeMap<&'static str, Value> {
    FIELDS
        .iter()
        .map(|field| (field.name, (field.default)()))
        .collect()
}

/// Chooses a value, or those of a group; an object of a field takes the place of the default as a
/// whole.
///
/// # Errors
/// There is no such field, or it does not take the value.
pub(super) fn set(
    values: &mut BTreeMap<&'static str, Value>,
    name: &str,
    value: Value,
) -> Result<(), ValueError> {
    let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
        let is_group = FIELDS.iter().any(|field| field.place().0 == name);
        return match value {
            Value::Object(members) if is_group => members
                .into_iter()
                .try_for_each(|(member, value)| set(values, &format!("{name}.{member}"), value)),
            _ => Err(ValueError::Unknown {
                name: name.to_owned(),
            }),
        };
    };
    if let Some(cure) = field.shape.refusal(&value) {
        let name = field.name;
        return Err(ValueError::Refused { name, value, cure });
    }
    values.insert(field.name, value);
    Ok(())
}

/// `values.yaml`.
///
/// # Errors
/// A default is no YAML.
pub(super) fn commented() -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::from("# Made by `weft install --show values`.\n");
    let mut open = "";
    for field in FIELDS {
        let (group, name) = field.place();
        text.push('\n');
        if group != open {
            text.push_str(&format!("{group}:\n"));
            open = group;
        }
        let indent = if group.is_empty() { "" } else { "  " };
        for line in field.about.lines() {
            text.push_str(&format!("{indent}# {line}\n"));
        }
        let entry = BTreeMap::from([(name, (field.default)())]);
        for line in serde_saphyr::to_string(&entry)?.lines() {
            text.push_str(&format!("{indent}{line}\n"));
        }
    }
    Ok(text)
}

/// `values.schema.json`. A key that is no field fails, but for `global`, which Helm adds when the
/// chart is part of another one.
pub(super) fn schema() -> Value {
    let mut groups: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for field in FIELDS {
        let (group, name) = field.place();
        let mut schema = field.shape.schema();
        schema["description"] = json!(field.about.replace('\n', " "));
        schema["default"] = (field.default)();
        let group = groups.entry(group).or_default();
        group.insert(name.to_owned(), schema);
    }
    let mut properties = groups.remove("").unwrap_or_default();
    properties.insert("global".to_owned(), json!({ "type": "object" }));
    properties.extend(groups.into_iter().map(|(group, members)| {
        let schema = json!({
            "type": "object", "additionalProperties": false, "properties": members,
        });
        (group.to_owned(), schema)
    }));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart weft",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

impl Field {
    /// The group, empty without one, and the name in it.
    fn place(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

impl Shape {
    fn schema(&self) -> Value {
        match self {
            Self::Text { besides } => {
                json!({ "type": "string", "pattern": format!("^[a-z0-9{besides}]+$") })
            }
            Self::OneOf(names) => json!({ "type": "string", "enum": names }),
            Self::Whole { least, most } => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::YesOrNo => json!({ "type": "boolean" }),
            Self::List => json!({ "type": "array" }),
            Self::Object => json!({ "type": "object" }),
        }
    }

    /// Why it does not take the value; continues a sentence.
    fn refusal(&self, value: &Value) -> Option<String> {
        match self {
            Self::Text { besides } => {
                let upper = besides.contains("A-Z");
                let others = besides.trim_start_matches("A-Z");
                let fits = |one: char| {
                    let is_letter = one.is_ascii_lowercase() || upper && one.is_ascii_uppercase();
                    is_letter || one.is_ascii_digit() || others.contains(one)
                };
                let text = value.as_str().filter(|text| !text.is_empty());
                let is_good = text.is_some_and(|text| text.chars().all(fits));
                (!is_good).then(|| format!("no text of the characters a-z0-9{besides}"))
            }
            Self::OneOf(names) => {
                let is_good = value.as_str().is_some_and(|text| names.contains(&text));
                (!is_good).then(|| format!("none of {}", names.join(", ")))
            }
            Self::Whole { least, most } => {
                let is_good = value
                    .as_u64()
                    .is_some_and(|it| (*least..=*most).contains(&it));
                (!is_good).then(|| format!("no number from {least} to {most}"))
            }
            Self::YesOrNo => (!value.is_boolean()).then(|| "neither true nor false".to_owned()),
            Self::List => (!value.is_array()).then(|| "no list".to_owned()),
            Self::Object => (!value.is_object()).then(|| "no object".to_owned()),
        }
    }
}
