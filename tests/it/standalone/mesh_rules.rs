//! The project's own mesh suite, standalone: the rows of `tests/mesh`, end to end over sockets, once
//! with pods in the clear and once with pods that are members of the mesh.

mod deaf;

use std::{collections::BTreeSet, fs};

use weft_tests::{
    binary::workspace,
    mesh::{
        row::load,
        standalone::Standalone,
        suite::{self, FILES, path},
    },
    wait::Expected,
};

async fn check(file: &str) {
    suite::check(file, async || Standalone::start()).await;
}

/// Routing rules 7.
#[tokio::test]
async fn backends_and_their_failures_are_answered_as_the_table_says() {
    check("backends").await;
}

/// GEP-1294, "route types".
#[tokio::test]
async fn one_kind_of_route_has_a_port() {
    check("conflicts").await;
}

/// GEP-1294, "consumer routes".
#[tokio::test]
async fn consumer_routes_replace_the_producers_port_by_port() {
    check("consumer").await;
}

#[tokio::test]
async fn either_address_of_a_service_leads_to_its_routes() {
    check("families").await;
}

/// GEP-1294, "frontend and backend".
#[tokio::test]
async fn routes_act_on_the_frontend_and_nowhere_else() {
    check("frontend").await;
}

#[tokio::test]
async fn parents_are_services_with_a_cluster_ip_and_statuses_say_so() {
    check("parents").await;
}

#[tokio::test]
async fn every_tie_of_http_routes_is_broken_as_specified() {
    check("precedence").await;
}

#[tokio::test]
async fn every_tie_of_grpc_routes_is_broken_as_specified() {
    check("precedence-grpc").await;
}

#[tokio::test]
async fn redirects_have_their_whole_location() {
    check("redirect").await;
}

#[tokio::test]
async fn retries_arrive_as_often_as_they_may() {
    check("retry").await;
}

#[tokio::test]
async fn what_arrives_after_a_rewrite_is_what_the_filters_say() {
    check("rewrite").await;
}

#[tokio::test]
async fn what_no_rule_takes_is_refused_and_not_passed_on() {
    check("unmatched").await;
}

#[tokio::test]
async fn shares_hold_while_endpoints_come_and_go() {
    check("weights").await;
}

/// A file that nobody plays proves nothing, and neither does one without rows.
#[test]
fn every_file_of_rows_is_played() {
    let folder = fs::read_dir(workspace().join("tests/mesh")).expected("the rows of the mesh");
    let names = folder.map(|entry| {
        let name = entry.expected("a file").file_name();
        name.to_string_lossy().trim_end_matches(".yaml").to_owned()
    });
    let written: BTreeSet<String> = names.filter(|name| name != "base").collect();
    let played: BTreeSet<String> = FILES.map(str::to_owned).into();
    assert_eq!(
        written, played,
        "files of tests/mesh and tests that play them"
    );
    for file in FILES {
        for stage in load(&path(file)) {
            let rows = stage.rows.rows.len() + stage.rows.statuses.len();
            assert!(rows > 0, "{file}: a stage without rows");
        }
    }
}
