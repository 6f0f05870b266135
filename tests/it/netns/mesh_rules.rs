//! The project's own mesh suite on a node: the rows of `tests/mesh`, each pod in a network namespace of
//! its own, captured by `weft-proxy node`. Once with pods in the clear, once with pods that are members.

use std::collections::BTreeSet;

use weft_tests::{
    mesh::{
        node::NodeMesh,
        suite::{self, FILES},
    },
    netns::can_make_namespaces,
};

/// A test for each file of rows, by its name.
macro_rules! played {
    ($($file:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $file() {
                if can_make_namespaces() {
                    suite::check(&name(stringify!($file)), NodeMesh::start).await;
                }
            }
        )+

        #[test]
        fn every_file_of_rows_is_played() {
            let played = [$(name(stringify!($file))),+];
            let written = FILES.map(str::to_owned);
            assert_eq!(BTreeSet::from(played), BTreeSet::from(written));
        }
    };
}

fn name(file: &str) -> String {
    file.replace('_', "-")
}

played!(
    backends,
    conflicts,
    consumer,
    families,
    frontend,
    parents,
    precedence,
    precedence_grpc,
    redirect,
    retry,
    rewrite,
    unmatched,
    weights,
);
