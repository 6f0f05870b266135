//! What issuing costs: certificates per second and core, the checks of the request included.

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weft_certs::{Authority, Bundles, CheckedRequest, KeyAndRequest, LeafLife, TrustBundle};
use weft_spiffe::{SpiffeId, TrustDomain};

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";

/// Any moment does.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600)
}

fn issue(criterion: &mut Criterion) {
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    let id = SpiffeId::parse(WEB).expect("a SPIFFE ID");
    let authority = Authority::generate(&domain, now()).expect("randomness");
    let (roots, _) = TrustBundle::from_der(&domain, [authority.root_der().to_vec()], now());
    let bundles = Bundles::new(roots, 1);
    let request = KeyAndRequest::new(&id).expect("randomness");

    let mut group = criterion.benchmark_group("identity");
    group.throughput(Throughput::Elements(1));
    group.bench_function("signer: check and sign a request", |bench| {
        bench.iter(|| {
            let checked = CheckedRequest::parse(black_box(request.der()), &id).expect("our own");
            authority
                .issue(&checked, LeafLife::default(), now())
                .expect("a good request")
        });
    });
    group.bench_function("node: make a key and a request", |bench| {
        bench.iter(|| KeyAndRequest::new(black_box(&id)).expect("randomness"));
    });
    group.bench_function("both: from key to checked leaf", |bench| {
        bench.iter(|| {
            let request = KeyAndRequest::new(&id).expect("randomness");
            let checked = CheckedRequest::parse(request.der(), &id).expect("our own");
            let signed = authority
                .issue(&checked, LeafLife::default(), now())
                .expect("a good request");
            request
                .into_leaf(&signed.chain, &bundles, now())
                .expect("a good answer")
        });
    });
    group.finish();
}

criterion_group!(benches, issue);
criterion_main!(benches);
