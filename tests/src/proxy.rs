//! `weft-proxy gateway` as a pod runs it: a process of its own, with a token, roots and a directory.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    binary,
    control_plane::{ControlPlane, TOKEN},
    rawclient::RawClient,
    wait::{Expected, PATIENCE, eventually},
};

/// The address its pod is said to have.
pub const POD_IP: [u8; 4] = [10, 1, 0, 9];

/// A proxy for the Gateway `infra/edge`. Dropping it kills it.
pub struct Proxy {
    child: Child,
    admin: SocketAddr,
    directory: TempDir,
    arguments: Vec<String>,
    /// The authorities of its platform; those of this machine if there is none.
    platform: Option<PathBuf>,
}

impl Proxy {
    /// Starts a proxy of that control plane.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(control_plane: &ControlPlane) -> Self {
        Self::start_as(control_plane, None, 1)
    }

    /// Starts a proxy of that control plane whose platform has the authorities of this file.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_on(control_plane: &ControlPlane, platform: Option<PathBuf>) -> Self {
        Self::start_as(control_plane, platform, 1)
    }

    /// Starts a proxy of that control plane that serves for so many seconds after it was asked to end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_lingering(control_plane: &ControlPlane, seconds: u32) -> Self {
        Self::start_as(control_plane, None, seconds)
    }

    fn start_as(control_plane: &ControlPlane, platform: Option<PathBuf>, linger: u32) -> Self {
        let directory = tempfile::tempdir().expected("a temporary directory");
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).expected("a file");
            path.display().to_string()
        };
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let arguments = [
            ("name", "edge".to_owned()),
            ("namespace", "infra".to_owned()),
            ("service-account", "edge".to_owned()),
            ("pod-ips", Ipv4Addr::from(POD_IP).to_string()),
            ("control-plane", "127.0.0.1".to_owned()),
            ("config-port", control_plane.config.port().to_string()),
            ("identity-port", control_plane.signing.port().to_string()),
            ("root-file", file("root.pem", &control_plane.root_pem())),
            ("token-file", file("token", TOKEN)),
            (
                "state-dir",
                directory.path().join("state").display().to_string(),
            ),
            ("admin", admin.to_string()),
            ("drain-delay", linger.to_string()),
            ("drain-limit", "10".to_owned()),
            ("threads", "1".to_owned()),
            ("access-log", "off".to_owned()),
        ];
        let arguments = arguments.map(|(name, value)| format!("--{name}={value}"));
        let arguments = Vec::from(arguments);
        Self {
            child: spawn(&arguments, platform.as_ref()),
            admin,
            directory,
            arguments,
            platform,
        }
    }

    /// Kills the parent, and starts another one in its place.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn restart(&mut self) {
        self.child.kill().expected("the parent is killed");
        self.child.wait().expected("the parent ends");
        self.child = spawn(&self.arguments, self.platform.as_ref());
    }

    /// The file of the saved configuration.
    #[must_use]
    pub fn saved(&self) -> PathBuf {
        self.directory.path().join("state/configuration.weft")
    }

    /// Status and text of a page of the admin endpoint; `None` while nobody answers.
    pub async fn page(&self, path: &str) -> Option<(u16, String)> {
        let tcp = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let mut client = RawClient::over(tcp);
        let lines = format!("GET {path} HTTP/1.1\nhost: localhost\nconnection: close");
        let answer = client.ask(&lines).await;
        Some((answer.status, answer.text()))
    }

    /// Waits until the proxy says it is ready.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ready(&self) {
        self.page_says("/readyz", 200, "ok").await;
    }

    /// Waits until a page has that status and those words.
    ///
    /// # Panics
    /// When it has not in time; the message is what it has.
    pub async fn page_says(&self, path: &str, status: u16, words: &str) {
        let mut last = None;
        let waiting = async {
            loop {
                last = self.page(path).await;
                let says = |(found, text): &(u16, String)| *found == status && text.contains(words);
                if last.as_ref().is_some_and(says) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            said.is_ok(),
            "{path} does not say {status} `{words}`: {last:?}"
        );
    }

    /// The worker's process.
    #[must_use]
    pub fn worker(&self) -> Option<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).ok()?;
        let first = children.split_whitespace().next()?.parse().ok()?;
        Pid::from_raw(first)
    }

    /// Kills the worker at once, and waits until another one runs.
    ///
    /// # Panics
    /// When there is none.
    pub async fn kill_worker(&self) {
        let worker = self.worker().expect("a worker runs");
        kill_process(worker, Signal::KILL).expected("the worker is killed");
        let is_another = || self.worker().is_some_and(|other| other != worker);
        eventually(PATIENCE, "another worker runs", is_another).await;
    }

    /// Stops the worker without ending it, as a defect that hangs would.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn freeze_worker(&self) -> Pid {
        let worker = self.worker().expect("a worker runs");
        kill_process(worker, Signal::STOP).expected("the worker is stopped");
        worker
    }

    /// Asks the proxy to end, as the kubelet does.
    ///
    /// # Panics
    /// When there is none.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a process has a number");
        kill_process(pid, Signal::TERM).expected("the proxy is asked to end");
    }

    /// How it ended.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let has_ended = || {
            status = self.child.try_wait().expected("its status");
            status.is_some()
        };
        eventually(PATIENCE, "the proxy ends", has_ended).await;
        status.expect("it has ended")
    }

    /// Resident memory of parent and worker, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> (u64, u64) {
        let worker = self.worker().map_or(0, |pid| pid.as_raw_nonzero().get());
        (resident_kib(&self.child.id()), resident_kib(&worker))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

fn resident_kib(process: &impl std::fmt::Display) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

/// A port that is free for everybody now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expected("a free port");
    listener.local_addr().expected("its address").port()
}

fn spawn(arguments: &[String], platform: Option<&PathBuf>) -> Child {
    let mut command = Command::new(binary::directory().join("weft-proxy"));
    if let Some(file) = platform {
        command
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR");
    }
    command
        .arg("gateway")
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .expected("`weft-proxy` starts")
}
