//! Cost and size of an endpoint's state. Its health is tested with the guard, in `in_flight`.

use super::*;
use crate::InFlight;

const MS: u64 = 1_000_000;

#[test]
fn cost_orders_endpoints() {
    let second = 1_000 * MS;
    let [fast, slow, busy, fresh] = &[(); 4].map(|()| EndpointState::new())[..] else {
        unreachable!()
    };
    let cost = |endpoint: &EndpointState| endpoint.load(second).cost();
    fast.latency.observe(MS, second);
    slow.latency.observe(50 * MS, second);
    busy.latency.observe(MS, second);
    let held: Vec<_> = (0..9).map(|_| InFlight::begin(busy, second)).collect();
    assert_eq!(cost(fresh), 0.0, "an untried endpoint is next");
    assert!(cost(fast) < cost(busy), "load counts");
    assert!(cost(busy) < cost(slow), "10 x 1 ms is cheaper than 50 ms");
    drop(held);
    assert_eq!(cost(fast), cost(busy), "load ends with the requests");
    let _first = InFlight::begin(fresh, second);
    assert!(
        cost(fresh) > cost(slow),
        "one request has to come back first"
    );
}

#[test]
fn scheduling_noise_is_no_difference() {
    let costs = [20_000, 90_000, 200_000].map(|latency_ns| {
        let endpoint = EndpointState::new();
        endpoint.latency.observe(latency_ns, 0);
        endpoint.load(0).cost()
    });
    assert_eq!(costs[0], costs[1], "20 us and 90 us");
    assert!(costs[1] < costs[2], "90 us and 200 us");
}

#[test]
fn state_is_small() {
    assert_eq!(size_of::<EndpointState>(), 32, "bytes per endpoint grew");
}
