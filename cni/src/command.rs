//! What runtimes ask for: ADD, CHECK, DEL, GC, STATUS and VERSION (CNI specification, section 2).

use std::path::PathBuf;

use weft_intercept::handoff::{Operation, Reply, Request, VERSION};

use crate::{
    config::{Config, VERSIONS, version_of},
    fault::Fault,
    pod::{self, Pod},
    supervisor,
};

/// What a runtime says beside the configuration. An empty variable is none.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    command: Option<String>,
    container: Option<String>,
    netns: Option<String>,
    interface: Option<String>,
    arguments: Option<String>,
}

impl Environment {
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        Self {
            command: variable("CNI_COMMAND"),
            container: variable("CNI_CONTAINERID"),
            netns: variable("CNI_NETNS"),
            interface: variable("CNI_IFNAME"),
            arguments: variable("CNI_ARGS"),
        }
    }
}

/// What to print.
///
/// # Errors
/// See [`Fault`].
pub(crate) fn run(environment: &Environment, input: &str) -> Result<String, Fault> {
    let command = required("CNI_COMMAND", environment.command.as_ref())?;
    match command {
        "ADD" => add(environment, &Config::parse(input)?),
        "CHECK" => check(environment, &Config::parse(input)?),
        "DEL" => Ok(delete(environment, input)),
        "VERSION" => Ok(versions(input)),
        // What is left behind is for the supervisor to find, which compares namespaces on its own; and
        // a network that is not ready would keep the supervisor itself from starting.
        "GC" | "STATUS" => Config::parse(input).map(|_| String::new()),
        other => Err(Fault::Environment {
            name: "CNI_COMMAND",
            problem: format!("is `{other}`, which is no command of CNI"),
        }),
    }
}

fn required<'v>(name: &'static str, value: Option<&'v String>) -> Result<&'v str, Fault> {
    let missing = || Fault::Environment {
        name,
        problem: "is not set".to_owned(),
    };
    value.map(String::as_str).ok_or_else(missing)
}

fn versions(input: &str) -> String {
    let asked = version_of(input);
    let supported = VERSIONS.map(|version| format!("\"{version}\"")).join(",");
    // The answer is in the version that was asked for, if that is one we know.
    let answer = VERSIONS.into_iter().find(|version| *version == asked);
    let answer = answer.unwrap_or(VERSIONS[VERSIONS.len() - 1]);
    format!("{{\"cniVersion\":\"{answer}\",\"supportedVersions\":[{supported}]}}\n")
}

/// Lets a pod start when it is captured, or when the mesh has no say in it.
fn add(environment: &Environment, config: &Config) -> Result<String, Fault> {
    let result = format!("{}\n", config.previous()?);
    let netns = required("CNI_NETNS", environment.netns.as_ref())?;
    captured(environment, config, Operation::Add, netns)?;
    Ok(result)
}

fn check(environment: &Environment, config: &Config) -> Result<String, Fault> {
    config.previous()?;
    let netns = required("CNI_NETNS", environment.netns.as_ref())?;
    captured(environment, config, Operation::Check, netns)?;
    Ok(String::new())
}

fn captured(
    environment: &Environment,
    config: &Config,
    operation: Operation,
    netns: &str,
) -> Result<(), Fault> {
    let container = required("CNI_CONTAINERID", environment.container.as_ref())?;
    let interface = required("CNI_IFNAME", environment.interface.as_ref())?;
    let arguments = environment.arguments.as_deref().unwrap_or_default();
    let Some(pod) = Pod::of(arguments)? else {
        return Ok(());
    };
    let netns = PathBuf::from(netns);
    // The mesh's own pods come before it, and the node's namespace is nobody's pod.
    if pod.namespace == config.own_namespace || pod::is_host(&netns)? {
        return Ok(());
    }
    let request = Request {
        v: VERSION,
        op: operation,
        netns: Some(netns),
        container: container.to_owned(),
        ifname: interface.to_owned(),
        pod: pod.name.clone(),
        namespace: pod.namespace.clone(),
        uid: pod.uid.clone(),
        ips: config.addresses()?,
    };
    let retry = |reason| Fault::Retry {
        pod: pod.shown(),
        reason,
    };
    let is_meshed = pod.is_meshed(config);
    let limit = match operation {
        Operation::Add if is_meshed.as_ref().is_ok_and(|it| !it) => supervisor::LIMIT,
        Operation::Add => supervisor::STARTS,
        Operation::Check | Operation::Del => supervisor::LIMIT,
    };
    match supervisor::ask(&config.socket, request, limit) {
        Ok(Reply::Ok {}) => Ok(()),
        Ok(Reply::Retry(reason)) => Err(retry(reason)),
        Ok(Reply::Error(reason)) => Err(Fault::Refused {
            pod: pod.shown(),
            reason,
        }),
        Err(reason) => match is_meshed {
            Ok(false) => Ok(()),
            Ok(true) => Err(retry(reason)),
            Err(unknown) => {
                pod.log(&unknown);
                Err(retry(reason))
            }
        },
    }
}

/// Tells the supervisor that a pod is gone. Nothing keeps a pod from going: what is not told now is
/// found by the supervisor when it compares namespaces.
fn delete(environment: &Environment, input: &str) -> String {
    let pod = Pod::of(environment.arguments.as_deref().unwrap_or_default());
    if let (Ok(config), Ok(Some(pod)), Some(container)) =
        (Config::parse(input), pod, &environment.container)
        && pod.namespace != config.own_namespace
    {
        let request = Request {
            v: VERSION,
            op: Operation::Del,
            netns: environment.netns.as_ref().map(PathBuf::from),
            container: container.clone(),
            ifname: environment.interface.clone().unwrap_or_default(),
            pod: pod.name,
            namespace: pod.namespace,
            uid: pod.uid,
            ips: Vec::new(),
        };
        let _ = supervisor::ask(&config.socket, request, supervisor::LIMIT);
    }
    String::new()
}
