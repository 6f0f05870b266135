//! `parametersRef` where somebody deploys Gateways: one row per clause of the comments of
//! `GatewayClassSpec.parametersRef`, `GatewayInfrastructure.parametersRef` and their reasons
//! `InvalidParameters`.

use weft_ir::Name;

use crate::{
    Scope, UnusableParameters,
    fixture::{lines, notes, rows, scope, status, store, tables},
    translate,
};

const WORLD: &str = "
GatewayClass weft {controllerName: weft.dev/gateway-controller, parametersRef: {group: '', kind: ConfigMap, name: all, namespace: a}}
Service infra/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
HTTPRoute infra/r {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
Gateway infra/gw {gatewayClassName: weft, infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: own}}, ";

const LISTENER: &str = "listeners: [{name: l, port: 80, protocol: HTTP}]}";

/// Whose parameters the deployer refused, further fields of the Gateway, statuses of the Gateway and of
/// its class, and the ports served. The finding is of the object whose parameters are wrong.
const ROWS: &str = "
nobody's              |         |                     | gateway + l (1) | class | 1
the Gateway's         | gateway |                     | gateway Accepted=False/InvalidParameters Programmed=False/Invalid + l (1) Programmed=False/Invalid | class | 1
the class's           | class   |                     | gateway Accepted=Unknown/Pending Programmed=Unknown/Pending + l (1) Programmed=Unknown/Pending | class Accepted=False/InvalidParameters | 1
and it asks too much  | gateway | defaultScope: All,  | gateway Accepted=False/Invalid Programmed=False/Invalid + l (0) Programmed=False/Invalid | class | 0
of a class, likewise  | class   | defaultScope: All,  | gateway Accepted=Unknown/Pending Programmed=Unknown/Pending + l (0) Programmed=Unknown/Pending | class Accepted=False/InvalidParameters | 0
";

fn judged(whose: &str) -> Scope {
    let mut unusable = UnusableParameters::default();
    let why = || "ConfigMap has a key that is no parameter".to_owned();
    match whose {
        "gateway" => drop(unusable.gateways.insert(Name::new("infra", "gw"), why())),
        "class" => drop(unusable.classes.insert("weft".to_owned(), why())),
        _ => {}
    }
    Scope {
        unusable_parameters: Some(unusable),
        ..scope()
    }
}

#[test]
fn a_deployer_judges_parameters_and_a_mistake_in_them_stops_no_traffic() {
    for [name, whose, extra, gateway, class, ports] in rows(ROWS) {
        let store = store(&format!("{WORLD}{extra}{LISTENER}"));
        let output = translate(&store, &judged(whose));
        assert_eq!(
            status(&output, "Gateway infra/gw"),
            lines(gateway),
            "{name}"
        );
        let of_class = format!("{class} SupportedVersion=True/SupportedVersion");
        assert_eq!(status(&output, "GatewayClass weft"), [of_class], "{name}");
        let frontends = tables(&output);
        let served = frontends.iter().filter(|it| it.starts_with("infra/gw:"));
        assert_eq!(served.count().to_string(), ports, "{name}: {frontends:?}");
    }
}

#[test]
fn what_is_wrong_with_parameters_is_a_finding_of_whoever_refers_to_them() {
    let store = store(&format!("{WORLD}{LISTENER}"));
    for (whose, object, finding) in [
        (
            "gateway",
            "Gateway infra/gw",
            "WA115 spec.infrastructure.parametersRef",
        ),
        ("class", "GatewayClass weft", "WA115 spec.parametersRef"),
    ] {
        let found = notes(&translate(&store, &judged(whose)), object);
        assert!(found.contains(&finding.to_owned()), "{whose}: {found:?}");
        let found = notes(&translate(&store, &judged("")), object);
        assert!(!found.contains(&finding.to_owned()), "nobody's: {found:?}");
    }
}
