//! Deployments as they are written, against reviewed pages in `testdata/deploy`; `UPDATE=1` writes
//! the pages anew. And what pages cannot show: refusals, and what may never change.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use weft_api::{AnyObject, ConfigMap, Gateway, ListenerSet};
use weft_spiffe::TrustDomain;

use super::{ADMIN_PORT, Deployed, Parameters, Settings, is_ours, ports, render};

mod parameters;

fn settings() -> Settings {
    Settings {
        image: "ghcr.io/weft-mesh/weft-proxy:0.1.0".to_owned(),
        control_plane: "weft-controller.weft-system.svc".to_owned(),
        control_namespace: "weft-system".to_owned(),
        trust_domain: TrustDomain::parse("cluster.local").expect("a trust domain"),
        drain_delay: Duration::from_secs(5),
        drain_limit: Duration::from_secs(300),
    }
}

fn object<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"))
}

/// A Gateway with more fields of its spec, in YAML flow style.
fn gateway(spec: &str) -> Gateway {
    object(&format!(
        "{{metadata: {{namespace: infra, name: edge, uid: 0b4e}}, \
         spec: {{gatewayClassName: weft, {spec}}}}}"
    ))
}

const ONE_PORT: &str = "listeners: [{name: http, port: 80, protocol: HTTP}]";

fn deployed(gateway: &Gateway, parameters: &Parameters) -> Deployed {
    let listening = ports(&gateway.spec.listeners);
    render(gateway, &listening, parameters, &settings()).expect("the Gateway has a uid")
}

fn parameters(data: Value) -> Result<Parameters, Vec<String>> {
    let named = "infrastructure: {parametersRef: {group: \"\", kind: ConfigMap, name: big}}";
    let map: ConfigMap = serde_json::from_value(json!({ "data": data })).expect("a ConfigMap");
    Parameters::of(&gateway(named), &Parameters::default(), |_| Some(&map))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn check_page(name: &str, objects: &[&Value]) {
    let pages: Vec<String> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).expect("a value is YAML"))
        .collect();
    let found = pages.join("---\n");
    let file = format!("testdata/deploy/{name}.yaml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, found).expect("write a page");
        return;
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, reviewed,
        "{file} differs from what is rendered; if that is right, run with UPDATE=1"
    );
}

#[test]
fn a_gateway_is_deployed_as_reviewed() {
    let plain = deployed(&gateway(ONE_PORT), &Parameters::default());
    check_page("plain", &plain.objects().collect::<Vec<_>>());
}

#[test]
fn everything_a_gateway_can_say_is_in_its_service_as_reviewed() {
    let gateway = gateway(
        "addresses: [{value: 192.0.2.7}],
         infrastructure: {labels: {team: edge, app.kubernetes.io/name: mine}, annotations: {a/b: c}},
         listeners: [
           {name: a, port: 443, protocol: HTTPS}, {name: b, port: 443, protocol: TLS},
           {name: c, port: 53, protocol: UDP}, {name: d, port: 53, protocol: TCP},
           {name: e, port: 80, protocol: HTTP}, {name: f, port: 15021, protocol: HTTP},
           {name: g, port: 7, protocol: example.com/x}]",
    );
    let deployed = deployed(&gateway, &Parameters::default());
    let service = deployed.service.expect("a Service");
    check_page("service", &[&service]);
}

#[test]
fn what_infrastructure_says_is_on_every_object_and_on_pods() {
    let infrastructure = "infrastructure: {labels: {key2: value2}, annotations: {key1: value1}}";
    let deployed = deployed(
        &gateway(&format!("{infrastructure}, {ONE_PORT}")),
        &Parameters::default(),
    );
    let template = &deployed.deployment["spec"]["template"];
    let all = deployed.objects().chain([template]);
    for object in all {
        let metadata = &object["metadata"];
        let kind = object["kind"].as_str().unwrap_or("the pod template");
        assert_eq!(metadata["labels"]["key2"], "value2", "label of {kind}");
        assert_eq!(
            metadata["annotations"]["key1"], "value1",
            "annotation of {kind}"
        );
        let name = &metadata["labels"]["gateway.networking.k8s.io/gateway-name"];
        assert_eq!(name, "edge", "name of the Gateway on {kind}");
    }
}

#[test]
fn labels_of_the_user_cannot_take_pods_from_their_service() {
    let label = "infrastructure: {labels: {gateway.networking.k8s.io/gateway-name: other}}";
    let deployed = deployed(
        &gateway(&format!("{label}, {ONE_PORT}")),
        &Parameters::default(),
    );
    let selector = &deployed.deployment["spec"]["selector"]["matchLabels"];
    let labels = &deployed.deployment["spec"]["template"]["metadata"]["labels"];
    let service = deployed.service.as_ref().expect("a Service");
    assert_eq!(
        &service["spec"]["selector"], selector,
        "Service and Deployment"
    );
    for (key, value) in selector.as_object().expect("labels") {
        assert_eq!(
            &labels[key], value,
            "pods have the label {key} they are selected by"
        );
    }
}

#[test]
fn what_the_user_changes_never_changes_the_selector() {
    let plain = deployed(&gateway(ONE_PORT), &Parameters::default());
    let labelled = format!("infrastructure: {{labels: {{a: b}}}}, {ONE_PORT}");
    let labelled = deployed(&gateway(&labelled), &Parameters::default());
    let selector = |deployed: &Deployed| deployed.deployment["spec"]["selector"].clone();
    assert_eq!(
        selector(&plain),
        selector(&labelled),
        "a Deployment cannot change it"
    );
}

#[test]
fn listeners_of_listener_sets_count() {
    let set: ListenerSet = object(
        "{spec: {parentRef: {name: edge}, listeners: [{name: b, port: 81, protocol: HTTP}]}}",
    );
    let gateway = gateway(ONE_PORT);
    let found = ports(gateway.spec.listeners.iter().chain(&set.spec.listeners));
    let numbers: Vec<_> = found.iter().map(|port| port.number).collect();
    assert_eq!(numbers, [80, 81]);
    assert!(!numbers.contains(&ADMIN_PORT));
}

#[test]
fn without_listeners_there_is_no_service() {
    let deployed = deployed(&gateway("listeners: []"), &Parameters::default());
    assert_eq!(deployed.service, None, "no Service can be without ports");
}

#[test]
fn a_gateway_without_uid_is_refused() {
    let mut gateway = gateway(ONE_PORT);
    gateway.metadata.uid = None;
    let error = render(&gateway, &ports([]), &Parameters::default(), &settings());
    let error = error
        .expect_err("nothing would remove its objects")
        .to_string();
    assert!(
        error.contains("Gateway infra/edge: metadata.uid"),
        "{error}"
    );
}

#[test]
fn only_objects_of_this_incarnation_are_ours() {
    let gateway = gateway(ONE_PORT);
    let mut account = deployed(&gateway, &Parameters::default()).service_account;
    assert!(is_ours(&account, &gateway), "what was just rendered");
    account["metadata"]["ownerReferences"][0]["uid"] = json!("of its predecessor");
    assert!(!is_ours(&account, &gateway), "another incarnation");
    account["metadata"]["ownerReferences"] = Value::Null;
    assert!(!is_ours(&account, &gateway), "no owner");
}

#[test]
fn parameters_are_where_they_belong() {
    let parameters = parameters(json!({
        "replicas": "3\n",
        "serviceType": "ClusterIP",
        "logLevel": "debug",
        "resources.requests.cpu": "1",
        "resources.limits.memory": "1Gi",
    }));
    let parameters = parameters.expect("all of them are known");
    let deployed = deployed(&gateway(ONE_PORT), &parameters);
    let spec = &deployed.deployment["spec"];
    assert_eq!(spec["replicas"], 3);
    let container = &spec["template"]["spec"]["containers"][0];
    let resources = json!({
        "requests": { "cpu": "1", "memory": "64Mi" },
        "limits": { "memory": "1Gi" },
    });
    assert_eq!(container["resources"], resources);
    let arguments = container["args"].as_array().expect("arguments");
    assert!(arguments.contains(&json!("--log=debug")), "{arguments:?}");
    let service = deployed.service.expect("a Service");
    assert_eq!(service["spec"]["type"], "ClusterIP");
}

#[test]
fn replicas_belong_to_whoever_scales_unless_they_are_set() {
    let deployed = deployed(&gateway(ONE_PORT), &Parameters::default());
    let spec = deployed.deployment["spec"].as_object().expect("a spec");
    assert!(
        !spec.contains_key("replicas"),
        "an autoscaler would be fought"
    );
}

/// Each case: the data of the ConfigMap, a part of every error in order.
fn refusals() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (
            json!({ "replica": "1" }),
            vec!["\"replica\" is no parameter; there are replicas,"],
        ),
        (
            json!({ "resources.requests.gpu": "1" }),
            vec!["is no parameter"],
        ),
        (
            json!({ "replicas": "0" }),
            vec!["replicas: \"0\" is no number from 1 to 1000"],
        ),
        (json!({ "replicas": "-1" }), vec!["is no number"]),
        (
            json!({ "serviceType": "ExternalName" }),
            vec!["is none of LoadBalancer, ClusterIP, NodePort"],
        ),
        (
            json!({ "logLevel": "loud" }),
            vec!["is none of error, warn,"],
        ),
        (
            json!({ "resources.limits.cpu": "much" }),
            vec!["is no quantity"],
        ),
        (
            json!({ "resources.limits.memory": "1Mi" }),
            vec!["is less than the request of 64Mi"],
        ),
        (
            json!({ "logLevel": "loud", "replicas": "x" }),
            vec!["logLevel", "replicas"],
        ),
    ]
}

#[test]
fn parameters_nobody_knows_are_refused() {
    for (data, expected) in refusals() {
        let errors = parameters(data.clone()).expect_err("refused");
        assert_eq!(errors.len(), expected.len(), "{data}: {errors:?}");
        for (error, part) in errors.iter().zip(expected) {
            assert!(error.contains(part), "{data}: {error}");
            assert!(error.starts_with("ConfigMap infra/big: "), "{error}");
        }
    }
}

#[test]
fn parameters_of_other_kinds_and_missing_ones_are_refused() {
    let refused = |reference: &str| {
        let gateway = gateway(&format!("infrastructure: {{parametersRef: {reference}}}"));
        let errors = Parameters::of(&gateway, &Parameters::default(), |_| None);
        let errors = errors.expect_err("refused");
        errors.iter().map(ToString::to_string).collect::<String>()
    };
    let kind = refused("{group: invalid.io, kind: InvalidParameters, name: invalid}");
    assert!(
        kind.contains("InvalidParameters of group \"invalid.io\""),
        "{kind}"
    );
    let missing = refused("{group: \"\", kind: ConfigMap, name: gone}");
    assert!(
        missing.contains("ConfigMap infra/gone does not exist"),
        "{missing}"
    );
}

#[test]
fn an_address_is_asked_for_where_the_service_type_has_it() {
    let service = |asked: &str, service_type: &str| {
        let gateway = gateway(&format!("addresses: [{asked}], {ONE_PORT}"));
        let parameters = parameters(json!({ "serviceType": service_type })).expect("a type");
        deployed(&gateway, &parameters).service.expect("a Service")["spec"].take()
    };
    for (asked, service_type, field, address, policy, families) in [
        (
            "{value: 192.0.2.1}",
            "LoadBalancer",
            "loadBalancerIP",
            "192.0.2.1",
            "SingleStack",
            json!(["IPv4"]),
        ),
        (
            "{value: \"2001:db8::1\"}",
            "LoadBalancer",
            "loadBalancerIP",
            "2001:db8::1",
            "SingleStack",
            json!(["IPv6"]),
        ),
        (
            "{value: 10.96.0.9}",
            "ClusterIP",
            "clusterIP",
            "10.96.0.9",
            "SingleStack",
            json!(["IPv4"]),
        ),
        (
            "{value: \"2001:db8::1\"}, {value: 192.0.2.1}",
            "LoadBalancer",
            "loadBalancerIP",
            "2001:db8::1",
            "PreferDualStack",
            json!(["IPv6", "IPv4"]),
        ),
    ] {
        let spec = service(asked, service_type);
        assert_eq!(spec[field], address, "{asked}");
        assert_eq!(spec["ipFamilyPolicy"], policy, "{asked}");
        assert_eq!(spec["ipFamilies"], families, "{asked}");
    }
    let spec = service("{type: IPAddress}", "LoadBalancer");
    assert_eq!(spec["loadBalancerIP"], Value::Null, "any address will do");
    assert_eq!(spec["ipFamilies"], Value::Null, "of any family");
}

#[test]
fn what_is_deployed_parses_as_what_is_read() {
    let deployed = deployed(&gateway(ONE_PORT), &Parameters::default());
    let service = deployed.service.expect("a Service");
    let parsed = AnyObject::parse(service).expect("a Service as the store has it");
    assert_eq!(parsed.kind(), weft_api::Kind::Service);
}
