//! Capture of a pod's connections: packet rules, routes and one setting of its network namespace.
//!
//! Everything is told to the kernel over netlink; no program is run. Each function does its work on a
//! thread of its own inside the namespace, blocks for milliseconds and can be repeated: what is
//! already right stays as it is.
//!
//! Order matters in both directions. Listeners come before rules, or captured connections are refused;
//! and whoever takes the rules away first calls [`stop`], lets captured connections end, and only then
//! calls [`remove`].

mod dials;
mod nft;
pub mod node;
mod plan;
pub(crate) mod route;
mod setting;
#[cfg(test)]
mod tests;
mod tracking;

use std::io;

pub use self::plan::{
    Action, Chain, Family, Hook, Kind, Match, PROBE_V4, PROBE_V6, Plan, Rule, Set, Settings,
};
use crate::netns::{Netns, NetnsError};

/// The mark of the proxy's own sockets, which are never captured. It never leaves the pod.
pub const MARK: u32 = 0x539;
/// The mark of connections the proxy opens to applications of the pod, whose answers it must get back.
pub const CONNECTION_MARK: u32 = 0x111;
/// The bits of a mark that are ours; the others belong to whoever set them.
pub const MASK: u32 = 0xfff;
/// The mark of sockets the proxy dials with: [`MARK`], and a bit that those of earlier versions lack, whose
/// connections are not tracked apart and must stay where they are.
pub const DIAL_MARK: u32 = 0x1000 | MARK;
/// The bits of a mark that tell [`DIAL_MARK`].
pub const DIAL_MASK: u32 = 0x1000 | MASK;

/// What is not as it must be. In the order in which it is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The interface `lo` is down, over which captured connections arrive.
    LoopbackDown,
    /// `net.ipv4.tcp_migrate_req` is off: a closed listener would take waiting connections with it.
    NoMigration,
    /// The rule that sends marked packets to our routing table is missing.
    NoRoutingRule(Family),
    /// The route that makes every address local in our routing table is missing.
    NoRoute(Family),
    /// The kernel does not track what the proxy dials apart from what others send: a connection of the
    /// proxy to an application may take the port of one that somebody else has to it.
    NotApart,
    /// There are no packet rules at all.
    NoTable,
    /// The packet rules are those of another version or of other settings.
    OtherRules,
    /// Packet rules were taken away or added behind our back.
    RulesTouched,
    /// A socket of the proxy does not listen any more, see
    /// [`listen_again`](crate::sockets::Listener::listen_again).
    NotListening,
}

impl Fault {
    /// The stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LoopbackDown => "loopback_down",
            Self::NoMigration => "no_migration",
            Self::NoRoutingRule(_) => "no_routing_rule",
            Self::NoRoute(_) => "no_route",
            Self::NotApart => "not_apart",
            Self::NoTable => "no_table",
            Self::OtherRules => "other_rules",
            Self::RulesTouched => "rules_touched",
            Self::NotListening => "not_listening",
        }
    }
}

/// What was found in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Nothing when the pod is captured; what [`apply`] found has been repaired.
    pub faults: Vec<Fault>,
    /// Whether the namespace has IPv6. Without it the pod is captured for IPv4 only; the packet rules
    /// name both families anyway, so that IPv6 that is switched on later does not get past them.
    pub has_v6: bool,
}

/// Why a pod is not captured, or cannot be asked. It concerns this pod only.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NetnsError),
    /// `lo` cannot be brought up or asked.
    #[error("interface lo: {0}; the node agent needs CAP_NET_ADMIN")]
    Loopback(#[source] io::Error),
    /// A setting cannot be read or written.
    #[error("setting {name}: {source}; the node agent needs CAP_SYS_ADMIN to write it")]
    Setting {
        /// Its name, as `sysctl` has it.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Rules or routes of the routing table cannot be changed or asked.
    #[error("routing of {family:?} to the proxy: {source}; the node agent needs CAP_NET_ADMIN")]
    Routing {
        /// Of which family.
        family: Family,
        /// What the kernel says.
        source: io::Error,
    },
    /// The packet rules were refused; none of them is in force.
    #[error(
        "packet rules, {what}: {source}; the kernel needs nf_tables with nat, redirect, conntrack and \
         its zones, and the node agent CAP_NET_ADMIN"
    )]
    Rules {
        /// Which part was refused.
        what: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// Connections that live cannot be told from those the proxy will dial.
    #[error(
        "connections of the pod, {what}: {source}; the kernel needs tcp_diag and nf_conntrack_netlink, \
         and the node agent CAP_NET_ADMIN"
    )]
    Tracking {
        /// What was to be done.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Captures a pod, or repairs what is wrong with its capture: nothing is touched that is right.
///
/// Connections that exist are not captured and go on. Packet rules are replaced as a whole, so that
/// no connection slips through between.
///
/// # Errors
/// See [`CaptureError`]. What was repaired before stays; the packet rules come last, so that nothing
/// is captured that cannot be answered.
pub fn apply(netns: &Netns, settings: &Settings) -> Result<Report, CaptureError> {
    let plan = Plan::of(settings);
    netns.within(|| {
        let report = look(&plan)?;
        let before = match report.faults.is_empty() {
            true => return Ok(report),
            false => tracking::Before::now(),
        };
        for fault in &report.faults {
            match *fault {
                Fault::LoopbackDown => route::raise_loopback().map_err(CaptureError::Loopback)?,
                Fault::NoMigration => setting::migrate().map_err(of_setting)?,
                Fault::NoRoutingRule(family) => route::add_rule(family).map_err(routing(family))?,
                Fault::NoRoute(family) => route::add(family).map_err(routing(family))?,
                // In this order, so that what fails is found again.
                Fault::NotApart => {
                    // Where nobody is captured yet this is done once, below.
                    if !report.faults.contains(&Fault::NoTable) {
                        tracking::sort(before)?;
                    }
                    replace(&Plan::of_dials())?;
                }
                // Connections are tracked by now, those included that have come since nobody is captured.
                Fault::NoTable => {
                    tracking::sort(before)?;
                    replace(&plan)?;
                }
                Fault::OtherRules | Fault::RulesTouched => replace(&plan)?,
                // Whoever has the socket sees that; a namespace does not show whose it is.
                Fault::NotListening => {}
            }
        }
        Ok(report)
    })?
}

/// Looks whether a pod is captured as these settings say, and changes nothing.
///
/// # Errors
/// See [`CaptureError`]: the pod could not be asked, which says nothing about its capture.
pub fn inspect(netns: &Netns, settings: &Settings) -> Result<Report, CaptureError> {
    let plan = Plan::of(settings);
    netns.within(|| look(&plan))?
}

/// Captures no further connection; those that are captured go on. The chains stay, because the kernel
/// forgets with the last of them how redirected connections are translated, and resets them.
///
/// # Errors
/// See [`CaptureError`]. A pod that is not captured is no error.
pub fn stop(netns: &Netns, settings: &Settings) -> Result<(), CaptureError> {
    let plan = Plan::of(settings);
    netns.within(|| {
        nft::flush(&plan).map_err(|refusal| CaptureError::Rules {
            what: format!("emptying chain {}", refusal.at),
            source: refusal.error,
        })
    })??;
    Ok(())
}

/// Takes everything away again, but for `lo`, which stays up, and the setting, which harms nobody.
/// Captured connections that still live are reset.
///
/// # Errors
/// See [`CaptureError`]. What is not there is no error; the first failure does not keep the rest from
/// being removed.
pub fn remove(netns: &Netns) -> Result<(), CaptureError> {
    let plan = Plan::of(&Settings::default());
    netns.within(|| {
        let tables = delete(&plan).and(delete(&Plan::of_dials()));
        let routes = Family::ALL.map(|family| {
            let rule = route::delete_rule(family).map_err(routing(family));
            rule.and(route::delete(family).map_err(routing(family)))
        });
        // Without rules nobody follows how these connections end, and they would be taken for others.
        let forgotten = tracking::forget();
        routes.into_iter().fold(tables, Result::and).and(forgotten)
    })?
}

/// Everything that is wrong in the namespace of this thread, in the order of repair.
fn look(plan: &Plan) -> Result<Report, CaptureError> {
    let mut faults = Vec::new();
    if !route::is_loopback_up().map_err(CaptureError::Loopback)? {
        faults.push(Fault::LoopbackDown);
    }
    if !setting::migrates().map_err(of_setting)? {
        faults.push(Fault::NoMigration);
    }
    let has_v6 = setting::has_v6();
    for family in Family::ALL {
        if family == Family::V6 && !has_v6 {
            continue;
        }
        if !route::has_rule(family).map_err(routing(family))? {
            faults.push(Fault::NoRoutingRule(family));
        }
        // Routes are lost whenever `lo` goes down.
        if !route::exists(family).map_err(routing(family))? {
            faults.push(Fault::NoRoute(family));
        }
    }
    if judge(&Plan::of_dials())?.is_some() {
        faults.push(Fault::NotApart);
    }
    faults.extend(judge(plan)?);
    Ok(Report { faults, has_v6 })
}

fn of_setting((name, source): (&'static str, io::Error)) -> CaptureError {
    CaptureError::Setting { name, source }
}

fn routing(family: Family) -> impl FnOnce(io::Error) -> CaptureError {
    move |source| CaptureError::Routing { family, source }
}

/// What is wrong with the packet rules of the namespace of this thread.
fn judge(plan: &Plan) -> Result<Option<Fault>, CaptureError> {
    let found = nft::find(plan).map_err(|source| CaptureError::Rules {
        what: "asking what there is".to_owned(),
        source,
    })?;
    let wanted = plan.found();
    Ok(match found {
        None => Some(Fault::NoTable),
        Some(found) if found.comment != wanted.comment => Some(Fault::OtherRules),
        Some(found) if found != wanted => Some(Fault::RulesTouched),
        Some(_) => None,
    })
}

fn replace(plan: &Plan) -> Result<(), CaptureError> {
    nft::replace(plan).map_err(|refusal| CaptureError::Rules {
        what: plan.describe(refusal.at),
        source: refusal.error,
    })
}

fn delete(plan: &Plan) -> Result<(), CaptureError> {
    nft::remove(plan).map_err(|refusal| CaptureError::Rules {
        what: format!("removing table {}", plan.table),
        source: refusal.error,
    })
}
