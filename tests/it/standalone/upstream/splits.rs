//! Weights.

use super::{Case, PLAIN};

pub(super) const CASES: &[Case] = &[
    Case {
        files: &["traffic-splitting/simple-split.yaml"],
        adopt: true,
        splits: &[("GET http://any/", &[("foo-v1", 90), ("foo-v2", 10)])],
        ..PLAIN
    },
    Case {
        files: &["traffic-splitting/traffic-split-1.yaml"],
        adopt: true,
        answers: &[
            ("GET http://foo.example.com/", "foo-v1 GET /"),
            (
                "GET http://foo.example.com/ | traffic: test",
                "foo-v2 GET /",
            ),
            (
                "GET http://foo.example.com/ | traffic: tests",
                "foo-v1 GET /",
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &["traffic-splitting/traffic-split-2.yaml"],
        adopt: true,
        splits: &[(
            "GET http://foo.example.com/",
            &[("foo-v1", 90), ("foo-v2", 10)],
        )],
        ..PLAIN
    },
    Case {
        files: &["traffic-splitting/traffic-split-3.yaml"],
        adopt: true,
        splits: &[(
            "GET http://foo.example.com/",
            &[("foo-v1", 0), ("foo-v2", 100)],
        )],
        ..PLAIN
    },
    Case {
        files: &["traffic-splitting/grpc-traffic-split-2.yaml"],
        adopt: true,
        splits: &[(
            "GRPC http://foo.example.com/a.B/C",
            &[("foo-v1", 90), ("foo-v2", 10)],
        )],
        ..PLAIN
    },
];
