//! Kinds that are not built say so, and nothing they protect is served without them.

use weft_ir::{BackendFault, Target};

use crate::fixture::{CLASS, check, notes, output, rows, status};

const BASE: &str = "Service infra/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
Gateway infra/gw {gatewayClassName: weft, allowedListeners: {namespaces: {from: Same}}, listeners: [{name: l, port: 80, protocol: HTTP}]}
Gateway infra/other {gatewayClassName: weft, listeners: [{name: l, port: 80, protocol: HTTP}]}";

#[test]
fn unbuilt_routes_are_not_accepted() {
    for kind in ["TLSRoute", "TCPRoute", "UDPRoute"] {
        let world = format!(
            "{BASE}\n{kind} infra/r {{parentRefs: [{{name: gw}}, {{group: '', kind: Service, name: web}}, \
             {{group: example.com, kind: Hub, name: h}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}"
        );
        let object = format!("{kind} infra/r");
        let expected = "Gateway gw Accepted=False/UnsupportedValue + Service web Accepted=False/UnsupportedValue";
        check(kind, &world, &object, expected);
        assert_eq!(
            notes(&output(&format!("{CLASS}{world}")), &object),
            ["WA216 kind"],
            "{kind}"
        );
    }
}

/// Name of the parent, and why the set is not accepted.
const SETS: &str = "
let in, but not built     | gw    | ListenersNotValid
not let in                | other | NotAllowed
somebody else's Gateway   | nope  |
";

#[test]
fn listener_sets_are_not_accepted() {
    for [name, parent, reason] in rows(SETS) {
        let world = format!(
            "{BASE}\nListenerSet infra/set {{parentRef: {{name: {parent}}}, \
             listeners: [{{name: x, port: 90, protocol: HTTP}}]}}"
        );
        let expected = match reason {
            "" => String::new(),
            reason => format!(
                "set Accepted=False/{reason} Programmed=False/{reason} + \
                 x (0) [] Accepted=False/UnsupportedValue Programmed=False/Invalid"
            ),
        };
        check(name, &world, "ListenerSet infra/set", &expected);
    }
}

/// Requests to the target of a policy that cannot be honoured fail; plaintext is no substitute.
#[test]
fn backends_under_a_tls_policy_are_not_served() {
    let world = format!(
        "{CLASS}{BASE}
BackendTLSPolicy infra/p {{targetRefs: [{{group: '', kind: Service, name: web}}], validation: {{hostname: a}}}}
HTTPRoute infra/r {{parentRefs: [{{name: gw}}, {{name: other}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}"
    );
    let output = output(&world);
    assert_eq!(
        status(&output, "BackendTLSPolicy infra/p"),
        [
            "Gateway gw Accepted=False/UnsupportedValue",
            "Gateway other Accepted=False/UnsupportedValue"
        ],
        "refused under every Gateway that would use it"
    );
    let listeners = output
        .tables
        .gateways
        .values()
        .flat_map(|it| &it.ports[0].listeners);
    for listener in listeners {
        let rule = &listener.routes.rules()[0];
        let faults = rule.backends.iter().map(|backend| match &backend.target {
            Target::Fault { fault, .. } => Some(*fault),
            Target::Service { .. } => None,
        });
        assert_eq!(faults.collect::<Vec<_>>(), [Some(BackendFault::BackendTls)]);
    }
}

#[test]
fn policies_without_users_are_findings_only() {
    let world = "BackendTLSPolicy infra/p {targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: a}}
XBackendTrafficPolicy infra/t {targetRefs: [{group: '', kind: Service, name: web}]}
XBackend infra/b {type: ExternalHostname, port: {port: 80}}";
    let output = output(&format!("{CLASS}{BASE}\n{world}"));
    let rows: [(&str, &[&str], &[&str]); 3] = [
        ("BackendTLSPolicy infra/p", &[], &["WA401 kind"]),
        (
            "XBackendTrafficPolicy infra/t",
            &["Service web Accepted=False/UnsupportedValue"],
            &["WA216 kind"],
        ),
        ("XBackend infra/b", &[], &["WA216 kind"]),
    ];
    for (object, expected, findings) in rows {
        assert_eq!(status(&output, object), expected, "{object}");
        assert_eq!(notes(&output, object), findings, "{object}");
    }
}
