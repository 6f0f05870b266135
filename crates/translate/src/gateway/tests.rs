//! Gateways as a whole and their classes, one row per reason of routing.md section 8 and of the
//! condition constants of `gateway_types.go` and `gatewayclass_types.go`.

use std::net::IpAddr;

use weft_api::{ConditionType, conditions};
use weft_ir::Name;

use crate::{
    ClassPolicy, GatewayFacts, Programming, Scope, Status,
    features::Channel,
    fixture::{CLASS, check, notes, output, reference, scope, status, store, tables},
    translate,
};

const LISTENER: &str = "listeners: [{name: l, port: 80, protocol: HTTP}]";

fn gateway(extra: &str) -> String {
    format!("Gateway infra/gw {{gatewayClassName: weft, {extra}{LISTENER}}}")
}

/// The status of `Gateway infra/gw` under facts of the scope.
fn under(world: &str, change: impl FnOnce(&mut Scope)) -> Vec<String> {
    let mut scope = scope();
    change(&mut scope);
    status(
        &translate(&store(&format!("{CLASS}{world}")), &scope),
        "Gateway infra/gw",
    )
}

fn facts(scope: &mut Scope) -> &mut GatewayFacts {
    scope.gateways.entry(Name::new("infra", "gw")).or_default()
}

#[test]
fn gateways_are_refused_for_what_they_ask() {
    let refused = |reason: &str| {
        [
            format!("gateway Accepted=False/{reason} Programmed=False/Invalid"),
            "l (0) Programmed=False/Invalid".to_owned(),
        ]
    };
    let rows = [
        (
            "parametersRef",
            "infrastructure: {parametersRef: {group: a, kind: B, name: c}}, ",
            "InvalidParameters",
        ),
        (
            "address type",
            "addresses: [{type: Hostname, value: a.com}], ",
            "UnsupportedAddress",
        ),
        (
            "unknown address type",
            "addresses: [{type: example.com/x, value: a}], ",
            "UnsupportedAddress",
        ),
        ("default Gateways", "defaultScope: All, ", "Invalid"),
        (
            "the first reason counts",
            "defaultScope: All, addresses: [{type: Hostname}], ",
            "UnsupportedAddress",
        ),
    ];
    for (name, extra, reason) in rows {
        let expected = refused(reason);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(
            "",
            &[(name, &gateway(extra), "Gateway infra/gw", &expected)],
        );
        let world = format!("{CLASS}{}", gateway(extra));
        assert!(
            tables(&output(&world)).is_empty(),
            "{name}: nothing is served"
        );
    }
    check(
        "",
        &[
            (
                "default scope None",
                &gateway("defaultScope: None, "),
                "Gateway infra/gw",
                &["gateway", "l (0)"],
            ),
            (
                "labels and annotations are no parameters",
                &gateway("infrastructure: {labels: {a: b}}, "),
                "Gateway infra/gw",
                &["gateway", "l (0)"],
            ),
            (
                "no listener",
                "Gateway infra/gw {gatewayClassName: weft}",
                "Gateway infra/gw",
                &["gateway Accepted=False/ListenersNotValid Programmed=False/Invalid"],
            ),
            (
                "client certificate towards backends",
                &gateway("tls: {backend: {clientCertificateRef: {name: c}}}, "),
                "Gateway infra/gw",
                &[
                    "gateway ResolvedRefs=False/InvalidClientCertificateRef",
                    "l (0)",
                ],
            ),
        ],
    );
}

#[test]
fn programmed_is_what_the_world_says() {
    let waiting = "l (0) Programmed=False/Pending";
    let at = IpAddr::from([127, 0, 0, 9]);
    let world = gateway("");
    let addressed = |value: &str| gateway(&format!("addresses: [{{value: {value}}}], "));
    assert_eq!(
        under(&world, |_| {}),
        ["gateway", "l (0)"],
        "addresses and served"
    );
    assert_eq!(
        under(&world, |scope| facts(scope).addresses.clear()),
        ["gateway Programmed=False/AddressNotAssigned", waiting]
    );
    assert_eq!(
        under(&addressed("127.0.0.9"), |_| {}),
        ["gateway", "l (0)"],
        "address asked for and given"
    );
    assert_eq!(
        under(&addressed("10.1.1.1"), |_| {}),
        ["gateway Programmed=False/AddressNotUsable", waiting],
        "address asked for and not given"
    );
    assert_eq!(
        under(&gateway("addresses: [{type: IPAddress}], "), |_| {}),
        ["gateway", "l (0)"],
        "an empty value takes any address"
    );
    let busy = |scope: &mut Scope| {
        facts(scope)
            .unusable_ports
            .insert(80, "address in use".to_owned());
    };
    assert_eq!(
        under(&world, busy),
        [
            "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid",
            "l (0) Accepted=False/PortUnavailable Programmed=False/Invalid"
        ]
    );
    let acknowledged = |generation: Option<i64>| {
        move |scope: &mut Scope| {
            scope.programming = Programming::Acknowledged;
            *facts(scope) = GatewayFacts {
                addresses: vec![at],
                acknowledged: generation,
                ..GatewayFacts::default()
            };
        }
    };
    let third = world.replace("infra/gw ", "infra/gw @{generation: 3} ");
    let pending = ["gateway Programmed=False/Pending", waiting];
    assert_eq!(
        under(&third, acknowledged(None)),
        pending,
        "no proxy has answered"
    );
    assert_eq!(
        under(&third, acknowledged(Some(2))),
        pending,
        "an older generation"
    );
    assert_eq!(
        under(&third, acknowledged(Some(3))),
        ["gateway", "l (0)"],
        "this generation"
    );
}

#[test]
fn statuses_name_the_generation_and_the_addresses() {
    let world = format!(
        "{CLASS}{}",
        gateway("").replace("infra/gw ", "infra/gw @{generation: 7} ")
    );
    let output = output(&world);
    let Status::Gateway(status) = &*output.statuses[&reference("Gateway infra/gw")] else {
        panic!("a Gateway has a Gateway status");
    };
    let listeners = status
        .listeners
        .iter()
        .flat_map(|listener| &listener.conditions);
    for condition in status.conditions.iter().chain(listeners) {
        assert_eq!(
            condition.observed_generation,
            Some(7),
            "{}",
            condition.type_
        );
        assert!(
            !condition.message.is_empty(),
            "{} has a message",
            condition.type_
        );
    }
    let values: Vec<_> = status
        .addresses
        .iter()
        .filter_map(|it| it.value.as_deref())
        .collect();
    assert_eq!(values, ["127.0.0.9"]);
}

#[test]
fn classes_decide_whose_a_gateway_is() {
    const FOREIGN: &str = "GatewayClass weft {controllerName: example.com/other}\n";
    const BROKEN: &str = "GatewayClass weft {controllerName: weft.dev/gateway-controller, parametersRef: {group: a, kind: B, name: c}}\n";
    let waits: &[&str] = &[
        "gateway Accepted=Unknown/Pending Programmed=Unknown/Pending",
        "l (0) Programmed=Unknown/Pending",
    ];
    let good: &[&str] = &["gateway", "l (0)"];
    let rows: [(&str, &str, ClassPolicy, &[&str], &[&str]); 6] = [
        ("ours", CLASS, ClassPolicy::Ours, good, &[]),
        ("foreign", FOREIGN, ClassPolicy::Ours, &[], &[]),
        ("missing", "", ClassPolicy::Ours, &[], &[]),
        (
            "foreign, alone",
            FOREIGN,
            ClassPolicy::Every,
            good,
            &["WA113 spec.gatewayClassName"],
        ),
        (
            "missing, alone",
            "",
            ClassPolicy::Every,
            good,
            &["WA113 spec.gatewayClassName"],
        ),
        ("not accepted", BROKEN, ClassPolicy::Ours, waits, &[]),
    ];
    for (name, class, classes, expected, findings) in rows {
        let store = store(&format!("{class}{}", gateway("")));
        let output = translate(&store, &Scope { classes, ..scope() });
        assert_eq!(status(&output, "Gateway infra/gw"), expected, "{name}");
        assert_eq!(notes(&output, "Gateway infra/gw"), findings, "{name}");
        assert_eq!(
            tables(&output).len(),
            usize::from(expected == good),
            "{name}: what is served"
        );
    }
}

#[test]
fn classes_and_meshes_of_ours_get_a_status() {
    let cases = "GatewayClass weft {controllerName: weft.dev/gateway-controller}
GatewayClass broken {controllerName: weft.dev/gateway-controller, parametersRef: {group: a, kind: B, name: c}}
GatewayClass foreign {controllerName: example.com/other}
XMesh weft {controllerName: weft.dev/mesh-controller}
XMesh broken {controllerName: weft.dev/mesh-controller, parametersRef: {group: a, kind: B, name: c}}
XMesh foreign {controllerName: example.com/other}";
    let supported = "SupportedVersion=True/SupportedVersion";
    let rows: [(&str, &[&str]); 6] = [
        ("GatewayClass weft", &[&format!("class {supported}")]),
        (
            "GatewayClass broken",
            &[&format!(
                "class Accepted=False/InvalidParameters {supported}"
            )],
        ),
        ("GatewayClass foreign", &[]),
        ("XMesh weft", &["mesh"]),
        ("XMesh broken", &["mesh Accepted=False/InvalidParameters"]),
        ("XMesh foreign", &[]),
    ];
    let output = output(cases);
    for (object, expected) in rows {
        assert_eq!(status(&output, object), expected, "{object}");
    }
    let features = |name: &str| match &*output.statuses[&reference(name)] {
        Status::GatewayClass(class) | Status::Mesh(class) => class.supported_features.clone(),
        other => panic!("{name} has {other:?}"),
    };
    assert_eq!(
        features("GatewayClass weft"),
        features("XMesh weft"),
        "one list (invariant 14)"
    );
}

#[test]
fn a_foreign_mesh_of_our_name_is_a_warning() {
    let output = output("XMesh weft {controllerName: example.com/other}");
    assert_eq!(notes(&output, "XMesh weft"), ["WA117 spec.controllerName"]);
    assert!(status(&output, "XMesh weft").is_empty(), "never touched");
}

#[test]
fn crds_of_another_version_are_said() {
    let rows = [
        ("v1.6.1", "True/SupportedVersion"),
        ("v1.6.0", "True/SupportedVersion"),
        ("v1.5.2", "False/UnsupportedVersion"),
        ("v1.60.0", "False/UnsupportedVersion"),
        ("v2.0.0", "False/UnsupportedVersion"),
    ];
    for (version, expected) in rows {
        let scope = Scope::cluster(Channel::Standard, version);
        let lines = status(&translate(&store(CLASS), &scope), "GatewayClass weft");
        assert_eq!(
            lines,
            [format!("class SupportedVersion={expected}")],
            "bundle version {version}"
        );
    }
}

/// Conditions of types we do not know belong to somebody else.
#[test]
fn foreign_conditions_survive() {
    let mut objects = crate::fixture::objects(&format!("{CLASS}{}", gateway("")));
    if let Some(weft_api::AnyObject::Gateway(gateway)) = objects.last_mut() {
        let mut changed = weft_api::Gateway::clone(gateway);
        let foreign = |type_: &str| weft_api::Condition {
            type_: type_.into(),
            ..Default::default()
        };
        changed.status.conditions = vec![foreign("example.com/Seen"), foreign("Accepted")];
        *gateway = changed.into();
    }
    let output = translate(&crate::fixture::store_of(objects), &scope());
    let Status::Gateway(status) = &*output.statuses[&reference("Gateway infra/gw")] else {
        panic!("a Gateway has a Gateway status");
    };
    assert!(
        status
            .conditions
            .iter()
            .any(|it| it.type_ == "example.com/Seen"),
        "kept"
    );
    let accepted = conditions::find(&status.conditions, ConditionType::Accepted);
    assert_eq!(
        accepted.map(|it| it.reason.as_str()),
        Some("Accepted"),
        "ours is new"
    );
    let count = status
        .conditions
        .iter()
        .filter(|it| it.is(ConditionType::Accepted))
        .count();
    assert_eq!(count, 1, "one condition per type");
}
