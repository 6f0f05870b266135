//! Tests of `describe`.

use weft_ir::{Backend, BackendFault, Filters, Name, ServicePort, Target, UpstreamProtocol};

use super::{share, split};

fn backend(weight: u32, name: &str) -> Backend {
    let port = ServicePort {
        service: Name::new("shop", name),
        port: 80,
    };
    Backend {
        weight,
        filters: Filters::default(),
        target: Target::Service {
            port,
            protocol: UpstreamProtocol::Http1,
            tls: None,
        },
    }
}

#[test]
fn shares_are_of_the_sum_of_all_weights() {
    let rows: &[(&str, &[u32], &[&str])] = &[
        ("80 and 20", &[80, 20], &["80 %", "20 %"]),
        ("one", &[1], &["100 %"]),
        (
            "sum above 100",
            &[20, 80, 10, 10],
            &["16.7 %", "66.7 %", "8.3 %", "8.3 %"],
        ),
        ("nobody", &[0, 0], &["0 %", "0 %"]),
    ];
    for (case, weights, expected) in rows {
        let all: Vec<_> = weights
            .iter()
            .map(|weight| backend(*weight, "web"))
            .collect();
        let shares: Vec<_> = all.iter().map(|it| share(it, &all)).collect();
        assert_eq!(shares, *expected, "{case}");
    }
}

#[test]
fn a_split_names_backends_and_what_is_wrong_with_them() {
    let missing = Backend {
        target: Target::Fault {
            fault: BackendFault::BackendNotFound,
            reference: "Service shop/gone:80".to_owned(),
        },
        ..backend(1, "")
    };
    let text = split(&[backend(3, "web"), missing]);
    assert_eq!(
        text,
        "shop/web:80 75 % · Service shop/gone:80 (BackendNotFound) 25 %"
    );
}
