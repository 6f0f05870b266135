//! A `weft run` of its own: started, listened to, ended.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use serde_json::Value;
use weft_tests::wait::{PATIENCE, eventually};

use super::super::program::weft;

/// A running `weft`. Dropping it ends it at once.
pub(super) struct Weft {
    child: Child,
    state: PathBuf,
    said: Arc<Mutex<Vec<String>>>,
    listening: Option<JoinHandle<()>>,
}

impl Weft {
    /// Serves a directory; returns when everything in it serves.
    pub(super) async fn start(home: &Path, directory: &Path) -> Self {
        let state = home.join("state");
        let mut child = Command::new(weft())
            .args(["run", "--color", "never", "--access-log", "off"])
            .args(["--admin", "127.0.0.1:0", "--workers", "1", "-f"])
            .arg(directory)
            .arg("--state-dir")
            .arg(&state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("weft runs");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let listening = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().expect("nobody panics with it").push(line);
            }
        });
        let weft = Self {
            child,
            state,
            said,
            listening: Some(listening),
        };
        let path = weft.state.join("state.yaml");
        let has_admin = || weft.has_said(ADMIN) && path.exists();
        eventually(PATIENCE, "weft serves", has_admin).await;
        weft
    }

    /// Whether a line of standard error has these words.
    pub(super) fn has_said(&self, words: &str) -> bool {
        let said = self.said.lock().expect("nobody panics with it");
        said.iter().any(|line| line.contains(words))
    }

    /// Address of the admin endpoint.
    pub(super) fn admin(&self) -> SocketAddr {
        let said = self.said.lock().expect("nobody panics with it");
        let mut addresses = said.iter().filter_map(|line| line.strip_prefix(ADMIN));
        let address = addresses.next().expect("it was said");
        address.parse().expect("an address")
    }

    /// Where a port of a Gateway is listened on.
    pub(super) fn gateway(&self, name: &str, port: u16) -> SocketAddr {
        let text = fs::read_to_string(self.state.join("state.yaml")).expect("the state");
        let state: Value = serde_saphyr::from_str(&text).expect("the state is YAML");
        let gateway = &state["gateways"][name];
        let address = gateway["address"].as_str().expect("an address");
        let port = &gateway["ports"][port.to_string()];
        format!("{address}:{port}").parse().expect("an address")
    }

    /// The file of a status, `Kind/namespace/name.yaml`.
    pub(super) fn status_file(&self, name: &str) -> PathBuf {
        self.state.join("status").join(name)
    }

    /// Asks it to end, and sees that it does well.
    pub(super) fn end(mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.expect("kill runs").success(), "no signal was sent");
        let status = self.child.wait().expect("it ends");
        if let Some(listening) = self.listening.take() {
            listening.join().expect("it listened to the end");
        }
        let said = self.said.lock().expect("nobody panics with it");
        assert!(status.success(), "weft ended with {status}: {said:#?}");
        let panics = said.iter().filter(|line| line.contains("panicked"));
        assert_eq!(panics.count(), 0, "{said:#?}");
    }
}

impl Drop for Weft {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the line begins that names the admin endpoint.
const ADMIN: &str = "admin endpoint at http://";
