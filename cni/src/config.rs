//! The network configuration a runtime sends, as far as this plugin reads it.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fault::Fault;

/// The versions of the specification whose results pass through here unchanged.
pub(crate) const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The version of errors when nobody says which is wanted.
const VERSION: &str = "1.0.0";

/// Where the supervisor listens, unless the configuration says otherwise.
pub(crate) const SOCKET: &str = "/run/weft/cni.sock";
/// Where it keeps which namespaces belong to the mesh; not below `/run`, which a reboot empties.
pub(crate) const NAMESPACES: &str = "/var/lib/weft/node/namespaces.json";
/// The namespace Weft is installed in.
pub(crate) const OWN_NAMESPACE: &str = "weft-system";

/// This plugin's part of the chain.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    cni_version: String,
    /// What the plugins before this one made; passed on byte by byte.
    pub(crate) prev_result: Option<Box<RawValue>>,
    #[serde(default = "socket")]
    pub(crate) socket: PathBuf,
    #[serde(default = "namespaces")]
    pub(crate) namespaces: PathBuf,
    #[serde(default = "own_namespace")]
    pub(crate) own_namespace: String,
}

fn socket() -> PathBuf {
    SOCKET.into()
}

fn namespaces() -> PathBuf {
    NAMESPACES.into()
}

fn own_namespace() -> String {
    OWN_NAMESPACE.to_owned()
}

/// The result of the plugins before this one, in any version of the specification.
#[derive(Deserialize)]
struct PreviousResult {
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    ips: Vec<Address>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    sandbox: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Address {
    address: String,
    interface: Option<usize>,
}

impl Config {
    /// # Errors
    /// [`Fault::Content`] for what is no configuration, [`Fault::Version`] for an unknown version.
    pub(crate) fn parse(input: &str) -> Result<Self, Fault> {
        let config: Self =
            serde_json::from_str(input).map_err(|error| Fault::Content(error.to_string()))?;
        if VERSIONS.contains(&config.cni_version.as_str()) {
            Ok(config)
        } else {
            Err(Fault::Version(config.cni_version))
        }
    }

    /// The result of the plugins before this one.
    ///
    /// # Errors
    /// [`Fault::Config`] when there are none, because then there is no network to capture.
    pub(crate) fn previous(&self) -> Result<&str, Fault> {
        let none = || {
            let cure =
                "there is no prevResult; weft-cni comes after the plugin that makes the network";
            Fault::Config(cure.to_owned())
        };
        Ok(self.prev_result.as_ref().ok_or_else(none)?.get())
    }

    /// The addresses the pod was given, without those of interfaces on the node's side.
    ///
    /// # Errors
    /// [`Fault::Content`] when the result is none of the specification.
    pub(crate) fn addresses(&self) -> Result<Vec<IpAddr>, Fault> {
        let Some(previous) = &self.prev_result else {
            return Ok(Vec::new());
        };
        let unread = |problem: String| Fault::Content(format!("prevResult: {problem}"));
        let result: PreviousResult =
            serde_json::from_str(previous.get()).map_err(|error| unread(error.to_string()))?;
        let is_pods = |ip: &&Address| {
            let interface = ip.interface.and_then(|at| result.interfaces.get(at));
            let sandbox = interface.map(|interface| interface.sandbox.as_deref());
            // An address that names no interface is the pod's.
            sandbox.is_none_or(|sandbox| sandbox.is_some_and(|it| it != Path::new("")))
        };
        let parse = |ip: &Address| {
            let address = ip.address.split('/').next().unwrap_or_default();
            let wrong = |_| unread(format!("`{}` is no address", ip.address));
            address.parse().map_err(wrong)
        };
        result.ips.iter().filter(is_pods).map(parse).collect()
    }
}

/// The version in which an error is written: the one asked for, if that can be made out.
pub(crate) fn version_of(input: &str) -> &str {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned<'a> {
        #[serde(borrow)]
        cni_version: &'a str,
    }
    let asked = serde_json::from_str::<Versioned<'_>>(input);
    asked.map_or(VERSION, |asked| asked.cni_version)
}
