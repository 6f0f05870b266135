//! Which pod a runtime speaks of, and whether the mesh has a say in it.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt,
    path::Path,
};

use weft_intercept::handoff::Namespaces;

use crate::{config::Config, fault::Fault};

/// A pod of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Pod {
    /// The pod of `CNI_ARGS`, which are `KEY=VALUE` with semicolons between; none for a container that
    /// is not of Kubernetes.
    ///
    /// # Errors
    /// [`Fault::Environment`] when something else than pairs is there, or a pod without all its names.
    pub(crate) fn of(arguments: &str) -> Result<Option<Self>, Fault> {
        let wrong = |problem: String| Fault::Environment {
            name: "CNI_ARGS",
            problem,
        };
        let mut pod = [None; 3];
        for pair in arguments.split(';').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong(format!("has `{pair}`, which is not KEY=VALUE")))?;
            match key {
                "K8S_POD_NAMESPACE" => pod[0] = Some(value),
                "K8S_POD_NAME" => pod[1] = Some(value),
                "K8S_POD_UID" => pod[2] = Some(value),
                _ => {}
            }
        }
        match pod {
            [None, None, None] => Ok(None),
            [Some(namespace), Some(name), Some(uid)] => Ok(Some(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
            })),
            _ => Err(wrong(
                "names a pod without one of K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID; \
                 the runtime is too old"
                    .to_owned(),
            )),
        }
    }

    /// The pod as people name it.
    pub(crate) fn shown(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether the pod must not start without the mesh, as far as this node knows, or why it does not. When
    /// it does not know, it must not: a pod that waits is seen, one that speaks in the clear is not.
    pub(crate) fn is_meshed(&self, config: &Config) -> Result<bool, String> {
        let known = meshed(&config.namespaces)?;
        Ok(known.namespaces.contains(&self.namespace))
    }

    /// Says in the log of the runtime, which is where standard error goes, why it is not known.
    pub(crate) fn log(&self, unknown: &str) {
        let pod = self.shown();
        // Who does not read it loses nothing else.
        let _unread = writeln!(
            io::stderr(),
            "weft-cni: pod {pod} waits for the supervisor of the node, because nobody else knows which \
             namespaces are of the mesh: {unknown}"
        );
    }
}

/// The namespaces of the mesh, as the supervisor has left them on the disk, or why they are not known.
fn meshed(path: &Path) -> Result<Namespaces, String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{shown} is not understood: {error}"))
}

/// Whether a network namespace is that of the node, in which a plugin runs.
///
/// # Errors
/// [`Fault::Io`] when there is none.
pub(crate) fn is_host(netns: &Path) -> Result<bool, Fault> {
    let id = |path: &Path| {
        let found = fs::metadata(path).map(|status| (status.dev(), status.ino()));
        found.map_err(|error| Fault::Io(format!("network namespace {}: {error}", path.display())))
    };
    Ok(id(netns)? == id(Path::new("/proc/self/ns/net"))?)
}
