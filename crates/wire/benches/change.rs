//! What one changed object costs among 5,000 routes and Services, at both ends.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use weft_ir::{
    Backend, Endpoint, EndpointSet, EndpointState, Filters, Gateway, Hostname, HttpMatch, Listener,
    Matches, Name, PathMatch, Port, PortProtocol, RouteEntry, RouteId, RouteKind, RouteSet, Rule,
    ServicePort, Tables, Target, Timeouts, UpstreamProtocol,
};
use weft_wire::{Assembler, Configuration, Disassembler, Scope, diff, save};

const ROUTES: usize = 5_000;

fn gateway_name() -> Name {
    Name::new("infra", "gw")
}

fn port(at: usize) -> ServicePort {
    ServicePort {
        service: Name::new("shop", format!("service-{at}")),
        port: 80,
    }
}

/// A route with a host of its own, two rules, and a weight to change.
fn entry(at: usize, weight: u32) -> RouteEntry {
    let route = Arc::new(RouteId {
        kind: RouteKind::Http,
        name: Name::new("shop", format!("route-{at}")),
    });
    let rule = |index| {
        let path = PathMatch::prefix(&format!("/v{index}")).expect("a path");
        let target = Target::Service {
            port: port(at),
            protocol: UpstreamProtocol::Http1,
            tls: None,
        };
        Arc::new(Rule {
            route: route.clone(),
            index,
            name: None,
            matches: Matches::Http(vec![HttpMatch::new(path, None, Vec::new(), Vec::new())]),
            filters: Filters::default(),
            backends: vec![Backend {
                weight,
                filters: Filters::default(),
                target,
            }],
            timeouts: Timeouts::default(),
            retry: None,
            idempotent: false,
        })
    };
    RouteEntry {
        hostnames: Hostname::parse(&format!("host-{at}.example.com"))
            .into_iter()
            .collect(),
        created: Some(1_700_000_000),
        rules: vec![rule(0), rule(1)],
    }
}

fn configuration(entries: &[RouteEntry]) -> Configuration {
    let listener = Listener {
        name: "http".into(),
        hostname: None,
        certificates: Vec::new(),
        routes: Arc::new(RouteSet::new(entries.to_vec())),
    };
    let gateway = Gateway {
        name: gateway_name(),
        ports: vec![Arc::new(Port::new(
            80,
            PortProtocol::Http,
            vec![Arc::new(listener)],
        ))],
        client_certificate: None,
    };
    let endpoint = |at: usize, number: usize| Endpoint {
        address: ([10, (at >> 8) as u8, at as u8, number as u8], 8080).into(),
        state: EndpointState::Ready,
        pod: Some(format!("service-{at}-{number}").into()),
        zone: None,
        member: None,
    };
    let endpoints = (0..ROUTES).map(|at| {
        let set = EndpointSet::new((0..10).map(|number| endpoint(at, number)).collect());
        (port(at), Arc::new(set))
    });
    Configuration {
        tables: Arc::new(Tables {
            gateways: BTreeMap::from([(gateway_name(), Arc::new(gateway))]),
            services: BTreeMap::new(),
        }),
        endpoints: Arc::new(endpoints.collect()),
        ..Configuration::default()
    }
}

/// 5,000 routes; the same with a weight of one of them changed; the same with another host of one; the
/// same with one pod less.
struct World {
    all: Configuration,
    weighted: Configuration,
    moved: Configuration,
    scaled: Configuration,
    entries: Vec<RouteEntry>,
}

fn world() -> World {
    let entries: Vec<RouteEntry> = (0..ROUTES).map(|at| entry(at, 1)).collect();
    let all = configuration(&entries);
    let edited = |edit: &dyn Fn(&mut RouteEntry)| {
        let mut entries = entries.clone();
        edit(&mut entries[ROUTES / 2]);
        Configuration {
            tables: configuration(&entries).tables,
            ..all.clone()
        }
    };
    let weighted = edited(&|it| *it = entry(ROUTES / 2, 2));
    let moved = edited(&|it| it.hostnames = entry(ROUTES, 1).hostnames);
    let mut scaled = all.clone();
    let set = Arc::make_mut(&mut scaled.endpoints)
        .get_mut(&port(7))
        .expect("a Service");
    *set = Arc::new(EndpointSet::new(set.all()[1..].to_vec()));
    World {
        all,
        weighted,
        moved,
        scaled,
        entries,
    }
}

fn disassembler() -> Disassembler {
    Disassembler::new(Scope::Gateway(gateway_name()))
}

/// What a data path does with every set it gets.
fn prepare(configuration: &Configuration) {
    let gateways = configuration.tables.gateways.values();
    for port in gateways.flat_map(|gateway| &gateway.ports) {
        for listener in &port.listeners {
            listener.routes.prepare();
        }
    }
}

fn everything(criterion: &mut Criterion) {
    let World { all, entries, .. } = world();
    let snapshot = disassembler().update(&all).clone();
    criterion.bench_function("everything: take apart", |bencher| {
        bencher.iter(|| disassembler().update(black_box(&all)).len());
    });
    criterion.bench_function("everything: put together", |bencher| {
        bencher.iter(|| Assembler::load(black_box(&snapshot)).1.problems.len());
    });
    criterion.bench_function("everything: save", |bencher| {
        bencher.iter(|| save(black_box(&snapshot)).len());
    });
    criterion.bench_function("the index of the set alone", |bencher| {
        bencher.iter_batched(
            || RouteSet::new(entries.clone()),
            |set| {
                set.prepare();
                set
            },
            BatchSize::LargeInput,
        );
    });
}

fn one_change(criterion: &mut Criterion) {
    let world = world();
    let changes = [
        ("weight", &world.weighted),
        ("host", &world.moved),
        ("pod", &world.scaled),
    ];
    for (name, changed) in changes {
        let mut sender = disassembler();
        let before = sender.update(&world.all).clone();
        let after = sender.update(changed).clone();
        let mut turn = [&world.all, changed].into_iter().cycle();
        criterion.bench_function(&format!("one {name}: take apart"), |bencher| {
            bencher.iter(|| {
                let now = turn.next().unwrap_or(changed);
                sender.update(now).refused().len()
            });
        });
        criterion.bench_function(&format!("one {name}: diff"), |bencher| {
            bencher.iter(|| diff(black_box(&before), black_box(&after)).upserts.len());
        });
        let (there, back) = (diff(&before, &after), diff(&after, &before));
        for (what, is_serving) in [("apply", false), ("apply and be ready to serve", true)] {
            let (mut receiver, mut in_force) = Assembler::load(&before);
            let mut turn = [&there, &back].into_iter().cycle();
            criterion.bench_function(&format!("one {name}: {what}"), |bencher| {
                bencher.iter(|| {
                    // The configuration before stays in force until the new one replaces it.
                    let applied = receiver.apply(turn.next().unwrap_or(&there));
                    if is_serving {
                        prepare(&applied.configuration);
                    }
                    in_force = applied;
                });
            });
            black_box(&in_force);
        }
    }
}

criterion_group!(benches, everything, one_change);
criterion_main!(benches);
