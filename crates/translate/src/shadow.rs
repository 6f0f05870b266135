//! Rules that can never win, or lose part of their requests to an equal match.
//!
//! A match of higher precedence never covers one of lower precedence entirely, regular expressions
//! aside: it has the longer path, or a condition more. What can be lost for good is therefore an
//! *equal* match: the same conditions on the same hostname, where age, name and position decide
//! (steps 8 to 11 of the HTTPRoute list). So each group keeps who claims which conditions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::ObjectKey;
use weft_ir::{
    GrpcMatch, GrpcMethodMatch, HeaderMatch, Hostname, HttpMatch, Matches, PathMatch, QueryMatch,
    Regex, RouteId, Rule, StringMatch,
};

use crate::{context::object_ref, group::Member};

#[cfg(test)]
mod tests;

/// Who claims which conditions in one group.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_conditions: BTreeMap<Box<str>, Vec<Claim>>,
    /// Conditions with more than one claim. Usually 0, which saves the search for losses.
    contested: usize,
}

/// A match that claims its conditions. Ascending order is the order of precedence among equals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    /// Routes without creation time come after those with one.
    ageless: bool,
    created: Option<i64>,
    /// Orders as the text `{namespace}/{name}` does.
    key: ObjectKey,
    rule: u16,
    matched: usize,
    route: Arc<RouteId>,
}

/// A rule that loses requests to a rule with equal conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Index of the losing rule in its route.
    pub(crate) rule: u16,
    /// Whether it loses all of them, so that it never wins here.
    pub(crate) total: bool,
    /// The route that wins, and the index of its rule.
    pub(crate) winner: (Arc<RouteId>, u16),
    /// What decides for the winner.
    pub(crate) advantage: Advantage,
}

/// What decides between equal matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advantage {
    /// The creation time of the route.
    Age,
    /// The name of the route, where the times are equal or absent.
    Name,
    /// The position in the same route.
    Position,
}

impl Advantage {
    fn of(winner: &Claim, loser: &RouteId, created: Option<i64>) -> Self {
        if *winner.route == *loser {
            Self::Position
        } else if winner.created != created {
            Self::Age
        } else {
            Self::Name
        }
    }

    /// What the winner has that the loser has not.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Age => "is older",
            Self::Name => "comes first by name",
            Self::Position => "stands before it",
        }
    }
}

impl Claims {
    /// Adds the claims of a route. Routes that share a claim with it end up in `affected`.
    pub(crate) fn add(
        &mut self,
        route: &Arc<RouteId>,
        member: &Member,
        affected: &mut BTreeSet<Arc<RouteId>>,
    ) {
        each_match(member, |rule, matched, conditions| {
            let claim = Claim {
                ageless: member.created.is_none(),
                created: member.created,
                key: object_ref(route).key,
                rule: rule.index,
                matched,
                route: route.clone(),
            };
            match self.by_conditions.get_mut(conditions) {
                None => {
                    self.by_conditions.insert(conditions.into(), vec![claim]);
                }
                Some(claims) => {
                    affected.extend(claims.iter().map(|claim| claim.route.clone()));
                    self.contested += usize::from(claims.len() == 1);
                    let at = claims.partition_point(|other| *other < claim);
                    claims.insert(at, claim);
                }
            }
        });
    }

    /// Removes the claims of a route; the opposite of [`Claims::add`].
    pub(crate) fn remove(
        &mut self,
        route: &Arc<RouteId>,
        member: &Member,
        affected: &mut BTreeSet<Arc<RouteId>>,
    ) {
        each_match(member, |rule, matched, conditions| {
            let Some(claims) = self.by_conditions.get_mut(conditions) else {
                return;
            };
            let own = |claim: &Claim| {
                claim.route == *route && claim.rule == rule.index && claim.matched == matched
            };
            let Some(at) = claims.iter().position(own) else {
                return;
            };
            claims.remove(at);
            self.contested -= usize::from(claims.len() == 1);
            affected.extend(claims.iter().map(|claim| claim.route.clone()));
            if claims.is_empty() {
                self.by_conditions.remove(conditions);
            }
        });
    }

    /// The rules of a member that lose requests, by rule.
    pub(crate) fn losses(&self, route: &RouteId, member: &Member) -> Vec<Loss> {
        let mut losses: BTreeMap<u16, (Loss, usize)> = BTreeMap::new();
        let mut claimed: BTreeMap<u16, usize> = BTreeMap::new();
        if self.contested == 0 {
            return Vec::new();
        }
        each_match(member, |rule, _, conditions| {
            *claimed.entry(rule.index).or_default() += 1;
            let winner = self
                .by_conditions
                .get(conditions)
                .and_then(|claims| claims.first());
            let Some(winner) = winner.filter(|it| *it.route != *route || it.rule != rule.index)
            else {
                return;
            };
            let loss = || Loss {
                rule: rule.index,
                total: false,
                winner: (winner.route.clone(), winner.rule),
                advantage: Advantage::of(winner, route, member.created),
            };
            losses.entry(rule.index).or_insert_with(|| (loss(), 0)).1 += 1;
        });
        let total = |rule: u16, lost: usize| claimed.get(&rule) == Some(&lost);
        losses
            .into_iter()
            .map(|(rule, (loss, lost))| Loss {
                total: total(rule, lost),
                ..loss
            })
            .collect()
    }
}

/// Calls `with` for every match on every hostname of a member, with the conditions as a text that is
/// equal for equal conditions.
fn each_match(member: &Member, mut with: impl FnMut(&Rule, usize, &str)) {
    let hosts = || {
        let any = member.hostnames.is_empty().then_some(None);
        any.into_iter().chain(member.hostnames.iter().map(Some))
    };
    let mut text = String::new();
    for rule in &member.rules {
        for host in hosts() {
            for matched in 0..usize::from(rule.matches.len()) {
                text.clear();
                push_host(&mut text, host);
                match &rule.matches {
                    Matches::Http(list) => list.get(matched).map(|it| push_http(&mut text, it)),
                    Matches::Grpc(list) => list.get(matched).map(|it| push_grpc(&mut text, it)),
                };
                with(rule, matched, &text);
            }
        }
    }
}

/// Appends a part with its tag and length, so that no two lists of parts have one text.
fn push(text: &mut String, tag: char, part: &str) {
    text.push(tag);
    text.push_str(&part.len().to_string());
    text.push(':');
    text.push_str(part);
}

fn push_host(text: &mut String, host: Option<&Hostname>) {
    match host {
        None => {}
        Some(Hostname::Exact(host)) => push(text, 'h', host),
        Some(Hostname::Wildcard(suffix)) => push(text, 'w', suffix),
    }
}

fn push_http(text: &mut String, matched: &HttpMatch) {
    match &matched.path {
        PathMatch::Exact(path) => push(text, 'E', path),
        PathMatch::Prefix(path) => push(text, 'P', path),
        PathMatch::Regex(regex) => push(text, 'R', regex.pattern()),
    }
    if let Some(method) = &matched.method {
        push(text, 'M', method.as_str());
    }
    push_headers(text, &matched.headers);
    let mut query: Vec<&QueryMatch> = matched.query.iter().collect();
    query.sort_by(|left, right| left.name.cmp(&right.name));
    for condition in query {
        push(text, 'q', &condition.name);
        push_value(text, &condition.value);
    }
}

fn push_grpc(text: &mut String, matched: &GrpcMatch) {
    text.push('G');
    match &matched.method {
        None => {}
        Some(GrpcMethodMatch::Exact { service, method }) => {
            for (tag, part) in [('s', service), ('m', method)] {
                if let Some(part) = part {
                    push(text, tag, part);
                }
            }
        }
        Some(GrpcMethodMatch::Regex { service, method }) => {
            for (tag, part) in [('S', service), ('N', method)] {
                if let Some(part) = part {
                    push(text, tag, Regex::pattern(part));
                }
            }
        }
    }
    push_headers(text, &matched.headers);
}

fn push_headers(text: &mut String, headers: &[HeaderMatch]) {
    let mut headers: Vec<&HeaderMatch> = headers.iter().collect();
    headers.sort_by(|left, right| left.name.as_str().cmp(right.name.as_str()));
    for condition in headers {
        push(text, 'n', condition.name.as_str());
        push_value(text, &condition.value);
    }
}

fn push_value(text: &mut String, value: &StringMatch) {
    match value {
        StringMatch::Exact(value) => push(text, '=', value),
        StringMatch::Regex(regex) => push(text, '~', regex.pattern()),
    }
}
