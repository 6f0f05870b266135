//! Two network namespaces on a cable: in one is the application that calls, in the other the one that
//! answers.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns` keeps namespaces by name.
const NAMED: &str = "/run/netns";

/// A network namespace; dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: &'static str,
    /// Its address on the cable.
    pub(crate) address: IpAddr,
}

/// Two of them.
#[derive(Debug)]
pub(crate) struct Cable {
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
}

impl Cable {
    /// Makes both, connects them, and lets each be the other's way to everything else.
    ///
    /// # Errors
    /// When this process may not, or without iproute2.
    pub(crate) fn lay() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("network namespaces are made by root: run it with `sudo -E`");
        }
        let cable = Self {
            client: Namespace::make("weft-bench-client", 2)?,
            server: Namespace::make("weft-bench-server", 3)?,
        };
        let (client, server) = (&cable.client, &cable.server);
        let (from, to) = (client.name, server.name);
        ip(&format!(
            "link add eth0 netns {from} type veth peer name eth0 netns {to}"
        ))?;
        for (this, other) in [(client, server), (server, client)] {
            let inside = |command: &str| ip(&format!("-n {} {command}", this.name));
            inside("link set lo up")?;
            inside("link set eth0 up")?;
            inside(&format!("addr add {}/24 dev eth0", this.address))?;
            inside(&format!("route add default via {}", other.address))?;
        }
        Ok(cable)
    }
}

impl Namespace {
    fn make(name: &'static str, number: u8) -> Result<Self> {
        // One that an interrupted run has left.
        if Path::new(NAMED).join(name).exists() {
            ip(&format!("netns del {name}"))?;
        }
        ip(&format!("netns add {name}"))?;
        let address = Ipv4Addr::new(10, 77, 0, number).into();
        Ok(Self { name, address })
    }

    /// What others know it by.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(NAMED).join(self.name)
    }

    /// `argv` as a command that runs inside, as the process that was started.
    ///
    /// `ip netns exec` would hide the control groups from it.
    pub(crate) fn command(&self, argv: Vec<String>) -> Vec<String> {
        let enter = format!("--net={}", self.path().display());
        [["nsenter".to_owned(), enter].to_vec(), argv].concat()
    }

    /// Does something inside and waits for it: sockets that are made there stay there.
    ///
    /// # Errors
    /// When it cannot be entered; then nothing was done.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        let inside = || {
            let file = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            // The thread ends with the work, so that nothing else runs in the wrong namespace.
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok::<T, rustix::io::Errno>(work())
        };
        let done = thread::scope(|scope| scope.spawn(inside).join());
        let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.with_context(|| format!("cannot enter {}", self.path().display()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What is left is deleted by the next run.
        drop(ip(&format!("netns del {}", self.name)));
    }
}

fn ip(command: &str) -> Result<()> {
    let output = Command::new("ip").args(command.split(' ')).output();
    let output = output.context("cannot run ip; install iproute2")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`ip {command}`: {}", said.trim());
    }
    Ok(())
}
