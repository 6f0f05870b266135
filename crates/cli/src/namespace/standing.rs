//! How namespaces and their pods stand to the mesh. Pure.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};
use weft_api::{
    AnyObject, Namespace, Object, Pod,
    workload::{CAPTURED, CAPTURED_REASON, MESH},
};
use weft_translate::is_member;

use crate::{
    cluster::{name, text},
    exit::Failure,
};

/// What can be said of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// A member, and its traffic goes through the mesh.
    Captured,
    /// A member that is not captured yet.
    Pending,
    /// A member that cannot be captured; its node goes on trying.
    Error,
    /// No member any more, and not let go yet.
    Leaving,
    /// No member.
    Outside,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Pending => "pending",
            Self::Error => "error",
            Self::Leaving => "leaving",
            Self::Outside => "outside",
        }
    }

    /// Whether it is a state on the way to another one.
    fn is_underway(self) -> bool {
        matches!(self, Self::Pending | Self::Error | Self::Leaving)
    }
}

/// A pod.
#[derive(Debug, Serialize)]
pub(crate) struct PodStanding {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) state: State,
    /// Why; empty when there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
}

/// A namespace and its pods; the JSON form only grows.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    version: u32,
    pub(crate) namespace: String,
    #[serde(rename = "enabled")]
    pub(crate) is_enabled: bool,
    pub(crate) pods: Vec<PodStanding>,
}

impl Standing {
    /// Reads it off the objects as they are stored.
    ///
    /// # Errors
    /// An object is none of its kind.
    pub(crate) fn of(namespace: Value, pods: Vec<Value>) -> Result<Self, Failure> {
        let namespace = as_namespace(namespace)?;
        let mut standing = Self {
            version: 1,
            namespace: namespace.name().to_owned(),
            is_enabled: is_enabled(&namespace),
            pods: Vec::new(),
        };
        for pod in pods {
            standing.pods.extend(pod_standing(pod, Some(&namespace))?);
        }
        Ok(standing)
    }

    /// Those of all namespaces.
    ///
    /// # Errors
    /// An object is none of its kind.
    pub(crate) fn all(namespaces: Vec<Value>, pods: Vec<Value>) -> Result<Vec<Self>, Failure> {
        let mut of: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for pod in pods {
            let namespace = text(&pod, "/metadata/namespace").to_owned();
            of.entry(namespace).or_default().push(pod);
        }
        let standings = namespaces.into_iter().map(|namespace| {
            let pods = of.remove(&name(&namespace)).unwrap_or_default();
            Self::of(namespace, pods)
        });
        standings.collect()
    }

    /// How many pods are on the way to another state.
    pub(crate) fn underway(&self) -> usize {
        let underway = self.pods.iter().filter(|pod| pod.state.is_underway());
        underway.count()
    }
}

/// A namespace among others.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) name: String,
    #[serde(rename = "enabled")]
    pub(crate) is_enabled: bool,
    /// Pods that are members, or were.
    pub(crate) members: usize,
    pub(crate) captured: usize,
}

/// The namespaces with a part in the mesh; the JSON form only grows.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    version: u32,
    pub(crate) namespaces: Vec<Count>,
}

impl Overview {
    /// Reads it off the objects as they are stored.
    ///
    /// # Errors
    /// An object is none of its kind.
    pub(crate) fn of(namespaces: Vec<Value>, pods: Vec<Value>) -> Result<Self, Failure> {
        let mut counts = Vec::new();
        for standing in Standing::all(namespaces, pods)? {
            let pods = standing.pods.iter();
            let members = pods.clone().filter(|it| it.state != State::Outside).count();
            if standing.is_enabled || members > 0 {
                counts.push(Count {
                    captured: pods.filter(|it| it.state == State::Captured).count(),
                    name: standing.namespace,
                    is_enabled: standing.is_enabled,
                    members,
                });
            }
        }
        Ok(Self {
            version: 1,
            namespaces: counts,
        })
    }
}

fn is_enabled(namespace: &Namespace) -> bool {
    namespace.label(MESH) == Some("enabled")
}

/// `None` for a pod that has run to its end, which speaks with nobody.
fn pod_standing(pod: Value, namespace: Option<&Namespace>) -> Result<Option<PodStanding>, Failure> {
    if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
        return Ok(None);
    }
    let node = text(&pod, "/spec/nodeName").to_owned();
    let pod = as_pod(pod)?;
    let reason = pod.annotation(CAPTURED_REASON).unwrap_or_default();
    let (state, reason) = match (is_member(Some(&pod), namespace), pod.annotation(CAPTURED)) {
        (true, Some("true")) => (State::Captured, reason),
        (true, Some("error")) => (State::Error, reason),
        (true, None) if node.is_empty() => (State::Pending, "it has no node yet"),
        (true, None) => (State::Pending, "its node has not spoken of it yet"),
        (true, Some(_)) => (State::Pending, reason),
        (false, Some(_)) => (State::Leaving, reason),
        (false, None) => (State::Outside, ""),
    };
    Ok(Some(PodStanding {
        name: pod.name().to_owned(),
        node,
        state,
        reason: reason.to_owned(),
    }))
}

/// Objects of a list do not say what they are.
fn parsed(mut object: Value, kind: &str) -> Result<AnyObject, Failure> {
    object["apiVersion"] = json!("v1");
    object["kind"] = json!(kind);
    let shown = name(&object);
    let parsed = AnyObject::parse(object);
    parsed.map_err(|error| Failure::errors(format!("{kind} {shown} cannot be read: {error}")))
}

fn as_namespace(object: Value) -> Result<Arc<Namespace>, Failure> {
    match parsed(object, "Namespace")? {
        AnyObject::Namespace(namespace) => Ok(namespace),
        other => Err(Failure::errors(format!(
            "{} is no Namespace",
            other.reference()
        ))),
    }
}

fn as_pod(object: Value) -> Result<Arc<Pod>, Failure> {
    match parsed(object, "Pod")? {
        AnyObject::Pod(pod) => Ok(pod),
        other => Err(Failure::errors(format!("{} is no Pod", other.reference()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Count, Overview, Standing, State};

    fn namespace(name: &str, label: Option<&str>) -> Value {
        json!({ "metadata": { "name": name, "labels": { "weft.dev/mesh": label } } })
    }

    /// A pod with its own label and what is said of it.
    fn pod(label: Option<&str>, captured: Option<&str>) -> Value {
        let mut pod = json!({
            "metadata": { "name": "web-0", "namespace": "shop", "uid": "u-1" },
            "spec": { "nodeName": "n1", "containers": [] },
            "status": { "phase": "Running" },
        });
        if let Some(label) = label {
            pod["metadata"]["labels"] = json!({ "weft.dev/mesh": label });
        }
        if let Some(captured) = captured {
            pod["metadata"]["annotations"] = json!({ "weft.dev/captured": captured });
        }
        pod
    }

    #[test]
    fn a_pod_is_where_its_labels_and_its_node_say() {
        for (enabled, label, captured, expected) in [
            (true, None, Some("true"), State::Captured),
            (true, None, None, State::Pending),
            (true, None, Some("pending"), State::Pending),
            (true, None, Some("error"), State::Error),
            (true, Some("disabled"), None, State::Outside),
            (true, Some("disabled"), Some("true"), State::Leaving),
            (false, None, Some("true"), State::Leaving),
            (false, None, None, State::Outside),
            (false, Some("enabled"), Some("true"), State::Captured),
        ] {
            let namespace = namespace("shop", enabled.then_some("enabled"));
            let standing = Standing::of(namespace, vec![pod(label, captured)]).expect("objects");
            assert_eq!(standing.is_enabled, enabled);
            let row = format!("{enabled} {label:?} {captured:?}");
            assert_eq!(standing.pods[0].state, expected, "{row}");
        }
    }

    #[test]
    fn pods_that_have_ended_are_nobody() {
        let mut ended = pod(None, None);
        ended["status"]["phase"] = json!("Succeeded");
        let standing = Standing::of(namespace("shop", Some("enabled")), vec![ended]);
        assert_eq!(standing.expect("objects").underway(), 0);
    }

    #[test]
    fn namespaces_with_members_are_counted() {
        let all = vec![namespace("far", None), namespace("shop", Some("enabled"))];
        let pods = vec![
            pod(None, Some("true")),
            pod(None, None),
            pod(Some("disabled"), None),
        ];
        let overview = Overview::of(all, pods).expect("objects");
        let shop = Count {
            name: "shop".to_owned(),
            is_enabled: true,
            members: 2,
            captured: 1,
        };
        assert_eq!(overview.namespaces, [shop]);
    }
}
