//! How long a large directory takes. Run by hand, in release, to read the figures.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::Loader;
use crate::clock;
use crate::input::Options;

/// Objects of each of three kinds.
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

fn load(path: &Path) -> (Duration, usize) {
    let mut loader = Loader::new(&[path.to_owned()], Options::default()).expect("it can be read");
    let start = clock::now();
    let batch = loader.load(&mut |_| {}).expect("it can be loaded");
    let took = clock::now() - start;
    assert!(
        batch.findings.is_empty(),
        "{}",
        batch.findings[0].render(false)
    );
    (took, batch.events.len())
}

#[test]
#[ignore = "prints figures; run with --release --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "the figures are what it is run for")]
fn some_manual_test() {
    for (what, documents_per_file) in [("one file", usize::MAX), ("one object per file", 1)] {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for (kind, make) in [
            ("route", route as fn(usize) -> String),
            ("service", service),
            ("slice", slice),
        ] {
            let mut text = String::new();
            for index in 0..OBJECTS {
                write!(text, "---\n{}", make(index)).expect("writing to a text cannot fail");
                if index % documents_per_file == documents_per_file - 1 || index == OBJECTS - 1 {
                    let path = directory.path().join(format!("{kind}-{index}.yaml"));
                    std::fs::write(path, &text).expect("the file can be written");
                    text.clear();
                }
            }
        }
        for run in 1..=3 {
            let (took, events) = load(directory.path());
            assert_eq!(events, 3 * OBJECTS, "every object is loaded");
            eprintln!("{what}, run {run}: {events} objects in {took:?}");
        }
    }
}
