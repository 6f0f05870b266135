//! Kinds that are not built say so, and nothing they protect is served without them.

use weft_ir::{BackendFault, Name, Target};

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
            "Gateway other Accepted=False/UnsupportedValue",
            "Service web Accepted=False/UnsupportedValue",
        ],
        "refused under every Gateway that would use it, and for clients that dial the Service"
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

/// Targets of a policy, where it is refused, and the ports at which nothing is passed through.
const DIALLED: &str = "
the whole Service            | {group: '', kind: Service, name: api}                        | Service api  | 80 90
by the alias of the group    | {group: core, kind: Service, name: api}                      | Service api  | 80 90
one port of it               | {group: '', kind: Service, name: api, sectionName: calls}    | Service api  | 90
a port that is none          | {group: '', kind: Service, name: api, sectionName: nope}     |              |
a Service without address    | {group: '', kind: Service, name: pods}                       |              |
another kind of that name    | {group: '', kind: Pod, name: api}                            |              |
a backend of a mesh route    | {group: '', kind: Service, name: used}                       | Service used |
";

/// What no route takes would go to the endpoints as it comes: in plaintext.
#[test]
fn nothing_is_passed_through_under_a_tls_policy() {
    for [name, target, ancestor, ports] in rows(DIALLED) {
        let world = format!(
            "{CLASS}
Service shop/api {{clusterIP: 10.0.0.1, ports: [{{name: http, port: 80}}, {{name: calls, port: 90}}, {{name: dns, port: 53, protocol: UDP}}]}}
Service shop/pods {{clusterIP: None, ports: [{{port: 80}}]}}
Service shop/used {{clusterIP: None, ports: [{{port: 80}}]}}
HTTPRoute shop/r {{parentRefs: [{{group: '', kind: Service, name: api, port: 80}}], rules: [{{backendRefs: [{{name: used, port: 80}}]}}]}}
BackendTLSPolicy shop/p {{targetRefs: [{target}], validation: {{hostname: a}}}}
BackendTLSPolicy far/p {{targetRefs: [{{group: '', kind: Service, name: api}}], validation: {{hostname: a}}}}"
        );
        let output = output(&world);
        let expected: Vec<_> = Some(ancestor)
            .filter(|it| !it.is_empty())
            .map(|ancestor| format!("{ancestor} Accepted=False/UnsupportedValue"))
            .into_iter()
            .collect();
        assert_eq!(
            status(&output, "BackendTLSPolicy shop/p"),
            expected,
            "{name}"
        );
        let service = &output.tables.services[&Name::new("shop", "api")];
        let refused = service.ports.iter().filter(|port| port.fault.is_some());
        let refused: Vec<_> = refused.map(|port| port.port.to_string()).collect();
        assert_eq!(refused.join(" "), ports, "{name}");
        let findings = notes(&output, "BackendTLSPolicy shop/p");
        let told = findings.contains(&"WA401 spec.targetRefs[0]".to_owned());
        assert_eq!(told, !ports.is_empty(), "{name}: {findings:?}");
    }
}

#[test]
fn policies_without_users_are_findings_only() {
    let world = "BackendTLSPolicy infra/p {targetRefs: [{group: '', kind: Service, name: nope}], validation: {hostname: a}}
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
