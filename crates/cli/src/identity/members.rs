//! Who the pods of the mesh are. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Value, json};
use weft_api::{
    AnyObject, Namespace, Object, Pod,
    workload::{CAPTURED, CAPTURED_REASON, PodPhase},
};
use weft_translate::is_member;

use super::roots::{Authority, Rotation};
use crate::{cluster, exit::Failure, findings::counted};

/// A pod of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Member {
    name: String,
    /// Empty while it has none.
    node: String,
    /// `true`, `pending` or `error`, as its node last said.
    captured: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// Pods of the mesh by namespace and service account, and the names of those that are not in it.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_account: BTreeMap<(String, String), Vec<Member>>,
    strangers: BTreeSet<(String, String)>,
}

impl Members {
    /// Reads it off the objects as they are stored. Pods that have run to their end are nobody.
    ///
    /// # Errors
    /// An object is none of its kind.
    pub(super) fn of(namespaces: Vec<Value>, pods: Vec<Value>) -> Result<Self, Failure> {
        let mut by_name: BTreeMap<String, Arc<Namespace>> = BTreeMap::new();
        for value in namespaces {
            if let AnyObject::Namespace(namespace) = parsed(value, "Namespace")? {
                by_name.insert(namespace.name().to_owned(), namespace);
            }
        }
        let mut members = Self::default();
        for value in pods {
            let AnyObject::Pod(pod) = parsed(value, "Pod")? else {
                continue;
            };
            if matches!(
                pod.status.phase,
                Some(PodPhase::Succeeded | PodPhase::Failed)
            ) {
                continue;
            }
            let namespace = pod.namespace().to_owned();
            if is_member(Some(&pod), by_name.get(&namespace).map(AsRef::as_ref)) {
                let account = pod.spec.service_account_name().to_owned();
                let of_account = members.by_account.entry((namespace, account));
                of_account.or_default().push(member(&pod));
            } else {
                let name = pod.name().to_owned();
                members.strangers.insert((namespace, name));
            }
        }
        Ok(members)
    }
}

/// Objects of a list do not say what they are.
fn parsed(mut object: Value, kind: &str) -> Result<AnyObject, Failure> {
    object["apiVersion"] = json!("v1");
    object["kind"] = json!(kind);
    let name = cluster::name(&object);
    let parsed = AnyObject::parse(object);
    parsed.map_err(|error| Failure::errors(format!("{kind} {name} cannot be read: {error}")))
}

fn member(pod: &Pod) -> Member {
    let annotation = |name| pod.annotation(name).map(str::to_owned);
    Member {
        name: pod.name().to_owned(),
        node: pod.spec.node_name.clone().unwrap_or_default(),
        captured: annotation(CAPTURED).unwrap_or_else(|| "pending".to_owned()),
        reason: annotation(CAPTURED_REASON).unwrap_or_default(),
    }
}

/// The SPIFFE ID; without a trust domain its path.
fn id(domain: Option<&str>, namespace: &str, account: &str) -> String {
    let path = format!("/ns/{namespace}/sa/{account}");
    match domain {
        Some(domain) => format!("spiffe://{domain}{path}"),
        None => path,
    }
}

/// An identity and who has it.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    id: String,
    namespace: String,
    account: String,
    pods: Vec<Member>,
}

impl Identity {
    /// Its row of the table: identity, pods that are captured of all, nodes.
    pub(super) fn row(&self) -> [String; 3] {
        let captured = self.pods.iter().filter(|pod| pod.captured == "true");
        let nodes: BTreeSet<_> = self.pods.iter().map(|pod| pod.node.as_str()).collect();
        let nodes: Vec<_> = nodes.into_iter().filter(|node| !node.is_empty()).collect();
        [
            self.id.clone(),
            format!(
                "{} of {}",
                captured.count(),
                counted(self.pods.len(), "pod")
            ),
            nodes.join(", "),
        ]
    }
}

/// All identities; the JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identities {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_domain: Option<String>,
    pub(super) identities: Vec<Identity>,
}

impl Identities {
    /// Of members, in a trust domain if it is known.
    pub(super) fn of(members: Members, trust_domain: Option<String>) -> Self {
        let domain = trust_domain.as_deref();
        let identity = |((namespace, account), pods): ((String, String), Vec<Member>)| Identity {
            id: id(domain, &namespace, &account),
            namespace,
            account,
            pods,
        };
        Self {
            version: 1,
            identities: members.by_account.into_iter().map(identity).collect(),
            trust_domain,
        }
    }
}

/// A pod and who it is; the JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    version: u32,
    namespace: String,
    pod: Member,
    id: String,
    account: String,
    /// Other pods that are this.
    shared_with: Vec<String>,
    /// SHA-256 of the roots by which its peers verify it.
    roots: Vec<String>,
    rotation: Rotation,
}

impl Shown {
    /// A pod of these members.
    ///
    /// # Errors
    /// There is no such pod, or it has no identity because it is no member.
    pub(super) fn of(
        members: Members,
        (namespace, name): (&str, &str),
        authority: &Authority,
    ) -> Result<Self, Failure> {
        let domain = authority.trust_domain.as_deref();
        for ((of, account), mut pods) in members.by_account {
            let found = pods.iter().position(|pod| pod.name == name);
            if let (true, Some(index)) = (of == namespace, found) {
                return Ok(Self {
                    version: 1,
                    namespace: namespace.to_owned(),
                    pod: pods.remove(index),
                    id: id(domain, namespace, &account),
                    account,
                    shared_with: pods.into_iter().map(|pod| pod.name).collect(),
                    roots: authority
                        .roots
                        .iter()
                        .map(|it| it.fingerprint.clone())
                        .collect(),
                    rotation: authority.rotation.clone(),
                });
            }
        }
        let stranger = (namespace.to_owned(), name.to_owned());
        Err(Failure::errors(if members.strangers.contains(&stranger) {
            format!(
                "pod {namespace}/{name} has no identity: it is not in the mesh; `weft namespace \
                 enable {namespace}` takes its namespace in, and hostNetwork or its own label \
                 weft.dev/mesh keep a pod out"
            )
        } else {
            format!("there is no running pod {namespace}/{name}")
        }))
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let node = match self.pod.node.as_str() {
            "" => "none yet",
            node => node,
        };
        let mut captured = self.pod.captured.clone();
        if !self.pod.reason.is_empty() {
            let _written = write!(captured, " ({})", self.pod.reason);
        }
        let shared = match self.shared_with.as_slice() {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        format!(
            "pod          {}/{}\nidentity     {}\nnode         {node}\ncaptured     {captured}\n\
             shared with  {shared}\nverified by  {}\nrotation     {}\n",
            self.namespace,
            self.pod.name,
            self.id,
            self.roots.join("\n             "),
            self.rotation.words(),
        )
    }
}

#[cfg(test)]
mod tests;
