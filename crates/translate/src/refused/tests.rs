//! Kinds that are not built say so, and nothing they protect is served without them.

use crate::{
    Status,
    fixture::{CLASS, check, notes, output, reference, rows, status},
};

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

/// Name of the parent, why the set is not accepted, and what its status says of that.
const SETS: &str = "
let in, but not built     | gw    | ListenersNotValid | write its listeners into the Gateway
not let in                | other | NotAllowed        | (from: None, the default); set from to
somebody else's Gateway   | nope  |                   |
";

#[test]
fn listener_sets_are_not_accepted() {
    for [name, parent, reason, words] in rows(SETS) {
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
        let output = output(&format!("{CLASS}{world}"));
        if let Some(Status::ListenerSet(status)) = output
            .statuses
            .get(&reference("ListenerSet infra/set"))
            .map(AsRef::as_ref)
        {
            let message = &status.conditions[0].message;
            assert!(message.contains(words), "{name}: {message}");
        }
    }
}

#[test]
fn policies_without_users_are_findings_only() {
    let world =
        "XBackendTrafficPolicy infra/t {targetRefs: [{group: '', kind: Service, name: web}]}
XBackend infra/b {type: ExternalHostname, port: {port: 80}}";
    let output = output(&format!("{CLASS}{BASE}\n{world}"));
    let rows: [(&str, &[&str], &[&str]); 2] = [
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
