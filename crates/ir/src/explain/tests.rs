//! Tests of `explain`: what is said about each match of a table.

use crate::{
    Explanation, NoRecord, RouteSet,
    fixture::{request, route},
};

/// `lines` has one line per match: route and position, then what became of it.
fn check(name: &str, routes: &[&str], asked: &str, lines: &[&str]) {
    let set = RouteSet::new(routes.iter().map(|line| route(line)).collect());
    let asked = request(asked);
    let mut explanation = Explanation::default();
    let winner = set.find(&asked.view(), &mut explanation);
    assert_eq!(
        winner,
        set.find(&asked.view(), &mut NoRecord),
        "{name}: recording decides nothing"
    );
    let found: Vec<String> = explanation
        .tried()
        .iter()
        .map(|tried| {
            let rule = &set.rules()[tried.rule as usize];
            let place = format!("{} {}.{}", rule.route.name, rule.index, tried.matched);
            format!("{place}: {}", tried.outcome)
        })
        .collect();
    assert_eq!(found, lines, "{name}");
}

#[test]
fn every_reason_of_a_miss() {
    let routes = [
        "http a/host other.com | /",
        "http b/path | /b",
        "http c/method | / POST",
        "http d/header | / x:1 y:2",
        "http e/query | / ?p=1",
        "grpc f/kind | =s/m",
    ];
    let lines = [
        "a/host 0.0: host does not match",
        "b/path 0.0: path does not match",
        "c/method 0.0: method does not match",
        "d/header 0.0: header y does not match",
        "e/query 0.0: query parameter p does not match",
        "f/kind 0.0: not a gRPC call",
    ];
    check("nothing matches", &routes, "GET a.com/a?p=2 x:1", &lines);
    let lines = ["f/kind 0.0: gRPC service or method does not match"];
    check(
        "a call of another method",
        &["grpc f/kind | =s/m"],
        "GRPC a.com/s/n",
        &lines,
    );
}

#[test]
fn why_matching_ones_lose() {
    let routes = [
        "http a/any | / ; /a",
        "http b/host *.com | /a ; =/a GET x:1 | =/a",
        "http c/exact a.com | =/b",
    ];
    let lines = [
        "a/any 0.0: matches, but the winner's hostname is more specific",
        "a/any 0.1: matches, but the winner's hostname is more specific",
        "b/host 0.0: matches, but the winner's path match is more specific",
        "b/host 0.1: serves the request",
        "b/host 1.0: matches, but the winner matches the method too",
        "c/exact 0.0: path does not match",
    ];
    check("hostname, path, method", &routes, "GET a.com/a x:1", &lines);
    let lines = [
        "a/any 0.0: matches, but a gRPC call goes to GRPCRoutes first",
        "g/call 0.0: serves the request",
    ];
    check(
        "kind",
        &["grpc g/call | =s/", "http a/any | /"],
        "GRPC a.com/s/m",
        &lines,
    );
}

#[test]
fn winner_of_an_explanation() {
    let set = RouteSet::new(vec![route("http a/one | /a"), route("http a/two | /")]);
    let mut explanation = Explanation::default();
    let winner = set
        .find(&request("GET a.com/b").view(), &mut explanation)
        .unwrap();
    let named = explanation.winner().unwrap();
    assert_eq!((named.rule, named.matched), (winner.rule, winner.matched));
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(
        json,
        r#"{"tried":[{"rule":0,"matched":0,"outcome":{"missed":"path"}},{"rule":1,"matched":0,"outcome":"won"}]}"#
    );
}
