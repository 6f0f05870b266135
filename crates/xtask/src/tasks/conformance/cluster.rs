//! The cluster under the suite: the bed of this machine, or the one that KUBECONFIG names.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::succeed;
use crate::tasks::cluster as bed;
use crate::tasks::cluster::builds;
use crate::tasks::kinds::{self, Channel};

/// What the suite makes and removes.
const NAMESPACES: &[&str] = &[
    "gateway-conformance-app-backend",
    "gateway-conformance-infra",
    "gateway-conformance-mesh",
    "gateway-conformance-mesh-consumer",
    "gateway-conformance-web-backend",
];

/// The suite waits for pods in two namespaces that only manifests of gateways make.
const BACKENDS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: gateway-conformance-app-backend}
---
apiVersion: v1
kind: Namespace
metadata: {name: gateway-conformance-web-backend}
---
apiVersion: v1
kind: Pod
metadata: {name: somebody, namespace: gateway-conformance-app-backend}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: echo
    image: registry.k8s.io/gateway-api/echo-advanced:v1.5.1
    imagePullPolicy: IfNotPresent
    args: [--port=8080]
---
apiVersion: v1
kind: Pod
metadata: {name: somebody, namespace: gateway-conformance-web-backend}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: echo
    image: registry.k8s.io/gateway-api/echo-advanced:v1.5.1
    imagePullPolicy: IfNotPresent
    args: [--port=8080]
";

/// Version of those that are vendored.
const BUNDLE: &str = "v1.6.1";

/// Addresses for the test of static addresses: one of the bed's load balancer, and one of the
/// networks that are for documentation (RFC 5737).
const ADDRESSES: [&str; 2] = [
    "-usable-address=10.89.1.200",
    "-unusable-address=192.0.2.250",
];

/// How long one look for namespaces that are to go takes, and how many there are: pods of Gateways may
/// drain for minutes.
const LOOK: &str = "--timeout=20s";
const LOOKS: u32 = 20;

/// Where the suite runs.
pub(super) enum Cluster {
    Bed,
    Users(OsString),
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bed => f.write_str("the bed of this machine"),
            Self::Users(path) => write!(f, "the cluster of KUBECONFIG={}", path.display()),
        }
    }
}

impl Cluster {
    /// The cluster of KUBECONFIG where that is set, otherwise the bed, which must be up.
    pub(super) fn find() -> Result<Self> {
        match std::env::var_os("KUBECONFIG") {
            Some(path) if path != bed::KUBECONFIG && !path.is_empty() => Ok(Self::Users(path)),
            _ if bed::is_up()? => Ok(Self::Bed),
            _ => bail!("no cluster: run `cargo x cluster up`, or set KUBECONFIG to one you have"),
        }
    }

    /// The environment of programs that talk to it.
    pub(super) fn env(&self) -> [(&'static str, OsString); 1] {
        let path = match self {
            Self::Bed => bed::KUBECONFIG.into(),
            Self::Users(path) => path.clone(),
        };
        [("KUBECONFIG", path)]
    }

    /// Flags of the suite that depend on the cluster.
    pub(super) fn flags(&self) -> &'static [&'static str] {
        match self {
            Self::Bed => &ADDRESSES,
            Self::Users(_) => &[],
        }
    }

    /// Brings the kinds of `channel`, and on the bed the images of the suite, which it could not
    /// pull.
    pub(super) fn prepare(&self, channel: Channel) -> Result<()> {
        match self {
            Self::Bed => {
                let images = builds::ensure(&["echo-basic", "echo-advanced"])?;
                bed::load(&Vec::from_iter(images.images().cloned()))?;
                kinds::remove_beyond(channel, || self.kubectl())?;
                kinds::apply(channel, || self.kubectl())
            }
            Self::Users(_) => kinds::require(channel, || self.kubectl()),
        }
    }

    /// Waits until the class states the features of `channel`; those of the other one would be tested.
    pub(super) fn wait_for_class(&self, class: &str, channel: Channel) -> Result<()> {
        let told = format!(
            "the CRDs have bundle version {BUNDLE} of the {} channel",
            channel.name()
        );
        let condition = r#"{.status.conditions[?(@.type=="SupportedVersion")].message}"#;
        let mut wait = self.kubectl()?;
        wait.args(["wait", "--timeout=90s", &format!("gatewayclass/{class}")]);
        wait.arg(format!("--for=jsonpath={condition}={told}"));
        succeed(&mut wait).context(
            "the GatewayClass does not say that it knows these CRDs; `cargo x cluster install` \
             installs Weft on the bed",
        )?;
        Ok(())
    }

    /// Makes what tests of a mesh wait for.
    pub(super) fn prepare_mesh(&self) -> Result<()> {
        self.pipe(BACKENDS, &["apply", "--server-side", "-f", "-"])
            .context("the namespaces the suite waits for could not be made")
    }

    /// Removes it again.
    pub(super) fn clear_mesh(&self) -> Result<()> {
        let delete = ["delete", "--ignore-not-found", "--wait=false", "-f", "-"];
        self.pipe(BACKENDS, &delete)
            .context("the namespaces the suite waited for could not be removed")
    }

    fn pipe(&self, manifest: &str, args: &[&str]) -> Result<()> {
        let mut child = self
            .kubectl()?
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(manifest.as_bytes())?;
        }
        if child.wait()?.success() {
            return Ok(());
        }
        bail!("kubectl {} failed; the reason stands above", args[0])
    }

    /// Waits until nothing is left of an earlier run; the suite would find its namespaces still going.
    pub(super) fn wait_for_the_last_run(&self) -> Result<()> {
        let namespaces: Vec<String> = NAMESPACES
            .iter()
            .map(|name| format!("namespace/{name}"))
            .collect();
        for look in 1..LOOKS {
            if self.are_gone(&namespaces).is_ok() {
                return Ok(());
            }
            // Kubernetes looks at a namespace whose pods were still ending only when half of their grace
            // period is over, which is minutes for pods of Gateways, or when the namespace changes.
            for namespace in &namespaces {
                let mut touch = self.kubectl()?;
                touch.args(["annotate", "--overwrite", namespace]);
                touch.arg(format!("weft.dev/conformance-waits={look}"));
                // One that is gone by now cannot be touched, and need not be.
                let _touched = touch.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            }
        }
        self.are_gone(&namespaces)
            .context("namespaces of an earlier run are still there; delete them")
    }

    fn are_gone(&self, namespaces: &[String]) -> Result<()> {
        let mut wait = self.kubectl()?;
        wait.args(["wait", "--for=delete", LOOK]).args(namespaces);
        succeed(&mut wait).map(drop)
    }

    fn kubectl(&self) -> Result<Command> {
        let mut command = match self {
            Self::Bed => {
                let mut command = bed::command()?;
                command.arg("kubectl");
                command
            }
            Self::Users(_) => Command::new("kubectl"),
        };
        command.envs(self.env());
        Ok(command)
    }
}
