//! Gateways as a whole and their classes, one row per reason of routing.md section 8 and of the
//! condition constants of `gateway_types.go` and `gatewayclass_types.go`.

use weft_api::{ConditionType, conditions};
use weft_ir::Name;

mod parameters;

use crate::{
    ClassPolicy, GatewayFacts, Programming, Scope, Status,
    features::Channel,
    fixture::{CLASS, check, lines, notes, output, reference, rows, scope, status, store, tables},
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

/// Fields of the Gateway's spec, and why it is refused.
const REFUSED: &str = "
parametersRef            | infrastructure: {parametersRef: {group: a, kind: B, name: c}}, | InvalidParameters
address type             | addresses: [{type: Hostname, value: a.com}],                   | UnsupportedAddress
unknown address type     | addresses: [{type: example.com/x, value: a}],                  | UnsupportedAddress
default Gateways         | defaultScope: All,                                             | Invalid
the first reason counts  | defaultScope: All, addresses: [{type: Hostname}],              | UnsupportedAddress
";

#[test]
fn gateways_are_refused_for_what_they_ask() {
    for [name, extra, reason] in rows(REFUSED) {
        let expected = format!(
            "gateway Accepted=False/{reason} Programmed=False/Invalid + l (0) Programmed=False/Invalid"
        );
        let world = gateway(extra);
        check(name, &world, "Gateway infra/gw", &expected);
        let output = output(&format!("{CLASS}{world}"));
        assert!(tables(&output).is_empty(), "{name}: nothing is served");
    }
}

/// Fields of the Gateway's spec that are no reason to refuse it, and its status.
const SERVED: &str = "
default scope None                 | defaultScope: None,                                  | gateway
labels are no parameters           | infrastructure: {labels: {a: b}},                    | gateway
certificate towards backends       | tls: {backend: {clientCertificateRef: {name: c}}},   | gateway ResolvedRefs=False/InvalidClientCertificateRef
";

#[test]
fn gateways_are_served_in_spite_of_what_they_ask() {
    for [name, extra, expected] in rows(SERVED) {
        let expected = format!("{expected} + l (0)");
        check(name, &gateway(extra), "Gateway infra/gw", &expected);
    }
    let bare = "Gateway infra/gw {gatewayClassName: weft}";
    let expected = "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid";
    check("no listener", bare, "Gateway infra/gw", expected);
}

const WAITING: &str = "l (0) Programmed=False/Pending";

#[test]
fn addresses_are_asked_for_and_given() {
    let world = gateway("");
    let addressed = |value: &str| gateway(&format!("addresses: [{{{value}}}], "));
    assert_eq!(
        under(&world, |_| {}),
        ["gateway", "l (0)"],
        "addresses and served"
    );
    assert_eq!(
        under(&world, |scope| facts(scope).addresses.clear()),
        ["gateway Programmed=False/AddressNotAssigned", WAITING]
    );
    assert_eq!(
        under(&addressed("value: 127.0.0.9"), |_| {}),
        ["gateway", "l (0)"],
        "as asked for"
    );
    assert_eq!(
        under(&addressed("value: 10.1.1.1"), |_| {}),
        ["gateway Programmed=False/AddressNotUsable", WAITING],
        "asked for and not given"
    );
    assert_eq!(
        under(&addressed("type: IPAddress"), |_| {}),
        ["gateway", "l (0)"],
        "an empty value takes any address (GatewayAddressEmpty)"
    );
}

/// Addresses as the status lists them.
fn listed(scope: &Scope) -> Vec<String> {
    let output = translate(&store(&format!("{CLASS}{}", gateway(""))), scope);
    let Status::Gateway(status) = &*output.statuses[&reference("Gateway infra/gw")] else {
        panic!("a Gateway has a Gateway status");
    };
    let text = |it: &weft_api::gateway::GatewayAddress| {
        format!(
            "{} {}",
            it.type_().as_str(),
            it.value.as_deref().unwrap_or_default()
        )
    };
    status.addresses.iter().map(text).collect()
}

#[test]
fn a_name_of_a_load_balancer_is_an_address() {
    let mut scope = scope();
    facts(&mut scope).hostnames = vec!["lb.example".to_owned()];
    let both = ["IPAddress 127.0.0.9", "Hostname lb.example"];
    assert_eq!(listed(&scope), both, "addresses come first");
    facts(&mut scope).addresses.clear();
    assert_eq!(listed(&scope), ["Hostname lb.example"]);
    let output = translate(&store(&format!("{CLASS}{}", gateway(""))), &scope);
    let good = ["gateway", "l (0)"];
    assert_eq!(
        status(&output, "Gateway infra/gw"),
        good,
        "it can be reached"
    );
    facts(&mut scope).hostnames = (0..40).map(|at| format!("{at}.example")).collect();
    assert_eq!(listed(&scope).len(), 16, "the schema allows 16");
}

/// What could not be deployed (GatewayConditionProgrammed). An address that cannot be had is the
/// better reason, because it is the one a user asked for.
#[test]
fn what_cannot_be_deployed_is_not_programmed() {
    let undeployed = |scope: &mut Scope| {
        facts(scope).undeployed = Some("services infra/gw-weft exists".to_owned());
    };
    let pending = ["gateway Programmed=False/Pending", WAITING];
    assert_eq!(under(&gateway(""), undeployed), pending);
    let unusable = ["gateway Programmed=False/AddressNotUsable", WAITING];
    let asked = gateway("addresses: [{value: 10.1.1.1}], ");
    assert_eq!(under(&asked, undeployed), unusable);
}

/// Listeners of the Gateway and its status where the proxies need port 15021 themselves
/// (ListenerReasonPortUnavailable).
const RESERVED: &str = "
the port alone       | {name: l, port: 15021, protocol: HTTP} | gateway Accepted=False/ListenersNotValid Programmed=False/Invalid + l (0) Accepted=False/PortUnavailable Programmed=False/Invalid | 0
with others          | {name: l, port: 15021, protocol: HTTP}, {name: m, port: 80, protocol: HTTP} | gateway Accepted=True/ListenersNotValid + l (0) Accepted=False/PortUnavailable Programmed=False/Invalid + m (0) | 1
the one beside it    | {name: l, port: 15020, protocol: HTTP} | gateway + l (0) | 1
";

#[test]
fn ports_of_the_proxies_themselves_are_refused() {
    let reserved_ports = [(15021, "for probes".to_owned())].into();
    let scope = Scope {
        reserved_ports,
        ..scope()
    };
    for [name, listeners, expected, ports] in rows(RESERVED) {
        let world =
            format!("{CLASS}Gateway infra/gw {{gatewayClassName: weft, listeners: [{listeners}]}}");
        let output = translate(&store(&world), &scope);
        assert_eq!(
            status(&output, "Gateway infra/gw"),
            lines(expected),
            "{name}"
        );
        assert_eq!(
            tables(&output).len().to_string(),
            ports,
            "{name}: ports opened"
        );
    }
}

#[test]
fn ports_that_cannot_be_opened_are_said() {
    let busy = |scope: &mut Scope| {
        facts(scope)
            .unusable_ports
            .insert(80, "address in use".to_owned());
    };
    assert_eq!(
        under(&gateway(""), busy),
        [
            "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid",
            "l (0) Accepted=False/PortUnavailable Programmed=False/Invalid"
        ]
    );
}

#[test]
fn programmed_waits_for_every_proxy() {
    let world = gateway("").replace("infra/gw ", "infra/gw @{generation: 3} ");
    let at = |acknowledged: Option<i64>| {
        under(&world, |scope| {
            scope.programming = Programming::Acknowledged;
            facts(scope).acknowledged = acknowledged;
        })
    };
    let pending = ["gateway Programmed=False/Pending", WAITING];
    assert_eq!(at(None), pending, "no proxy has answered");
    assert_eq!(at(Some(2)), pending, "an older generation");
    assert_eq!(at(Some(3)), ["gateway", "l (0)"], "this generation");
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

/// The class that there is (`other`: the Gateway names one that is not), who serves, the status of the Gateway and findings about it.
const CLASSES: &str = "
ours           | ours    | Ours  | gateway + l (0) |
foreign        | foreign | Ours  | |
missing        |         | Ours  | |
foreign, alone | foreign | Every | gateway + l (0) | WA113 spec.gatewayClassName
missing, alone |         | Every | gateway + l (0) |
not of ours    | other   | Every | gateway + l (0) | WA113 spec.gatewayClassName
not accepted   | broken  | Ours  | gateway Accepted=Unknown/Pending Programmed=Unknown/Pending + l (0) Programmed=Unknown/Pending | WA113 spec.gatewayClassName
";

#[test]
fn classes_decide_whose_a_gateway_is() {
    for [name, class_of, policy, expected, findings] in rows(CLASSES) {
        let class = match class_of {
            "ours" => CLASS,
            "foreign" => "GatewayClass weft {controllerName: example.com/other}\n",
            "broken" => BROKEN_CLASS,
            _ => "",
        };
        let classes = match policy {
            "Ours" => ClassPolicy::Ours,
            _ => ClassPolicy::Every,
        };
        let gateway = match class_of {
            "other" => gateway("").replace("gatewayClassName: weft", "gatewayClassName: other"),
            _ => gateway(""),
        };
        let store = store(&format!("{class}{gateway}"));
        let output = translate(&store, &Scope { classes, ..scope() });
        assert_eq!(
            status(&output, "Gateway infra/gw"),
            lines(expected),
            "{name}"
        );
        assert_eq!(
            notes(&output, "Gateway infra/gw"),
            lines(findings),
            "{name}"
        );
        let served = usize::from(expected == "gateway + l (0)");
        assert_eq!(tables(&output).len(), served, "{name}: what is served");
    }
}

const BROKEN_CLASS: &str = "GatewayClass weft {controllerName: weft.dev/gateway-controller, parametersRef: {group: a, kind: B, name: c}}
";

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
    let has = |name: &str, feature: &str| match &*output.statuses[&reference(name)] {
        Status::GatewayClass(class) | Status::Mesh(class) => {
            let mut listed = class.supported_features.iter();
            listed.any(|it| it.name == feature)
        }
        other => panic!("{name} has {other:?}"),
    };
    let rows = [
        ("HTTPRoute", true, true),
        ("Gateway", true, false),
        ("Mesh", false, true),
    ];
    for (feature, class, mesh) in rows {
        assert_eq!(has("GatewayClass weft", feature), class, "class: {feature}");
        assert_eq!(has("XMesh weft", feature), mesh, "mesh: {feature}");
    }
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
