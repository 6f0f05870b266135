//! WC1xx: what a cluster needs to have before Weft can work in it. What it has beside Weft is judged in
//! `surroundings`.

use std::time::Duration;

use weft_api::Kind;
use weft_translate::features::Channel;

use super::{
    codes::{
        BUNDLE, CHANNEL, CLOCK, CRDS, INSTALL_RIGHTS, POD_SECURITY, REACHABLE, SAFE_UPGRADES,
        VERSION,
    },
    picture::Picture,
    report::Report,
    time,
};
use crate::{cluster::text, findings::counted};

/// The oldest server that works: aggregated discovery, and what the templates use.
const OLDEST: (u32, u32) = (1, 33);
/// Bundles of CRDs that are understood.
const SUPPORTED_BUNDLE: &str = "v1.6.";
/// So far clocks may be apart: certificates begin a little before they are issued.
const SKEW: Duration = Duration::from_secs(300);
/// Kinds nothing works without.
const NEEDED: &[Kind] = &[
    Kind::GatewayClass,
    Kind::Gateway,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::ReferenceGrant,
];
const POD_SECURITY_LABEL: &str = "/metadata/labels/pod-security.kubernetes.io~1enforce";

/// Whether there is an API server; nothing else can be judged without.
pub(super) fn reachable(picture: &Picture, report: &mut Report) -> bool {
    match &picture.version {
        Ok(version) => {
            let (url, version) = (&picture.url, &version.git_version);
            report.good(&REACHABLE, format_args!("{url} answers, {version}"));
            true
        }
        Err((was_reached, error)) => {
            report.is_unreachable = !was_reached;
            report.bad(&REACHABLE, format_args!("{}: {error}", picture.url));
            false
        }
    }
}

/// Everything else.
pub(super) fn judge(picture: &Picture, report: &mut Report) {
    version(picture, report);
    crds(picture, report);
    match &picture.safe_upgrades {
        Ok(true) => report.good(&SAFE_UPGRADES, "it is there"),
        // Its CRDs being absent is another check.
        Ok(false) if matches!(picture.installed, Ok(None)) => {}
        Ok(false) => report.bad(
            &SAFE_UPGRADES,
            "it is missing, so nothing keeps older CRDs from replacing these",
        ),
        Err(error) => report.skip(&SAFE_UPGRADES, error),
    }
    rights(picture, report);
    match &picture.home {
        Ok(Some(home)) => {
            let level = match text(home, POD_SECURITY_LABEL) {
                "" => "none is enforced",
                level => level,
            };
            let namespace = &picture.namespace;
            report.good(&POD_SECURITY, format_args!("{namespace}: {level}"));
        }
        // `weft install` brings it.
        Ok(None) => {}
        Err(error) => report.skip(&POD_SECURITY, error),
    }
    clock(picture, report);
}

fn version(picture: &Picture, report: &mut Report) {
    let Ok(version) = &picture.version else {
        return;
    };
    let name = &version.git_version;
    match version.minor {
        Some(minor) if minor >= OLDEST => report.good(&VERSION, name),
        Some(_) => report.bad(&VERSION, format_args!("{name} is too old")),
        None => report.skip(&VERSION, format_args!("{name:?} names no version")),
    }
}

fn crds(picture: &Picture, report: &mut Report) {
    match &picture.served {
        Ok(served) => {
            let missing = NEEDED.iter().filter(|kind| !served.contains_key(kind));
            let missing: Vec<_> = missing.map(|kind| kind.as_str()).collect();
            if missing.is_empty() {
                let kinds = served
                    .keys()
                    .filter(|kind| kind.group().contains("gateway"));
                let count = counted(kinds.count(), "kind");
                report.good(&CRDS, format_args!("{count} served"));
            } else {
                report.bad(&CRDS, format_args!("not served: {}", missing.join(", ")));
            }
        }
        Err(error) => report.skip(&CRDS, error),
    }
    let installed = match &picture.installed {
        Ok(Some(installed)) => installed,
        // Said by the check before.
        Ok(None) => return,
        Err(error) => {
            report.skip(&BUNDLE, error);
            report.skip(&CHANNEL, error);
            return;
        }
    };
    match installed.bundle_version.as_deref() {
        Some(version) if version.starts_with(SUPPORTED_BUNDLE) => report.good(&BUNDLE, version),
        Some(version) => report.bad(
            &BUNDLE,
            format_args!("{version}; supported is {SUPPORTED_BUNDLE}x"),
        ),
        None => report.bad(&BUNDLE, "the CRDs do not say their version"),
    }
    match installed.channel.as_deref() {
        Some(channel @ ("standard" | "experimental")) => {
            let claimed = |channel| weft_translate::features::supported(channel).count();
            let count = match channel {
                "experimental" => claimed(Channel::Experimental),
                _ => claimed(Channel::Standard),
            };
            report.good(
                &CHANNEL,
                format_args!("{channel}, {}", counted(count, "feature")),
            );
        }
        Some(other) => report.bad(&CHANNEL, format_args!("unknown: {other:?}")),
        None => report.bad(&CHANNEL, "the CRDs do not say their channel"),
    }
}

fn rights(picture: &Picture, report: &mut Report) {
    if picture.rights.is_empty() {
        return;
    }
    let mut refused = Vec::new();
    for (resource, allowed) in &picture.rights {
        match allowed {
            Ok(true) => {}
            Ok(false) => refused.push(resource.qualified()),
            Err(error) => return report.skip(&INSTALL_RIGHTS, error),
        }
    }
    if refused.is_empty() {
        report.good(&INSTALL_RIGHTS, "all that is installed may be created");
    } else {
        let refused = refused.join(", ");
        report.bad(
            &INSTALL_RIGHTS,
            format_args!("no right to create {refused}"),
        );
    }
}

fn clock(picture: &Picture, report: &mut Report) {
    let date = picture
        .version
        .as_ref()
        .ok()
        .and_then(|it| it.date.as_deref());
    match date.and_then(time::of_answer) {
        Some(date) => {
            let apart = time::apart(date, picture.now);
            let saw = format!("{} s apart", apart.as_secs());
            if apart <= SKEW {
                report.good(&CLOCK, saw);
            } else {
                report.bad(&CLOCK, saw);
            }
        }
        None => report.skip(&CLOCK, "the API server does not say its date"),
    }
}
