//! What a translation costs: everything at once, nothing changed, one route changed.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use weft_api::AnyObject;
use weft_store::Store;
use weft_translate::{Scope, Translator, translate};

const ROUTES: usize = 10_000;

fn apply(store: &mut Store, kind: &str, name: &str, spec: Value) {
    let core = kind == "Service";
    let api_version = if core {
        "v1"
    } else {
        "gateway.networking.k8s.io/v1"
    };
    let metadata = json!({"namespace": "shop", "name": name});
    let object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
    store.apply(AnyObject::parse(object).expect("the benchmark writes valid objects"));
}

/// Where the routes go: all to one listener, or each ten to a Service of their own.
#[derive(Clone, Copy)]
enum Shape {
    Gateway,
    Mesh,
}

fn route(store: &mut Store, shape: Shape, number: usize, weight: usize) {
    let parent = match shape {
        Shape::Gateway => json!({"name": "gw"}),
        Shape::Mesh => json!({"group": "", "kind": "Service", "name": format!("s{}", number / 10)}),
    };
    let backend = |service: usize, weight: usize| json!({"name": format!("s{service}"), "port": 80, "weight": weight});
    let spec = json!({
        "parentRefs": [parent],
        "hostnames": [format!("h{}.example.com", number % 500)],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": format!("/p/{number}")}}],
            "filters": [{"type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]}}],
            "backendRefs": [backend(number / 10, 100 - weight), backend(number / 10 + 1, weight)],
        }],
    });
    apply(store, "HTTPRoute", &format!("r{number}"), spec);
}

fn store(shape: Shape) -> Store {
    let mut store = Store::default();
    let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
    apply(
        &mut store,
        "Gateway",
        "gw",
        json!({"gatewayClassName": "weft", "listeners": listeners}),
    );
    for number in 0..=ROUTES / 10 {
        let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
        let spec = json!({"clusterIP": address, "ports": [{"port": 80, "appProtocol": "http"}]});
        apply(&mut store, "Service", &format!("s{number}"), spec);
    }
    for number in 0..ROUTES {
        route(&mut store, shape, number, 10);
    }
    store
}

fn benchmarks(criterion: &mut Criterion) {
    let scope = Scope::standalone();
    for (name, shape) in [("gateway", Shape::Gateway), ("mesh", Shape::Mesh)] {
        let mut store = store(shape);
        let mut group = criterion.benchmark_group(format!("{name} of {ROUTES} routes"));
        group.sample_size(10);
        group.bench_function("all", |bencher| {
            bencher.iter_with_large_drop(|| translate(&store, &scope));
        });
        let mut translator = Translator::default();
        let mut last = translator.translate(&store, &scope);
        group.bench_function("nothing changed", |bencher| {
            bencher.iter(|| last = translator.translate(&store, &scope));
        });
        let mut weight = 10;
        group.bench_function("one route changed", |bencher| {
            bencher.iter(|| {
                weight = 30 - weight;
                route(&mut store, shape, ROUTES / 2, weight);
                last = translator.translate(&store, &scope);
            });
        });
        group.finish();
        black_box(&last);
    }
}

criterion_group!(translation, benchmarks);
criterion_main!(translation);
