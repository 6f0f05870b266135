//! How long a large directory takes to read and judge: 10,000 each of three kinds; and how long an
//! edit of one document takes in a large file.

use std::{fmt::Write as _, fs, hint::black_box, path::Path};

use criterion::{Criterion, criterion_group, criterion_main};
use weft_source::{Loader, Options};

const OBJECTS: usize = 10_000;

fn route(index: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  \
         name: route-{index}\n  namespace: shop\nspec:\n  parentRefs:\n  - name: gateway\n    \
         sectionName: http\n  hostnames:\n  - h{index}.example.com\n  rules:\n  - matches:\n    \
         - path:\n        type: PathPrefix\n        value: /cart/{index}\n      headers:\n      \
         - name: x-tenant\n        value: pay\n    timeouts:\n      request: 10s\n    \
         backendRefs:\n    - name: stable-{index}\n      port: 80\n      weight: 80\n    \
         - name: canary-{index}\n      port: 80\n      weight: 20\n"
    )
}

fn service(index: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: stable-{index}\n  namespace: shop\n\
         spec:\n  selector:\n    app: stable-{index}\n  ports:\n  - name: http\n    port: 80\n    \
         targetPort: 8080\n    appProtocol: http\n"
    )
}

fn slice(index: usize) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: stable-{index}\n  \
         namespace: shop\n  labels:\n    kubernetes.io/service-name: stable-{index}\n\
         addressType: IPv4\nendpoints:\n- addresses:\n  - 127.0.0.1\n  conditions:\n    \
         ready: true\nports:\n- name: http\n  port: 8080\n  protocol: TCP\n"
    )
}

/// Writes the objects, `per_file` documents to a file.
fn write(directory: &Path, per_file: usize) {
    for (kind, make) in [
        ("route", route as fn(usize) -> String),
        ("service", service),
        ("slice", slice),
    ] {
        for first in (0..OBJECTS).step_by(per_file) {
            let mut text = String::new();
            for index in first..OBJECTS.min(first + per_file) {
                write!(text, "---\n{}", make(index)).expect("writing to a text cannot fail");
            }
            let path = directory.join(format!("{kind}-{first}.yaml"));
            fs::write(path, text).expect("the file can be written");
        }
    }
}

fn load(path: &Path) -> usize {
    let mut loader = Loader::new(&[path.to_owned()], Options::default()).expect("it can be read");
    let batch = loader.load(&mut |_| {}).expect("it can be loaded");
    assert!(
        batch.findings.is_empty(),
        "{}",
        batch.findings[0].render(false)
    );
    batch.events.len()
}

fn loads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load 30,000 objects");
    group.sample_size(10);
    for (name, per_file) in [("3 files", OBJECTS), ("300 files", 100)] {
        let directory = tempfile::tempdir().expect("a directory can be made");
        write(directory.path(), per_file);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                assert_eq!(
                    load(black_box(directory.path())),
                    3 * OBJECTS,
                    "every object is loaded"
                );
            });
        });
    }
    group.finish();
}

/// One file with everything in it, of which one route changes.
fn edits(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("all.yaml");
    let documents: Vec<String> = (0..OBJECTS).map(route).collect();
    let texts = ["/cart/7\n", "/basket/7\n"].map(|prefix| {
        let edited = documents.join("---\n");
        edited.replacen("/cart/7\n", prefix, 1)
    });
    fs::write(&path, &texts[0]).expect("the file can be written");
    let mut loader =
        Loader::new(std::slice::from_ref(&path), Options::default()).expect("it can be read");
    loader.load(&mut |_| {}).expect("it can be loaded");
    let mut turn = 0;
    let mut group = criterion.benchmark_group("edit 1 of 10,000 documents");
    group.sample_size(10).bench_function("1 file", |bencher| {
        bencher.iter(|| {
            turn += 1;
            fs::write(&path, &texts[turn % 2]).expect("the file can be written");
            let batch = loader.load(&mut |_| {}).expect("it can be loaded");
            assert_eq!(batch.events.len(), 1, "one object changes");
        });
    });
    group.finish();
}

criterion_group!(benches, loads, edits);
criterion_main!(benches);
