//! Tests of `route`: precedence clause by clause, agreement with a linear reference, laws of sets.

mod parts;
mod precedence;
mod reference;
mod replace;
mod sets;

use crate::{
    NoRecord, RouteSet,
    fixture::{request, route},
};

/// The winner as `kind namespace/name rule.match`.
fn winner(set: &RouteSet, asked: &str) -> Option<String> {
    let winner = set.find(&request(asked).view(), &mut NoRecord)?;
    let rule = &set.rules()[winner.rule as usize];
    Some(format!("{} {}.{}", rule.route, rule.index, winner.matched))
}

fn set(routes: &[&str]) -> RouteSet {
    RouteSet::new(routes.iter().map(|line| route(line)).collect())
}
