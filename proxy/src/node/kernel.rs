//! The steps in a pod's network namespace. Each blocks for milliseconds, so it has a thread of its own;
//! no two run in the same namespace at a time.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use weft_intercept::{
    Netns,
    capture::{self, Family, Fault, Settings},
    sockets::{self, Captured, Listener},
};

use super::{
    core::{Job, Outcome, Verdict},
    inherited::Inherited,
};

/// How long a connection through a pod's own rules may take to arrive at a listener next to it.
const PROBE: Duration = Duration::from_secs(1);

/// Does one step, with a pod of which that is to be captured; the reason when it cannot be done. What an
/// earlier supervisor has handed over is not made again. `listeners` are what the pod has by now.
pub(super) fn run(
    job: &Job<Arc<Netns>>,
    settings: &Settings,
    inherited: &Inherited,
    listeners: &[Listener],
) -> Result<Outcome<Arc<Vec<Listener>>>, String> {
    match job {
        Job::Listen(netns) => {
            let listeners = inherited.listen(netns);
            let listeners = listeners.map_err(|error| error.to_string())?;
            let found = capture::inspect(netns, settings).map_err(|error| error.to_string())?;
            let was_captured = !found.faults.contains(&Fault::NoTable);
            Ok(Outcome::Listening(listeners, was_captured))
        }
        Job::Capture(netns) => {
            let shut = listen_again(listeners)?;
            let report = capture::apply(netns, settings).map_err(|error| error.to_string())?;
            let evaded = evaded(netns, report.has_v6)?;
            Ok(Outcome::InForce(Verdict {
                repaired: shut.into_iter().chain(report.faults).collect(),
                evaded,
            }))
        }
        Job::Stop(netns) => {
            capture::stop(netns, settings).map_err(|error| error.to_string())?;
            Ok(Outcome::Stopped)
        }
        Job::Remove(netns) => {
            capture::remove(netns).map_err(|error| error.to_string())?;
            Ok(Outcome::Removed)
        }
    }
}

/// Lets the kubelet dial these in the network of the node; where there are none, nothing of the mesh stays
/// there.
pub(super) fn probes(node: &Path, probes: &BTreeSet<SocketAddr>) {
    let applied = match Netns::open(node) {
        Ok(node) if probes.is_empty() => capture::node::remove(&node),
        Ok(node) => capture::node::apply(&node, probes).map(drop),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = applied {
        tracing::error!("probes of the kubelet cannot reach captured pods: {error}");
    }
}

/// Opens what somebody has shut: the sockets are the same for the worker, who goes on with them.
fn listen_again(listeners: &[Listener]) -> Result<Option<Fault>, String> {
    let mut fault = None;
    for listener in listeners {
        let had_to = listener.listen_again();
        let had_to = had_to.map_err(|error| format!("listener {listener:?}: {error}"))?;
        if had_to {
            fault = Some(Fault::NotListening);
        }
    }
    Ok(fault)
}

/// How what the pod dials goes past its listeners, although its rules are as they should be.
fn evaded(netns: &Netns, has_v6: bool) -> Result<Option<String>, String> {
    for family in Family::ALL {
        if family == Family::V6 && !has_v6 {
            continue;
        }
        let found =
            sockets::is_captured(netns, family, PROBE).map_err(|error| error.to_string())?;
        if found == Captured::No {
            let how = "a connection dialled in the pod did not arrive at the proxy; \
                       other rules of the pod may come before those of Weft";
            return Ok(Some(format!("{family:?}: {how}")));
        }
    }
    Ok(None)
}
