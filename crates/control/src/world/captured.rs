//! What the annotations of pods say about their capture, by what the proxies of their nodes say.

use std::sync::Arc;

use weft_api::{
    AnyObject, Kind, Object, ObjectRef, Pod,
    workload::{CAPTURED, CAPTURED_ADDRESSES, CAPTURED_REASON},
};
use weft_store::Store;
use weft_wire::proto::config::Capture;

use super::World;
use crate::hub::{PodOfNode, Word, whose};

/// Whether a pod is known as it is, but for its version: of most changes of a pod, which its kubelet
/// makes, nothing is kept that anybody reads.
pub(super) fn is_known(store: &Store, pod: &Pod) -> bool {
    store.pods().at(&pod.key()).is_some_and(|known| {
        let mut metadata = known.metadata.clone();
        let version = &pod.metadata.resource_version;
        metadata.resource_version.clone_from(version);
        metadata == pod.metadata && known.spec == pod.spec && known.status == pod.status
    })
}

impl World {
    /// The pods among these objects, by node and UID.
    pub(crate) fn pods_among(&self, objects: &[ObjectRef]) -> Vec<PodOfNode> {
        let pods = objects.iter().filter(|it| it.kind == Kind::Pod);
        let pods = pods.filter_map(|it| self.store.pods().at(&it.key));
        let placed = pods.filter_map(|pod| {
            let node = pod.spec.node_name.as_deref()?;
            Some((whose::node(node), pod.metadata.uid.as_deref()?.to_owned()))
        });
        placed.collect()
    }

    /// The pod, as it was seen and as its annotations should be; `None` if they are as they should be,
    /// and of a pod that is not on that node.
    pub(crate) fn captured(&self, pod: &PodOfNode, word: &Word) -> Option<(AnyObject, AnyObject)> {
        let seen = self.pod_of(pod)?;
        let wanted = annotated(seen, word)?;
        Some((Arc::clone(seen).into(), wanted.into()))
    }

    /// The pod, as it was seen, if it is on that node.
    pub(crate) fn pod_of(&self, (node, uid): &PodOfNode) -> Option<&Arc<Pod>> {
        let pods = self.output.workloads.get(&node.name)?;
        let workload = pods.values().find(|pod| *pod.uid == **uid)?;
        let (namespace, name) = (&*workload.name.namespace, &*workload.name.name);
        self.store.pods().get(namespace, name)
    }
}

/// The addresses of a pod that its kubelet has not told yet. Its peers have to know them before anybody can
/// dial them; those of any other pod need no write.
fn found(seen: &Pod, word: &Word) -> Option<String> {
    if word.captured != Capture::Done || seen.status.addresses().next().is_some() {
        return None;
    }
    let addresses: Vec<_> = word.addresses.iter().map(ToString::to_string).collect();
    (!addresses.is_empty()).then(|| addresses.join(","))
}

/// The pod with other annotations, if they have to be others.
fn annotated(seen: &Pod, word: &Word) -> Option<Pod> {
    let reason = Some(&*word.reason).filter(|reason| !reason.is_empty());
    let (captured, reason) = match word.captured {
        Capture::Done => (Some("true"), None),
        // What has only begun changes nothing: most pods are captured a moment later, and a proxy that
        // starts anew finds most of them as they were. Peers would turn away from all of these at once,
        // and back.
        Capture::Pending if reason.is_none() => return None,
        Capture::Pending => (Some("pending"), reason),
        Capture::Failed => (Some("error"), reason),
        Capture::Ended => (None, None),
        Capture::Unspecified => return None,
    };
    let mut wanted = seen.clone();
    let annotations = &mut wanted.metadata.annotations;
    for (key, value) in [(CAPTURED, captured), (CAPTURED_REASON, reason)] {
        match value {
            Some(value) => annotations.insert(key, value),
            None => annotations.remove(key),
        };
    }
    if captured.is_none() {
        annotations.remove(CAPTURED_ADDRESSES);
    } else if let Some(addresses) = found(seen, word) {
        annotations.insert(CAPTURED_ADDRESSES, addresses);
    }
    (wanted.metadata.annotations != seen.metadata.annotations).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, what stands there, what the node says, and what is to stand there; `=` for what does.
    type Row = (
        &'static str,
        [&'static str; 2],
        (Capture, &'static str),
        &'static str,
    );

    const ROWS: &[Row] = &[
        ("it has begun", ["", ""], (Capture::Pending, ""), "="),
        (
            "it takes longer",
            ["", ""],
            (Capture::Pending, "no worker"),
            "pending no worker",
        ),
        ("captured", ["", ""], (Capture::Done, ""), "true"),
        (
            "captured at last",
            ["error", "no nft"],
            (Capture::Done, ""),
            "true",
        ),
        ("captured still", ["true", ""], (Capture::Done, ""), "="),
        ("begun anew", ["true", ""], (Capture::Pending, ""), "="),
        (
            "lost",
            ["true", ""],
            (Capture::Pending, "no worker"),
            "pending no worker",
        ),
        (
            "it cannot be",
            ["pending", ""],
            (Capture::Failed, "no nft"),
            "error no nft",
        ),
        (
            "for another reason",
            ["error", "no nft"],
            (Capture::Failed, "x"),
            "error x",
        ),
        ("let go", ["true", ""], (Capture::Ended, ""), ""),
        ("never had it", ["", ""], (Capture::Ended, ""), "="),
        (
            "a newer proxy says more",
            ["true", ""],
            (Capture::Unspecified, ""),
            "=",
        ),
    ];

    #[test]
    fn a_pod_that_differs_in_its_version_alone_is_known() {
        let pod = |version: &str, uid: &str, node: &str| {
            let mut pod = Pod::default();
            pod.metadata.name = Some("web".into());
            pod.metadata.namespace = Some("shop".into());
            pod.metadata.uid = Some(uid.into());
            pod.metadata.resource_version = Some(version.into());
            pod.spec.node_name = Some(node.into());
            pod
        };
        let mut store = Store::default();
        assert!(!is_known(&store, &pod("1", "u", "n")), "nothing is known");
        store.apply(pod("1", "u", "n").into());
        assert!(is_known(&store, &pod("2", "u", "n")));
        assert!(!is_known(&store, &pod("2", "u2", "n")), "another pod");
        assert!(!is_known(&store, &pod("2", "u", "n2")), "another node");
    }

    /// Name, what stands there, the address its kubelet has told, what the node says, and the addresses that
    /// are to stand there.
    const ADDRESSED: &[(&str, &str, &str, Capture, &str)] = &[
        ("it starts", "", "", Capture::Done, "10.1.0.1,fd00::1"),
        ("its kubelet was first", "", "10.1.0.1", Capture::Done, ""),
        (
            "its kubelet follows",
            "10.1.0.1",
            "10.1.0.1",
            Capture::Done,
            "10.1.0.1",
        ),
        (
            "a later network",
            "10.1.0.9",
            "",
            Capture::Done,
            "10.1.0.1,fd00::1",
        ),
        ("not captured yet", "", "", Capture::Failed, ""),
        ("let go", "10.1.0.1", "10.1.0.1", Capture::Ended, ""),
    ];

    #[test]
    fn addresses_stand_there_before_the_kubelet_tells_them() {
        for (name, before, told, captured, expected) in ADDRESSED {
            let mut pod = Pod::default();
            pod.status.pod_ip = Some((*told).to_owned()).filter(|it| !it.is_empty());
            if !before.is_empty() {
                pod.metadata.annotations.insert(CAPTURED, "true");
                pod.metadata.annotations.insert(CAPTURED_ADDRESSES, *before);
            }
            let addresses = ["10.1.0.1", "fd00::1"].map(|it| it.parse().expect("an address"));
            let word = Word {
                captured: *captured,
                addresses: addresses.into(),
                ..Word::default()
            };
            let wanted = annotated(&pod, &word).unwrap_or(pod);
            let stands = wanted.annotation(CAPTURED_ADDRESSES).unwrap_or_default();
            assert_eq!(stands, *expected, "{name}");
        }
    }

    #[test]
    fn annotations_say_what_the_node_says() {
        for (name, before, (captured, reason), expected) in ROWS {
            let mut pod = Pod::default();
            for (key, value) in [CAPTURED, CAPTURED_REASON].into_iter().zip(before) {
                if !value.is_empty() {
                    pod.metadata.annotations.insert(key, *value);
                }
            }
            pod.metadata
                .annotations
                .insert("weft.dev/opaque-ports", "1");
            let word = Word {
                captured: *captured,
                reason: (*reason).to_owned(),
                ..Word::default()
            };
            let text = match annotated(&pod, &word) {
                None => "=".to_owned(),
                Some(wanted) => {
                    let value = |key| wanted.annotation(key).unwrap_or_default().to_owned();
                    let both = format!("{} {}", value(CAPTURED), value(CAPTURED_REASON));
                    assert_eq!(
                        wanted.annotation("weft.dev/opaque-ports"),
                        Some("1"),
                        "{name}"
                    );
                    both.trim().to_owned()
                }
            };
            assert_eq!(text, *expected, "{name}");
        }
    }
}
