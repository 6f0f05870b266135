//! GRPCRoutes.

use super::{Case, PLAIN};

pub(super) const CASES: &[Case] = &[
    Case {
        files: &["basic-grpc.yaml"],
        answers: &[
            (
                "GRPC https://example.com:50051/com.example.User/Login",
                "grpc my-service1",
            ),
            (
                "GRPC https://example.com:50051/com.example.User/Logout",
                "grpc 12",
            ),
            (
                "GRPC https://example.com:50051/com.example.Things/DoThing | magic: foo",
                "grpc my-service2",
            ),
            (
                "GRPC https://example.com:50051/com.example.Things/DoThing",
                "grpc 12",
            ),
            (
                "GRPC https://other.com:50051/com.example.User/Login",
                "grpc 12",
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &["grpc-filter.yaml"],
        adopt: true,
        answers: &[(
            "GRPC http://my.filter.com/a.B/C",
            "grpc my-filter-svc1 | saw my-header: foo",
        )],
        ..PLAIN
    },
    Case {
        files: &[
            "grpc-routing/gateway.yaml",
            "grpc-routing/foo-grpcroute.yaml",
            "grpc-routing/bar-grpcroute.yaml",
        ],
        answers: &[
            (
                "GRPC https://example.com:50051/any.Service/Method",
                "grpc example-svc",
            ),
            (
                "GRPC https://foo.example.com:50051/com.example/Login",
                "grpc foo-svc",
            ),
            (
                "GRPC https://foo.example.com:50051/com.example.User/Login",
                "grpc 12",
            ),
            (
                "GRPC https://bar.example.com:50051/any.Service/Method",
                "grpc bar-svc",
            ),
            (
                "GRPC https://bar.example.com:50051/any.Service/Method | env: canary",
                "grpc bar-svc-canary",
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &[
            "grpc-routing/gateway.yaml",
            "grpc-routing/reflection-grpcroute.yaml",
        ],
        answers: &[
            (
                "GRPC https://foo.example.com:50051/com.example.User/Login",
                "grpc foo-svc",
            ),
            (
                "GRPC https://foo.example.com:50051/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                "grpc foo-svc",
            ),
            (
                "GRPC https://foo.example.com:50051/com.example.User/Logout",
                "grpc 12",
            ),
        ],
        ..PLAIN
    },
];
