//! The proxies that are measured, and how each is told what to do.
//!
//! Weft is configured with everything a user of it has: Kubernetes objects in a directory, a route
//! that matches on host, path and a header, metrics. Its peers are configured with the least that
//! does the work: in scenarios with one route they match everything, and they count nothing. Where
//! that is unfair, it is unfair to Weft.

mod envoy;
mod haproxy;
mod nginx;
#[cfg(test)]
mod tests;
mod weft;

pub(crate) use self::nginx::{
    command as nginx_command, configuration as nginx_configuration, http2_backend,
};

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::process::Signal;

use super::certificate::Certificate;
use super::process::Running;
use super::tools::Programs;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// Nobody: the load goes to the back-end itself, which shows what the machine can do.
    #[value(skip)]
    Direct,
    #[value(skip)]
    Weft,
    Envoy,
    Nginx,
    Haproxy,
    /// Relays of a mesh, in pairs only, if somebody has built it.
    #[value(skip)]
    Ztunnel,
}

impl Peer {
    /// Name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Weft => "Weft",
            Self::Envoy => "Envoy",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Ztunnel => "ztunnel",
        }
    }
}

/// What a proxy is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything goes to one HTTP/1.1 back-end.
    Hop,
    /// Everything goes to one HTTP/2 back-end, with prior knowledge.
    Hop2,
    /// TLS ends here; everything goes to one HTTP/1.1 back-end.
    Tls,
    /// So many hosts, each with a back-end of its own that is known by the same address.
    Routes(usize),
    /// A route to the back-end that answers, and one to a back-end with so many endpoints that gets
    /// no request: an endpoint that was asked holds a connection, which costs more than the endpoint.
    Endpoints(usize),
    /// One host whose requests are split between two back-ends by weights that change.
    Split,
}

/// A change of configuration that is about to be made under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// In [`Role::Routes`] the last host answers with [`REDIRECTED`], or does so no more.
    Redirect { routes: usize, is_on: bool },
    /// In [`Role::Split`] the first back-end gets this percentage, and a second rule with this
    /// number in it is there.
    Weight { percent: u8 },
    /// In [`Role::Split`] the host answers with [`REDIRECTED`].
    SplitRedirect,
}

/// The status that shows that a change is in effect.
pub(crate) const REDIRECTED: u16 = 302;

/// What configurations refer to.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Directory of this one proxy.
    pub(crate) directory: PathBuf,
    /// Port it is to listen on.
    pub(crate) port: u16,
    /// Port of its admin endpoint, if it gets one.
    pub(crate) admin_port: u16,
    pub(crate) backends: Backends,
    pub(crate) certificate: &'a Certificate,
    pub(crate) programs: &'a Programs,
}

/// Ports of the back-ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backends {
    /// HTTP/1.1.
    pub(crate) http1: u16,
    /// HTTP/1.1, the other half of a split.
    pub(crate) http1_other: u16,
    /// HTTP/2 with prior knowledge.
    pub(crate) http2: u16,
}

/// A file to be replaced, and how the proxy learns of it.
#[derive(Debug)]
pub(crate) struct Edit {
    file: PathBuf,
    text: String,
    signal: Option<Signal>,
}

impl Edit {
    /// Replaces the file in one step, as proxies that watch it need it.
    ///
    /// # Errors
    /// When a file cannot be written or the proxy has ended.
    pub(crate) fn apply(&self, place: &Place<'_>, proxy: &Running) -> Result<()> {
        // Beside the directory of configurations, so that nobody reads the half-written file.
        let staged = place.directory.join("staged");
        fs::write(&staged, &self.text)
            .with_context(|| format!("cannot write {}", staged.display()))?;
        fs::rename(&staged, &self.file)
            .with_context(|| format!("cannot replace {}", self.file.display()))?;
        self.signal.map_or(Ok(()), |signal| proxy.signal(signal))
    }
}

/// Whether `peer` can take `role` in a way that compares.
pub(crate) fn supports(peer: Peer, role: Role) -> bool {
    match role {
        Role::Hop | Role::Hop2 | Role::Tls | Role::Routes(_) => {
            !matches!(peer, Peer::Direct | Peer::Ztunnel)
        }
        Role::Endpoints(_) | Role::Split => matches!(peer, Peer::Weft | Peer::Envoy),
    }
}

/// Writes the configuration of `peer` and returns the command that starts it.
///
/// # Errors
/// When a file cannot be written, or Weft is not built.
pub(crate) fn configure(peer: Peer, place: &Place<'_>, role: Role) -> Result<Vec<String>> {
    if !supports(peer, role) {
        bail!("{} cannot take the role {role:?}", peer.name());
    }
    match peer {
        Peer::Weft => weft::configure(place, role),
        Peer::Envoy => envoy::configure(place, role),
        Peer::Nginx => nginx::configure(place, role),
        Peer::Haproxy => haproxy::configure(place, role),
        Peer::Direct | Peer::Ztunnel => bail!("nothing is to be configured for {}", peer.name()),
    }
}

/// How `peer` is brought to a change.
///
/// # Errors
/// When it cannot be.
pub(crate) fn edit(peer: Peer, place: &Place<'_>, change: Change) -> Result<Edit> {
    let edit = match peer {
        Peer::Weft => Some(weft::edit(place, change)),
        Peer::Envoy => Some(envoy::edit(place, change)),
        Peer::Nginx => nginx::edit(place, change),
        Peer::Haproxy => haproxy::edit(place, change),
        Peer::Direct | Peer::Ztunnel => None,
    };
    edit.with_context(|| format!("{} cannot change to {change:?}", peer.name()))
}

/// Writes `text` to `name` in the directory of `place`.
fn write(place: &Place<'_>, name: &str, text: &str) -> Result<PathBuf> {
    let path = place.directory.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Puts values for `${name}` into a template.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    text
}

/// The words of a command.
pub(super) fn argv(program: &Path, args: &[&str]) -> Vec<String> {
    let program = program.display().to_string();
    let args = args.iter().map(|&arg| arg.to_owned());
    std::iter::once(program).chain(args).collect()
}
