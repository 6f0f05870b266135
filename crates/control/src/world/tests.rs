//! From objects to Gateways, addresses and statuses.

use serde_json::{Value, json};
use weft_api::{Kind, ObjectKey};
use weft_certs::{Authority, Clock, TrustBundle};
use weft_spiffe::TrustDomain;

use super::*;
use crate::deploy::ADMIN_PORT;

mod ending;
mod leftovers;
mod withdrawn;

fn object(value: Value) -> Event {
    Event::Apply(AnyObject::parse(value).expect("a good object"))
}

fn class(controller: &str) -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": "weft" }, "spec": { "controllerName": controller },
    }))
}

fn gateway(generation: i64) -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": "shop", "name": "edge", "uid": "1", "generation": generation },
        "spec": {
            "gatewayClassName": "weft",
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    }))
}

/// The Service that was made for the Gateway.
fn service(spec: Value, status: Value) -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "shop", "name": "edge-weft",
            "labels": { "app.kubernetes.io/managed-by": "weft" },
            "ownerReferences": [{ "kind": "Gateway", "name": "edge", "uid": "1" }],
        },
        "spec": spec, "status": status,
    }))
}

#[test]
fn a_service_of_somebody_else_gives_a_gateway_no_address() {
    let theirs = object(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": "shop", "name": "edge-weft" },
        "spec": { "clusterIP": "10.0.0.7" },
    }));
    let events = || vec![class(OURS), gateway(1), theirs.clone()];
    let (world, _) = world(events());
    assert_eq!(programmed(&world), "False/AddressNotAssigned");
    let mut undeployed = World::new(false, None);
    settle(&mut undeployed, events(), Some(1));
    assert_eq!(
        programmed(&undeployed),
        "True/Programmed",
        "made by its deployer"
    );
}

const OURS: &str = "weft.dev/gateway-controller";

fn world(events: Vec<Event>) -> (World, Settled) {
    let mut world = World::new(true, None);
    let settled = settle(&mut world, events, None);
    (world, settled)
}

fn settle(world: &mut World, events: Vec<Event>, acknowledged: Option<i64>) -> Settled {
    let changes = world.take(events);
    let name = Name::new("shop", "edge");
    let acknowledged = acknowledged.map(|generation| (name, generation));
    let heard = Heard {
        acknowledged: |_: &Gateways| acknowledged.into_iter().collect(),
        departed: BTreeSet::new(),
        now: Duration::ZERO,
    };
    world.settle(heard, changes)
}

fn programmed(world: &World) -> String {
    condition(world, ConditionType::Programmed)
}

/// A condition of the Gateway: status and reason.
fn condition(world: &World, type_: ConditionType) -> String {
    let key = ObjectKey::new("shop", "edge");
    let reference = ObjectRef::new(Kind::Gateway, key);
    let (_, wanted) = world.stated(&reference).expect("a status");
    let AnyObject::Gateway(gateway) = wanted else {
        panic!("not a Gateway");
    };
    let conditions = gateway.status.conditions.iter();
    let mut conditions = conditions.filter(|it| it.is(type_));
    let condition = conditions.next().expect("the condition");
    format!("{:?}/{}", condition.status, condition.reason)
}

#[test]
fn a_gateway_is_programmed_when_it_has_an_address_and_proxies_have_it() {
    let address = || service(json!({ "clusterIP": "10.0.0.7" }), json!({}));
    let (mut world, _) = world(vec![class(OURS), gateway(1)]);
    assert_eq!(programmed(&world), "False/AddressNotAssigned");
    settle(&mut world, vec![address()], None);
    assert_eq!(programmed(&world), "False/Pending");
    settle(&mut world, vec![], Some(1));
    assert_eq!(programmed(&world), "True/Programmed");
    settle(&mut world, vec![gateway(2)], Some(1));
    assert_eq!(programmed(&world), "False/Pending", "of another generation");
}

#[test]
fn a_gateway_of_somebody_else_is_left_alone() {
    let (world, settled) = world(vec![class("example.com/other"), gateway(1)]);
    assert!(world.gateways().is_empty());
    assert_eq!(settled.statuses, []);
}

#[test]
fn a_configuration_is_new_when_something_of_it_is() {
    let (mut world, settled) = world(vec![class(OURS), gateway(1)]);
    assert!(settled.is_new, "the first");
    assert!(!settle(&mut world, vec![], None).is_new, "nothing happened");
    let acknowledged = settle(&mut world, vec![], Some(1));
    assert!(!acknowledged.is_new, "acknowledged");
    assert!(
        settle(&mut world, vec![gateway(2)], Some(1)).is_new,
        "another generation of the Gateway, for acknowledgements lead to it"
    );
    assert_eq!(world.generation(), 2);
}

/// The certificate of a new authority.
fn ca_pem() -> String {
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    let now = Clock::system().now();
    let authority = Authority::generate(&domain, now).expect("an authority");
    let root = authority.root_der().to_vec();
    let (bundle, refused) = TrustBundle::from_der(&domain, vec![root], now);
    assert!(refused.is_empty(), "{refused:?}");
    bundle.to_pem()
}

fn authorities(name: &str, label: &str, pem: &str) -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "namespace": "shop", "name": name, "labels": { "of": label } },
        "data": { "ca.crt": pem },
    }))
}

#[test]
fn authorities_are_part_of_the_configuration() {
    let (one, two) = (ca_pem(), ca_pem());
    let config_maps = [authorities("ca", "a", &one), authorities("kept", "a", &two)];
    let (mut world, _) = world([vec![class(OURS), gateway(1)], config_maps.into()].concat());
    let ca = Name::new("shop", "ca");
    let bundles = |world: &World| Arc::clone(&world.configuration().ca_bundles);
    let first = bundles(&world);
    assert_eq!(first[&ca].pem, one);

    let labelled = settle(&mut world, vec![authorities("ca", "b", &one)], None);
    assert!(!labelled.is_new, "a label is not sent");
    assert!(Arc::ptr_eq(&bundles(&world), &first), "nothing of it is");

    let edited = settle(&mut world, vec![authorities("ca", "b", &two)], None);
    assert!(edited.is_new, "other authorities");
    let second = bundles(&world);
    assert_eq!(second[&ca].pem, two);
    let kept = Name::new("shop", "kept");
    assert!(Arc::ptr_eq(&second[&kept], &first[&kept]), "its neighbour");

    settle(&mut world, vec![authorities("ca", "b", "none")], None);
    let third = bundles(&world);
    assert!(!third.contains_key(&ca), "what cannot be used is not sent");
    assert!(third.contains_key(&kept), "its neighbour is");
}

#[test]
fn authorities_of_the_platform_are_those_of_proxies() {
    let on_edge = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": "shop", "name": "web", "generation": 1 },
        "spec": {
            "parentRefs": [{ "name": "edge" }],
            "rules": [{ "backendRefs": [{ "name": "web", "port": 443 }] }],
        },
    });
    let web = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": "shop", "name": "web" },
        "spec": { "clusterIP": "10.96.0.9", "ports": [{ "port": 443 }] },
    });
    let policy = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": { "namespace": "shop", "name": "web", "generation": 1 },
        "spec": {
            "targetRefs": [{ "group": "", "kind": "Service", "name": "web" }],
            "validation": { "hostname": "web", "wellKnownCACertificates": "System" },
        },
    });
    let objects = [on_edge, web, policy].map(object);
    let (world, _) = world([vec![class(OURS), gateway(1)], objects.into()].concat());
    let reference = ObjectRef::new(Kind::BackendTlsPolicy, ObjectKey::new("shop", "web"));
    let (_, wanted) = world.stated(&reference).expect("a status");
    let AnyObject::BackendTlsPolicy(policy) = wanted else {
        panic!("not a BackendTLSPolicy");
    };
    let ancestors = policy.status.ancestors.iter();
    let told: Vec<_> = ancestors
        .flat_map(|ancestor| &ancestor.conditions)
        .filter(|it| it.is(ConditionType::Accepted))
        .map(|it| format!("{:?}/{}", it.status, it.reason))
        .collect();
    // The Gateway alone: no mesh runs in a cluster, which would reach the Service otherwise.
    assert_eq!(told, ["True/Accepted"]);
}

/// People upgrade the Gateway API while we run; nothing else has to change for it to show.
#[test]
fn another_gateway_api_shows_in_the_class_at_once() {
    let (mut world, _) = world(vec![class(OURS), gateway(1)]);
    let stated = |settled: &Settled| {
        let statuses = settled.statuses.iter();
        let mut classes = statuses.filter_map(|(_, wanted)| match wanted {
            AnyObject::GatewayClass(class) => Some(class.status.clone()),
            _ => None,
        });
        classes.next_back()
    };
    world.install(Installed {
        channel: Channel::Experimental,
        bundle_version: Some("v1.6.1".to_owned()),
    });
    let status = stated(&settle(&mut world, vec![], None)).expect("a status of the class");
    let mut features = status.supported_features.iter();
    assert!(
        features.any(|it| it.name == "HTTPRouteRetry"),
        "a feature of that channel"
    );
    let again = settle(&mut world, vec![], None);
    assert_eq!(
        (stated(&again), again.is_translated),
        (None, false),
        "nothing is new"
    );
}

#[test]
fn a_status_that_somebody_changed_is_stated_again() {
    let (mut world, _) = world(vec![class(OURS), gateway(1)]);
    let settled = settle(&mut world, vec![gateway(1)], None);
    let stated = settled.statuses.iter();
    let names: Vec<_> = stated
        .map(|(seen, _)| seen.reference().to_string())
        .collect();
    assert_eq!(names, ["Gateway shop/edge"]);
}

#[test]
fn addresses_are_those_of_the_service() {
    let balancer = |ingress: Value| {
        let spec = json!({ "type": "LoadBalancer", "clusterIP": "10.0.0.7" });
        service(spec, json!({ "loadBalancer": { "ingress": ingress } }))
    };
    let rows = [
        (
            "a cluster address",
            service(json!({ "clusterIP": "10.0.0.7" }), json!({})),
            "10.0.0.7",
        ),
        (
            "of both families",
            service(
                json!({ "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7", "fd00::7"] }),
                json!({}),
            ),
            "10.0.0.7 fd00::7",
        ),
        (
            "headless",
            service(json!({ "clusterIP": "None" }), json!({})),
            "",
        ),
        ("no load balancer yet", balancer(json!([])), ""),
        (
            "a load balancer",
            balancer(json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.1" }])),
            "192.0.2.1",
        ),
        (
            "a load balancer with a name",
            balancer(json!([{ "hostname": "lb.example" }, { "ip": "192.0.2.1" }])),
            "192.0.2.1 lb.example",
        ),
        (
            "names that no status could hold",
            balancer(json!([{ "hostname": "no name" }, { "hostname": "*.lb.example" }])),
            "",
        ),
    ];
    for (name, event, expected) in rows {
        let Event::Apply(AnyObject::Service(service)) = event else {
            panic!("a Service");
        };
        let found = addresses::of(&service);
        let addresses = found.addresses.iter().map(ToString::to_string);
        let found: Vec<_> = addresses.chain(found.hostnames).collect();
        assert_eq!(found.join(" "), expected, "{name}");
    }
}

/// A ConfigMap with parameters, and a Gateway that names it.
fn parameters(data: Value) -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "namespace": "shop", "name": "big" }, "data": data,
    }))
}

fn gateway_with_parameters() -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": "shop", "name": "edge", "uid": "1", "generation": 1 },
        "spec": {
            "gatewayClassName": "weft",
            "infrastructure": { "parametersRef": { "group": "", "kind": "ConfigMap", "name": "big" } },
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    }))
}

fn deploy_settings() -> crate::deploy::Settings {
    crate::deploy::Settings {
        image: "proxy:test".to_owned(),
        control_plane: "control.test".to_owned(),
        control_namespace: "weft-system".to_owned(),
        trust_domain: TrustDomain::parse("cluster.local").expect("a trust domain"),
        drain_delay: Duration::from_secs(1),
        drain_limit: Duration::from_secs(1),
    }
}

/// The replicas of the Gateway's Deployment; `None` when nothing is to be applied.
fn replicas(world: &World) -> Option<Value> {
    let name = Name::new("shop", "edge");
    let mut wanted = world.deployments(&deploy_settings());
    let wanted = wanted.remove(&name)?.expect("a Gateway with a uid");
    Some(wanted.deployed.deployment["spec"]["replicas"].clone())
}

#[test]
fn parameters_are_heeded_and_what_is_wrong_with_them_is_in_the_status() {
    let (mut world, _) = world(vec![class(OURS), gateway_with_parameters()]);
    let wanted = ObjectRef::new(Kind::ConfigMap, ObjectKey::new("shop", "big"));
    assert!(world.referents().contains(&wanted), "it is read");
    assert_eq!(
        condition(&world, ConditionType::Accepted),
        "False/InvalidParameters"
    );
    assert_eq!(replicas(&world), None, "nothing is applied");

    settle(
        &mut world,
        vec![parameters(json!({ "replicas": "3" }))],
        None,
    );
    assert_eq!(condition(&world, ConditionType::Accepted), "True/Accepted");
    assert_eq!(replicas(&world), Some(json!(3)));

    let typo = parameters(json!({ "replica": "3" }));
    let settled = settle(&mut world, vec![typo], None);
    assert_eq!(
        condition(&world, ConditionType::Accepted),
        "False/InvalidParameters"
    );
    assert_eq!(replicas(&world), None, "what was applied stands");
    assert!(!settled.is_new, "proxies serve what they served");
}

#[test]
fn without_a_deployer_nothing_holds_parameters() {
    let mut world = World::new(false, None);
    let events = vec![
        class(OURS),
        gateway_with_parameters(),
        parameters(json!({})),
    ];
    settle(&mut world, events, None);
    assert_eq!(
        condition(&world, ConditionType::Accepted),
        "False/InvalidParameters"
    );
}

#[test]
fn the_port_of_probes_is_refused_by_name() {
    let probes = object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": "shop", "name": "edge" },
        "spec": {
            "gatewayClassName": "weft",
            "listeners": [{ "name": "http", "port": ADMIN_PORT, "protocol": "HTTP" }],
        },
    }));
    let (world, _) = world(vec![class(OURS), probes]);
    assert_eq!(
        condition(&world, ConditionType::Accepted),
        "False/ListenersNotValid"
    );
    assert!(
        world.configuration().tables.gateways.is_empty(),
        "no proxy opens it"
    );
}

#[test]
fn what_the_deployer_could_not_do_is_in_the_status() {
    let address = service(json!({ "clusterIP": "10.0.0.7" }), json!({}));
    let (mut world, _) = world(vec![class(OURS), gateway(1), address]);
    settle(&mut world, vec![], Some(1));
    assert_eq!(programmed(&world), "True/Programmed");
    let why = (Name::new("shop", "edge"), "a quota is exceeded".to_owned());
    world.undeployed(Arc::new(BTreeMap::from([why])));
    settle(&mut world, vec![], Some(1));
    assert_eq!(programmed(&world), "False/Pending");
    world.undeployed(Failures::default());
    settle(&mut world, vec![], Some(1));
    assert_eq!(programmed(&world), "True/Programmed");
}
