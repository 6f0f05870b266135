//! `weft-proxy node` as the pod of a DaemonSet runs it, with a scripted control plane.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::Node;
use crate::{
    binary,
    control_plane::{ControlPlane, TOKEN},
    proxy::free_port,
    rawclient::RawClient,
    wait::{Expected, PATIENCE, eventually},
};

/// How long connections may go on when it is asked to end.
pub const DRAIN: Duration = Duration::from_secs(5);

/// A process of Weft on a node, which is `n1`. Dropping it kills it.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    admin: SocketAddr,
}

impl Agent {
    /// Starts one, beside another or after it; `instance` tells it from these.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(node: &Node, control_plane: &ControlPlane, instance: &str) -> Self {
        Self::start_as("node", (node, control_plane), instance)
    }

    /// The same, of which only the first process must not die.
    ///
    /// # Panics
    /// As [`Agent::start`].
    #[must_use]
    pub fn start_lasting(node: &Node, control_plane: &ControlPlane, instance: &str) -> Self {
        Self::start_as("init", (node, control_plane), instance)
    }

    fn start_as(role: &str, (node, control_plane): (&Node, &ControlPlane), instance: &str) -> Self {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::write(node.path("root.pem"), control_plane.root_pem()).expected("a file");
        fs::write(node.path("token"), TOKEN).expected("a file");
        let path = |name: &str| node.path(name).display().to_string();
        let arguments = [
            ("name", "n1".to_owned()),
            ("instance", instance.to_owned()),
            ("service-account", "weft-node".to_owned()),
            ("control-plane", "127.0.0.1".to_owned()),
            ("config-port", control_plane.config.port().to_string()),
            ("identity-port", control_plane.signing.port().to_string()),
            ("root-file", path("root.pem")),
            ("token-file", path("token")),
            ("state-dir", path("state")),
            ("cni-socket", path("run/cni.sock")),
            ("namespaces-file", path("cni/namespaces.json")),
            ("proc", path("proc")),
            ("host-process", "1".to_owned()),
            ("admin", admin.to_string()),
            ("drain-limit", DRAIN.as_secs().to_string()),
            ("log-format", "text".to_owned()),
        ];
        let arguments = arguments.map(|(name, value)| format!("--{name}={value}"));
        let child = Command::new(binary::directory().join("weft-proxy"))
            .arg(role)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expected("`weft-proxy` starts");
        Self { child, admin }
    }

    /// Its number.
    ///
    /// # Panics
    /// Never: a process has one.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let number = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        number.expect("a process has a number")
    }

    async fn page(&self, path: &str) -> Option<(u16, String)> {
        let tcp = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let mut client = RawClient::over(tcp);
        let lines = format!("GET {path} HTTP/1.1\nhost: localhost\nconnection: close");
        let answer = client.ask(&lines).await;
        Some((answer.status, answer.text()))
    }

    /// Waits until a page of its admin port says these words with that status.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn says(&self, path: &str, status: u16, words: &str) {
        let mut last = None;
        let waiting = async {
            loop {
                last = self.page(path).await;
                let says = |(found, text): &(u16, String)| *found == status && text.contains(words);
                if last.as_ref().is_some_and(says) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            said.is_ok(),
            "{path} does not say {status} `{words}`: {last:?}"
        );
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not in time, or not well.
    pub async fn ends(&mut self) {
        self.is_to_end();
        self.has_ended().await;
    }

    /// Asks it to end.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn is_to_end(&self) {
        kill_process(self.pid(), Signal::TERM).expected("it is asked to end");
    }

    /// Waits until it has ended as it was asked to.
    ///
    /// # Panics
    /// When it does not in time, or not well.
    pub async fn has_ended(&mut self) {
        let has_ended = || self.child.try_wait().expected("its status").is_some();
        eventually(PATIENCE, "the process ends", has_ended).await;
        let status = self.child.wait().expected("its status");
        assert!(status.success(), "it was asked to end: {status}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}
