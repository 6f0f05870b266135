//! Network namespaces of pods that run already, found without their runtime.
//!
//! A namespace is a pod's only when two things agree: a process in the pod's cgroup, and an address of
//! the pod inside. Either alone has given pods the identity of others: cgroups name pods that are gone,
//! and addresses are given out again (istio #61211).

use std::{
    collections::BTreeSet,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    capture::route,
    netns::{Netns, NetnsError, NetnsId},
};

/// A namespace in which a process of a pod runs.
#[derive(Debug)]
pub struct Found {
    /// UID of the pod, as its cgroup has it.
    pub uid: String,
    /// The namespace, which is not the node's.
    pub netns: Netns,
}

/// Why a namespace is not a pod's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Its addresses cannot be asked for.
    #[error(transparent)]
    Namespace(#[from] NetnsError),
    /// The kernel does not say its addresses.
    #[error("addresses of the namespace of pod {uid}: {source}")]
    Addresses {
        /// Of the pod.
        uid: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// It has none of the pod's addresses.
    #[error(
        "a process of pod {uid} is in a namespace with {found:?}, but the pod has {expected:?}; \
         it is not captured there"
    )]
    Other {
        /// Of the pod.
        uid: String,
        /// What is there.
        found: Vec<IpAddr>,
        /// What the pod has.
        expected: Vec<IpAddr>,
    },
}

impl Found {
    /// The namespace, if it has one of these addresses of the pod.
    ///
    /// # Errors
    /// See [`ClaimError`].
    pub fn claim(self, pod: &[IpAddr]) -> Result<Netns, ClaimError> {
        let found = addresses(&self.netns)?;
        let found = found.map_err(|source| ClaimError::Addresses {
            uid: self.uid.clone(),
            source,
        })?;
        if found.iter().any(|address| pod.contains(address)) {
            return Ok(self.netns);
        }
        Err(ClaimError::Other {
            uid: self.uid,
            found,
            expected: pod.to_vec(),
        })
    }
}

/// The addresses of a namespace, without those of loopback and of one link only.
///
/// # Errors
/// [`NetnsError::Enter`], and inside what the kernel says.
pub fn addresses(netns: &Netns) -> Result<io::Result<Vec<IpAddr>>, NetnsError> {
    netns.within(route::addresses)
}

/// The namespaces of all pods with processes in `proc`, which is that of the node; `node` is the
/// namespace of the node itself, in which no pod is captured. Processes and pods come and go meanwhile;
/// one that cannot be read is not there.
///
/// # Errors
/// When `proc` itself cannot be read.
pub fn running(proc: &Path, node: NetnsId) -> io::Result<Vec<Found>> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for process in processes(proc)? {
        let cgroup = fs::read_to_string(process.join("cgroup"));
        let Some(uid) = cgroup.ok().as_deref().and_then(pod_of) else {
            continue;
        };
        let Ok(netns) = Netns::open(&process.join("ns/net")) else {
            continue;
        };
        if netns.id() != node && seen.insert((uid.clone(), netns.id())) {
            found.push(Found { uid, netns });
        }
    }
    Ok(found)
}

fn processes(proc: &Path) -> io::Result<Vec<PathBuf>> {
    let is_process = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|it| it.is_ascii_digit()))
    };
    let paths: io::Result<Vec<PathBuf>> =
        fs::read_dir(proc)?.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(is_process).collect())
}

/// The UID of the pod that a cgroup belongs to, from `/proc/PID/cgroup`. Directories are called
/// `podUID` by the cgroupfs driver, and by that of systemd `kubepods-QOS-podUID.slice` with underscores
/// for hyphens.
#[must_use]
pub fn pod_of(cgroup: &str) -> Option<String> {
    cgroup.split(['/', '\n']).find_map(|directory| {
        let name = directory.strip_suffix(".slice").unwrap_or(directory);
        let (before, uid) = name.rsplit_once("pod")?;
        let is_pod =
            before.is_empty() || (before.starts_with("kubepods-") && before.ends_with('-'));
        let uid = uid.replace('_', "-");
        let is_uid = uid.len() >= 32 && uid.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-');
        (is_pod && is_uid).then_some(uid)
    })
}

#[cfg(test)]
mod tests {
    use super::pod_of;

    const UID: &str = "0c5a1f6e-8d3b-4b0e-9a57-4a8f3e2d1c0b";

    #[test]
    fn cgroups_name_their_pods() {
        let under = UID.replace('-', "_");
        for (row, cgroup, is_pod) in [
            (
                "cgroupfs",
                format!("0::/kubepods/besteffort/pod{UID}/abc"),
                true,
            ),
            ("guaranteed", format!("0::/kubepods/pod{UID}/abc"), true),
            (
                "version 1",
                format!("11:cpu:/x\n4:memory:/kubepods/burstable/pod{UID}/abc\n"),
                true,
            ),
            (
                "systemd",
                format!(
                    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/cri-containerd-abc.scope"
                ),
                true,
            ),
            (
                "systemd, guaranteed",
                format!("0::/kubepods.slice/kubepods-pod{under}.slice/x"),
                true,
            ),
            (
                "nested",
                format!("0::/kubelet.slice/kubelet-kubepods.slice/kubepods-pod{under}.slice/x"),
                true,
            ),
            (
                "a service",
                "0::/system.slice/podman.service".to_owned(),
                false,
            ),
            (
                "somebody's name",
                format!("0::/system.slice/tripod{UID}"),
                false,
            ),
            ("no UID", "0::/kubepods/pod-of-mine/x".to_owned(), false),
            ("nothing", String::new(), false),
        ] {
            assert_eq!(
                pod_of(&cgroup),
                is_pod.then(|| UID.to_owned()),
                "{row}: {cgroup}"
            );
        }
    }
}
