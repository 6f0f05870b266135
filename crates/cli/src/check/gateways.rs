//! WC8xx: whether Gateways of ours are served, and by what they were given.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use weft_certs::check_pair;

use super::{
    codes::{ADDRESS, CERTIFICATE, CLASS_ACCEPTED, DEPLOYED, PROGRAMMED},
    control_plane::{condition, why_not_ready},
    picture::{Given, Picture, certificates},
    report::Report,
};
use crate::{
    cluster::{joined, name, text},
    findings::counted,
};

/// A certificate that ends within so many days is worth a warning.
const DAYS: i64 = 30;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// How the Deployment of the control plane names the image of proxies.
const IMAGE_OPTION: &str = "--proxy-image=";

/// All of them. `is_asked` says that somebody asked for one Gateway, which has to be there then.
pub(super) fn judge(picture: &Picture, report: &mut Report, is_asked: bool) {
    if !is_asked && let Ok(classes) = &picture.classes {
        for class in classes {
            accepted(class, report);
        }
    }
    let gateways = match &picture.gateways {
        Ok(gateways) => gateways,
        Err(error) if is_asked => return report.bad(&PROGRAMMED, error),
        Err(error) => return report.skip(&PROGRAMMED, error),
    };
    for gateway in gateways {
        programmed(gateway, report);
        address(gateway, report);
        certificate(picture, gateway, report);
        deployed(picture, gateway, report);
    }
}

fn accepted(class: &Value, report: &mut Report) {
    match condition(class, "Accepted") {
        Some(it) if text(it, "/status") == "True" => report.good(&CLASS_ACCEPTED, name(class)),
        Some(it) => report.bad(
            &CLASS_ACCEPTED,
            format_args!("{}: {}", name(class), said(it)),
        ),
        None => report.bad(
            &CLASS_ACCEPTED,
            format_args!("{}: nobody says so", name(class)),
        ),
    }
}

/// Reason and message of a condition.
fn said(condition: &Value) -> String {
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    match message {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    }
}

fn programmed(gateway: &Value, report: &mut Report) {
    let name = name(gateway);
    let mut wrong = Vec::new();
    for type_ in ["Accepted", "Programmed"] {
        match condition(gateway, type_) {
            Some(it) if text(it, "/status") == "True" => {}
            Some(it) => wrong.push(format!("not {type_}: {}", said(it))),
            None => wrong.push(format!("not {type_} by anybody")),
        }
    }
    let listeners = gateway
        .pointer("/status/listeners")
        .and_then(Value::as_array);
    let mut count = 0;
    for listener in listeners.into_iter().flatten() {
        count += 1;
        let conditions = listener.pointer("/conditions").and_then(Value::as_array);
        let refused = conditions.into_iter().flatten().find(|it| {
            let is_verdict = matches!(
                text(it, "/type"),
                "Accepted" | "Programmed" | "ResolvedRefs"
            );
            is_verdict && text(it, "/status") == "False"
        });
        let listener = text(listener, "/name");
        wrong.extend(refused.map(|it| format!("listener {listener}: {}", said(it))));
    }
    let generation = |path| gateway.pointer(path).and_then(Value::as_u64);
    let seen = condition(gateway, "Programmed").and_then(|it| it["observedGeneration"].as_u64());
    if wrong.is_empty() && seen < generation("/metadata/generation") {
        wrong.push("the last change is not programmed yet".to_owned());
    }
    if wrong.is_empty() {
        report.good(
            &PROGRAMMED,
            format_args!("{name}: {}", counted(count, "listener")),
        );
    } else {
        report.bad(&PROGRAMMED, format_args!("{name}: {}", wrong.join("; ")));
    }
}

fn address(gateway: &Value, report: &mut Report) {
    let addresses = gateway
        .pointer("/status/addresses")
        .and_then(Value::as_array);
    let addresses = addresses.into_iter().flatten();
    let addresses: Vec<_> = addresses.map(|it| text(it, "/value")).collect();
    let name = name(gateway);
    if addresses.is_empty() {
        report.bad(&ADDRESS, format_args!("{name}: none"));
    } else {
        report.good(&ADDRESS, format_args!("{name}: {}", addresses.join(", ")));
    }
}

fn certificate(picture: &Picture, gateway: &Value, report: &mut Report) {
    for (namespace, secret) in certificates(gateway) {
        let key = joined(&namespace, &secret);
        let about = format!("{}: Secret {key}", name(gateway));
        match picture.secrets.get(&key) {
            Some(Ok(Some(secret))) => end_of_life(&about, secret, picture.now, report),
            Some(Ok(None)) => report.fail(&CERTIFICATE, format_args!("{about} does not exist")),
            Some(Err(error)) => report.skip(&CERTIFICATE, error),
            None => {}
        }
    }
}

fn end_of_life(about: &str, secret: &Value, now: SystemTime, report: &mut Report) {
    let item = |path: &str| {
        let text = text(secret, path).as_bytes();
        data_encoding::BASE64.decode(text).unwrap_or_default()
    };
    let info = match check_pair(&item("/data/tls.crt"), &item("/data/tls.key")) {
        Ok(info) => info,
        Err(error) => return report.fail(&CERTIFICATE, format_args!("{about}: {error}")),
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let left = info.not_after_unix_s.saturating_sub(now);
    let days = left / DAY_SECONDS;
    let whole = usize::try_from(days).unwrap_or_default();
    if left < 0 {
        report.fail(&CERTIFICATE, format_args!("{about} has expired"));
    } else if days < DAYS {
        report.bad(
            &CERTIFICATE,
            format_args!("{about} expires in {}", counted(whole, "day")),
        );
    } else {
        report.good(
            &CERTIFICATE,
            format_args!("{about} is good for {}", counted(whole, "day")),
        );
    }
}

fn deployed(picture: &Picture, gateway: &Value, report: &mut Report) {
    let name = name(gateway);
    let Some(Given {
        deployment,
        service,
    }) = picture.given.get(&name)
    else {
        return;
    };
    let mut wrong = Vec::new();
    let mut saw = String::new();
    for (kind, object) in [("Deployment", deployment), ("Service", service)] {
        match object {
            Ok(Some(object)) if is_of(object, gateway) => {}
            Ok(Some(object)) => {
                let other = text(object, "/metadata/name");
                wrong.push(format!("{kind} {other} is not of this Gateway"));
            }
            Ok(None) => wrong.push(format!("there is no {kind}")),
            Err(error) => return report.skip(&DEPLOYED, error),
        }
    }
    if let Ok(Some(deployment)) = deployment {
        let number = |path| {
            deployment
                .pointer(path)
                .and_then(Value::as_u64)
                .unwrap_or(0)
        };
        let wanted = number("/spec/replicas");
        let ready = number("/status/readyReplicas");
        saw = format!("{ready} of {wanted} ready");
        if ready < wanted || wanted == 0 {
            wrong.push(saw.clone());
            wrong.extend(waiting_pods(picture, gateway));
        } else if number("/status/updatedReplicas") < wanted {
            wrong.push("its pods are being replaced".to_owned());
        }
        let image = text(deployment, "/spec/template/spec/containers/0/image");
        if let Some(current) = proxy_image(picture)
            && current != image
        {
            wrong.push(format!("its image is {image}, current is {current}"));
        }
    }
    if wrong.is_empty() {
        report.good(&DEPLOYED, format_args!("{name}: {saw}"));
    } else {
        report.bad(&DEPLOYED, format_args!("{name}: {}", wrong.join("; ")));
    }
}

/// Whether an object was made for this incarnation of a Gateway.
fn is_of(object: &Value, gateway: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let uid = text(gateway, "/metadata/uid");
    owners.clone().any(|owner| text(owner, "/uid") == uid)
}

fn waiting_pods(picture: &Picture, gateway: &Value) -> Option<String> {
    const OF: &str = "/metadata/labels/gateway.networking.k8s.io~1gateway-name";
    let namespace = text(gateway, "/metadata/namespace");
    let label = weft_control::deploy::label_value(text(gateway, "/metadata/name"));
    let pods = picture.proxies.as_ref().ok()?.iter();
    let mut pods =
        pods.filter(|pod| text(pod, "/metadata/namespace") == namespace && text(pod, OF) == label);
    pods.find_map(why_not_ready)
}

/// The image that the control plane gives to Gateways.
fn proxy_image(picture: &Picture) -> Option<&str> {
    let control_plane = picture.control_plane.as_ref()?;
    let deployment = control_plane.deployment.as_ref().ok()?.as_ref()?;
    let arguments = deployment.pointer("/spec/template/spec/containers/0/args")?;
    let mut arguments = arguments.as_array()?.iter().filter_map(Value::as_str);
    arguments.find_map(|argument| argument.strip_prefix(IMAGE_OPTION))
}
