//! WC2xx: whether the control plane is there, leads, reads and writes.

use std::time::Duration;

use serde_json::Value;
use weft_api::{AnyObject, Condition, ConditionStatus, ConditionType, route::RouteStatus};

use super::{
    codes::{APPLIED, LEADER, PUBLISHED, RBAC, REPLICAS, SKEW, STATUSES, SYNCED, UNREADABLE},
    picture::{ControlPlane, Picture},
    report::Report,
    rights::Grants,
    time,
};
use crate::{
    cluster::{name, text},
    findings::counted,
};

/// A lease is renewed every two seconds; clocks are to the second.
const LEASE_SLACK: Duration = Duration::from_secs(5);
/// So many of a list are named.
const NAMED: usize = 3;

/// All of them; without a Deployment only that it is missing.
pub(super) fn judge(picture: &Picture, report: &mut Report) {
    let Some(control_plane) = &picture.control_plane else {
        return;
    };
    let deployment = match &control_plane.deployment {
        Ok(Some(deployment)) => deployment,
        Ok(None) => {
            let namespace = &picture.namespace;
            let saw = format!(
                "there is no Deployment {namespace}/weft-controller; install it with `weft install | \
                 kubectl apply -f -`, or say where it is with -n"
            );
            return report.bad(&REPLICAS, saw);
        }
        Err(error) => return report.skip(&REPLICAS, error),
    };
    replicas(deployment, control_plane, report);
    leader(picture, control_plane, report);
    synced(control_plane, report);
    unreadable(control_plane, report);
    applied(control_plane, report);
    statuses(picture, report);
    published(picture, report);
    rights(deployment, control_plane, report);
    skew(deployment, report);
}

fn number(object: &Value, path: &str) -> u64 {
    let number = object.pointer(path).and_then(Value::as_u64);
    number.unwrap_or_default()
}

fn replicas(deployment: &Value, control_plane: &ControlPlane, report: &mut Report) {
    let wanted = number(deployment, "/spec/replicas");
    let ready = number(deployment, "/status/readyReplicas");
    let mut saw = format!("{ready} of {wanted} ready");
    if ready >= wanted && wanted > 0 {
        return report.good(&REPLICAS, saw);
    }
    if let Ok(pods) = &control_plane.pods {
        let why = pods.iter().filter_map(why_not_ready);
        let why: Vec<_> = why.take(NAMED).collect();
        if !why.is_empty() {
            saw = format!("{saw}: {}", why.join("; "));
        }
    }
    if ready == 0 {
        report.bad(&REPLICAS, saw);
    } else {
        report.partial(&REPLICAS, saw);
    }
}

/// What keeps a pod from being ready; `None` when it is.
pub(super) fn why_not_ready(pod: &Value) -> Option<String> {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let condition = |type_: &str| {
        let all = conditions.into_iter().flatten();
        all.clone().find(|it| text(it, "/type") == type_)
    };
    if condition("Ready").is_some_and(|it| text(it, "/status") == "True") {
        return None;
    }
    let statuses = pod.pointer("/status/containerStatuses");
    let statuses = statuses.and_then(Value::as_array);
    let waits = statuses.into_iter().flatten().find_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
        Some(format!("{reason} {message}").trim().to_owned())
    });
    let unscheduled = condition("PodScheduled").filter(|it| text(it, "/status") == "False");
    let unscheduled = unscheduled.map(|it| text(it, "/message").to_owned());
    let why = waits.or(unscheduled);
    let why = why.unwrap_or_else(|| "its readiness probe does not succeed yet".to_owned());
    Some(format!("pod {}: {why}", text(pod, "/metadata/name")))
}

fn leader(picture: &Picture, control_plane: &ControlPlane, report: &mut Report) {
    let lease = match &control_plane.lease {
        Ok(Some(lease)) => lease,
        Ok(None) => return report.bad(&LEADER, "there is no lease: nobody has ever led"),
        Err(error) => return report.skip(&LEADER, error),
    };
    let holder = text(lease, "/spec/holderIdentity");
    if holder.is_empty() {
        return report.bad(&LEADER, "nobody holds the lease");
    }
    let life = Duration::from_secs(number(lease, "/spec/leaseDurationSeconds"));
    let version = picture.version.as_ref().ok();
    // The clock that leases are compared by here is the API server's, where it says so.
    let date = version.and_then(|it| it.date.as_deref());
    let now = date.and_then(time::of_answer).unwrap_or(picture.now);
    let Some(renewed) = time::of_object(text(lease, "/spec/renewTime")) else {
        return report.bad(&LEADER, format_args!("{holder}, who has never renewed it"));
    };
    let age = now.duration_since(renewed).unwrap_or_default();
    let saw = format!("{holder}, renewed {} s ago", age.as_secs());
    if age <= life + LEASE_SLACK {
        report.good(&LEADER, saw);
    } else {
        report.bad(&LEADER, saw);
    }
}

/// A pod is ready exactly when its `/readyz` is, which waits until everything was read.
fn synced(control_plane: &ControlPlane, report: &mut Report) {
    let pods = match &control_plane.pods {
        Ok(pods) => pods,
        Err(error) => return report.skip(&SYNCED, error),
    };
    let (ready, waiting): (Vec<_>, Vec<_>) = pods
        .iter()
        .map(|pod| (pod, why_not_ready(pod)))
        .partition(|(_, why)| why.is_none());
    if ready.is_empty() {
        return report.bad(&SYNCED, "no replica has read the cluster");
    }
    if waiting.is_empty() {
        let count = counted(ready.len(), "replica");
        report.good(&SYNCED, format_args!("by {count}"));
    } else {
        let names: Vec<_> = waiting.iter().map(|(pod, _)| name(pod)).collect();
        report.partial(&SYNCED, format_args!("not yet by {}", names.join(", ")));
    }
}

fn unreadable(control_plane: &ControlPlane, report: &mut Report) {
    let findings = match &control_plane.unreadable {
        Ok(findings) => findings,
        Err(error) => return report.skip(&UNREADABLE, error),
    };
    let (objects, kinds): (Vec<_>, Vec<_>) = findings.iter().partition(|it| it.object.is_some());
    for finding in &kinds {
        report.skip(&UNREADABLE, &finding.message);
    }
    if objects.is_empty() {
        if kinds.is_empty() {
            report.good(&UNREADABLE, "every object can be read");
        }
        return;
    }
    for finding in objects {
        let object = finding.object.as_ref().map(ToString::to_string);
        let (object, field) = (object.unwrap_or_default(), &finding.field);
        let saw = format!("{object} {field}: {}", finding.message);
        report.bad(&UNREADABLE, saw);
    }
}

/// What the control plane has heard of proxies about each route: `weft.dev/Applied`.
fn applied(control_plane: &ControlPlane, report: &mut Report) {
    let routes = match &control_plane.routes {
        Ok(routes) => routes,
        Err(error) => return report.skip(&APPLIED, error),
    };
    let mut told = 0;
    let mut behind = Vec::new();
    for route in routes {
        let Some(status) = status_of(route) else {
            continue;
        };
        let conditions = status.parents.iter().flat_map(|parent| &parent.conditions);
        let said: Vec<&Condition> = conditions
            .filter(|it| it.is(ConditionType::Applied))
            .collect();
        told += usize::from(!said.is_empty());
        let late = said.iter().find(|it| it.status != ConditionStatus::True);
        behind.extend(late.map(|it| format!("{} {}", route.reference(), it.message)));
    }
    match (told, behind.len()) {
        (0, _) => report.good(&APPLIED, "no route is served by a Gateway"),
        (_, 0) => report.good(&APPLIED, counted(told, "route")),
        (_, late) => {
            let named = behind.iter().take(NAMED).cloned().collect::<Vec<_>>();
            let saw = format!("{late} of {}: {}", counted(told, "route"), named.join("; "));
            report.bad(&APPLIED, saw);
        }
    }
}

fn status_of(route: &AnyObject) -> Option<&RouteStatus> {
    match route {
        AnyObject::HttpRoute(route) => Some(&route.status),
        AnyObject::GrpcRoute(route) => Some(&route.status),
        _ => None,
    }
}

/// Whether every condition of ours is about the newest generation of its object.
fn statuses(picture: &Picture, report: &mut Report) {
    let (Ok(classes), Ok(gateways)) = (&picture.classes, &picture.gateways) else {
        return report.skip(&STATUSES, "GatewayClasses or Gateways cannot be read");
    };
    let all = || classes.iter().chain(gateways);
    let behind: Vec<_> = all().filter(|it| is_behind(it)).map(name).collect();
    if behind.is_empty() {
        let count = counted(all().count(), "object");
        report.good(&STATUSES, format_args!("of {count}: classes and Gateways"));
    } else {
        let named = behind.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let saw = format!("{} behind: {}", behind.len(), named.join(", "));
        report.bad(&STATUSES, saw);
    }
}

fn is_behind(object: &Value) -> bool {
    let generation = number(object, "/metadata/generation");
    let accepted = condition(object, "Accepted");
    accepted.is_none_or(|it| number(it, "/observedGeneration") < generation)
}

/// A condition of an object's status.
pub(super) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|it| text(it, "/type") == type_)
}

fn published(picture: &Picture, report: &mut Report) {
    match &picture.classes {
        Ok(classes) if classes.is_empty() => {
            report.bad(
                &PUBLISHED,
                "there is none of controller weft.dev/gateway-controller",
            );
        }
        Ok(classes) => {
            let names: Vec<_> = classes.iter().map(name).collect();
            report.good(&PUBLISHED, names.join(", "));
        }
        Err(error) => report.skip(&PUBLISHED, error),
    }
}

fn rights(deployment: &Value, control_plane: &ControlPlane, report: &mut Report) {
    let granted = match &control_plane.grants {
        Ok(granted) => granted,
        Err(error) => return report.skip(&RBAC, error),
    };
    let shipped = match Grants::shipped(has_mesh(deployment)) {
        Ok(shipped) => shipped,
        Err(error) => return report.skip(&RBAC, error),
    };
    let (more, less) = (granted.beyond(&shipped), shipped.beyond(granted));
    let named = |grants: &[String]| grants.iter().take(NAMED).cloned().collect::<Vec<_>>();
    if !less.is_empty() {
        let named = named(&less).join("; ");
        report.fail(&RBAC, format_args!("{} missing: {named}", less.len()));
    }
    if !more.is_empty() {
        let named = named(&more).join("; ");
        report.bad(
            &RBAC,
            format_args!("{} more than shipped: {named}", more.len()),
        );
    }
    if more.is_empty() && less.is_empty() {
        report.good(&RBAC, "those that are shipped, and no others");
    }
}

/// Whether the control plane serves the proxies of nodes.
pub(super) fn has_mesh(deployment: &Value) -> bool {
    let variables = deployment.pointer("/spec/template/spec/containers/0/env");
    let variables = variables.and_then(Value::as_array).into_iter().flatten();
    let mut mesh = variables.filter(|it| text(it, "/name") == "WEFT_MESH");
    mesh.any(|it| text(it, "/value") == "true")
}

fn skew(deployment: &Value, report: &mut Report) {
    let image = text(deployment, "/spec/template/spec/containers/0/image");
    let ours = env!("CARGO_PKG_VERSION");
    let Some(theirs) = version_of(image) else {
        return report.skip(&SKEW, format_args!("image {image} names no version"));
    };
    let saw = format!("control plane {}.{}, command {ours}", theirs.0, theirs.1);
    let is_near = version_of(&format!(":{ours}"))
        .is_some_and(|ours| ours.0 == theirs.0 && ours.1.abs_diff(theirs.1) <= 1);
    if is_near {
        report.good(&SKEW, saw);
    } else {
        report.bad(&SKEW, saw);
    }
}

/// Major and minor version of an image's tag.
pub(super) fn version_of(image: &str) -> Option<(u32, u32)> {
    let (image, _digest) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = image.rsplit_once(':')?;
    let mut numbers = tag.trim_start_matches('v').split('.');
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}
