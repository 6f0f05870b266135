//! Network namespaces of this kernel as nodes and pods, with what processes of Weft find on a node.
//!
//! A [`Node`] is a bridge in a namespace of its own, and a directory with its processes and sockets. A
//! [`Pod`] is a namespace on that bridge, reached by its addresses and by nothing else. Both go with
//! the value.

mod agent;
mod node;

use std::{
    io::{self, Write},
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use weft_intercept::Netns;

pub use self::{
    agent::{Agent, DRAIN},
    node::{Node, Pod},
};
use crate::wait::Expected;

/// What never takes long; waiting for it only ends a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two looks at something of which nobody tells.
const LOOK: Duration = Duration::from_millis(10);

/// Whether network namespaces can be made. Without root the tests say so and do nothing, but for a CI
/// machine, which has to be able to.
///
/// # Panics
/// On a CI machine (`CI=true`) without root.
#[must_use]
pub fn can_make_namespaces() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        is_root || !is_ci,
        "CI=true allows no skips: run this test as root"
    );
    if !is_root {
        let line = "skipped: network namespaces are made by root; run `sudo -E cargo test`\n";
        // Without a place to say it, nobody asks.
        let _written = io::stderr().write_all(line.as_bytes());
    }
    is_root
}

/// Where others find a namespace, as long as this process has it.
#[must_use]
pub fn path_of(netns: &Netns) -> PathBuf {
    let descriptor = netns.as_fd().as_raw_fd();
    format!("/proc/{}/fd/{descriptor}", std::process::id()).into()
}

/// Does something inside a namespace.
///
/// # Panics
/// When it cannot be entered.
pub fn within<T: Send>(netns: &Netns, work: impl FnOnce() -> T + Send) -> T {
    netns.within(work).expected("entering a namespace")
}

/// Gives `ip` these commands in a namespace, in one process.
///
/// # Panics
/// When one of them fails.
pub fn ip(netns: &Netns, commands: &[String]) {
    let run = || {
        let mut child = Command::new("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(commands.join("\n").as_bytes())?;
        drop(input);
        child.wait_with_output()
    };
    let output: io::Result<_> = within(netns, run);
    let output = output.expected("`ip` of iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip, {commands:#?}: {errors}");
}

/// Whether something of which nobody tells becomes so within [`PATIENCE`].
#[must_use]
pub fn becomes(mut is_so: impl FnMut() -> bool) -> bool {
    let looks = PATIENCE.as_millis() / LOOK.as_millis();
    (0..looks).any(|_| {
        let holds = is_so();
        if !holds {
            thread::sleep(LOOK);
        }
        holds
    })
}
