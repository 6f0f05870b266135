//! `weft routes`: the tables in the order of precedence.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    io,
};

use serde::Serialize;
use weft_ir::{Name, RouteSet, Rule, Tables, Target};
use weft_translate::Output;

use crate::{
    args::{Global, Routes},
    describe,
    exit::{Exit, Failure, Outcome},
    output::{self, Format, Paint, table},
};

/// All tables; the JSON form only grows.
#[derive(Debug, Serialize)]
struct Listing {
    version: u32,
    tables: Vec<Section>,
}

/// One table: the routes of a listener, or of a group of a Service port.
#[derive(Debug, Serialize)]
struct Section {
    /// `Gateway shop/edge:80 listener http`, `Service shop/web:80 producer`.
    of: String,
    rows: Vec<Row>,
}

/// One match of one rule. Of two that take a request the first one serves it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    host: String,
    #[serde(rename = "match")]
    conditions: String,
    route: String,
    rule: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_name: Option<String>,
    /// Backends with their shares, or what answers instead.
    to: String,
    /// Timeouts, retries and what may be repeated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<String>,
    /// Why the rule never wins, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadowed: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Routes, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let loaded = args.origin.load(global)?;
    let mut tables = sections(&loaded.output);
    if let Some(namespace) = &args.namespace {
        for section in &mut tables {
            let of_namespace = format!(" {namespace}/");
            section.rows.retain(|row| row.route.contains(&of_namespace));
        }
    }
    print(tables, format, Paint(global.color.on(&io::stdout())))?;
    Ok(Exit::Good)
}

/// Writes the routes of tables alone, such as those of a proxy: which rules never win is not in them.
pub(crate) fn print_tables(tables: &Tables, format: Format, paint: Paint) -> Result<(), Failure> {
    print(sections_of(tables, &HashMap::new()), format, paint)
}

fn print(mut tables: Vec<Section>, format: Format, paint: Paint) -> Result<(), Failure> {
    tables.retain(|section| !section.rows.is_empty());
    if format == Format::Json {
        return output::print_json(&Listing { version: 1, tables });
    }
    if tables.is_empty() {
        let none = "no route is attached to anything; `weft analyze` says why\n";
        return Ok(output::print(none)?);
    }
    let texts: Vec<_> = tables.iter().map(|section| text(section, paint)).collect();
    Ok(output::print(&texts.join("\n"))?)
}

fn text(section: &Section, paint: Paint) -> String {
    let head = ["HOST", "MATCH", "ROUTE", "RULE", "TO"];
    let rows = section.rows.iter().map(|row| {
        let name = row.rule_name.as_ref().map(|name| format!(" {name:?}"));
        let rule = format!("{}{}", row.rule, name.unwrap_or_default());
        let shadow = if row.shadowed.is_some() {
            "   never wins"
        } else {
            ""
        };
        let to = format!("{}{shadow}", row.to);
        [
            row.host.clone(),
            row.conditions.clone(),
            row.route.clone(),
            rule,
            to,
        ]
    });
    let mut text = format!(
        "{}\n{}\n",
        paint.bold(&section.of),
        table::whole(head, rows)
    );
    let says = |row: &Row, what: &str| format!("{} rule {}: {what}", row.route, row.rule);
    let rows = section.rows.iter();
    let mut told: Vec<String> = rows
        .flat_map(|row| {
            let limits = (!row.limits.is_empty()).then(|| says(row, &row.limits.join(" · ")));
            let shadow = row.shadowed.as_ref().map(|why| says(row, why));
            limits.into_iter().chain(shadow)
        })
        .collect();
    // Matches of one rule do not stand together.
    let mut seen = HashSet::new();
    told.retain(|line| seen.insert(line.clone()));
    for line in told {
        text.push_str(&paint.dim(format!("  {line}\n")));
    }
    text
}

/// The rows of one route, with the table each stands in, for `weft describe`.
pub(crate) fn of_route(output: &Output, route: &str) -> Vec<[String; 5]> {
    let mut found = Vec::new();
    for section in sections(output) {
        let rows = section.rows.into_iter().filter(|row| row.route == route);
        found.extend(rows.map(|row| {
            let shadow = row.shadowed.map(|_| "   never wins");
            let to = format!("{}{}", row.to, shadow.unwrap_or_default());
            let of = section.of.clone();
            [of, row.host, row.conditions, row.rule.to_string(), to]
        }));
    }
    found
}

/// Rules that send to a Service, with the port and the share.
pub(crate) fn to_service(output: &Output, service: &Name) -> Vec<[String; 4]> {
    let mut found = Vec::new();
    for (of, routes) in each_table(&output.tables) {
        for rule in routes.rules() {
            for backend in &rule.backends {
                if let Target::Service { port, .. } = &backend.target
                    && port.service == *service
                {
                    let share = describe::share(backend, &rule.backends);
                    let row = [
                        of.clone(),
                        describe::rule_name(rule),
                        port.to_string(),
                        share,
                    ];
                    if !found.contains(&row) {
                        found.push(row);
                    }
                }
            }
        }
    }
    found
}

fn sections(output: &Output) -> Vec<Section> {
    sections_of(&output.tables, &shadowed(output))
}

fn sections_of(tables: &Tables, shadowed: &HashMap<(String, String), String>) -> Vec<Section> {
    let section = |(of, routes)| Section {
        of,
        rows: rows(routes, shadowed),
    };
    each_table(tables).into_iter().map(section).collect()
}

/// Every table with what it belongs to.
fn each_table(tables: &Tables) -> Vec<(String, &RouteSet)> {
    let mut all: Vec<(String, &RouteSet)> = Vec::new();
    for (name, gateway) in &tables.gateways {
        for port in &gateway.ports {
            all.extend(port.listeners.iter().map(|listener| {
                let of = format!("Gateway {name}:{} listener {}", port.port, listener.name);
                (of, &*listener.routes)
            }));
        }
    }
    for (name, service) in &tables.services {
        for frontend in &service.ports {
            let port = frontend.port;
            let producer = frontend.producer.iter();
            all.extend(producer.map(|it| (format!("Service {name}:{port} producer"), &**it)));
            all.extend(frontend.consumers.iter().map(|(namespace, routes)| {
                let of = format!("Service {name}:{port} consumer {namespace}");
                (of, &**routes)
            }));
        }
    }
    all
}

fn rows(routes: &RouteSet, shadowed: &HashMap<(String, String), String>) -> Vec<Row> {
    let ranked = routes.ranked().into_iter();
    ranked
        .filter_map(|(hostname, winner)| {
            let rule = routes.rules().get(winner.rule as usize)?;
            let route = rule.route.to_string();
            let field = format!("spec.rules[{}]", rule.index);
            Some(Row {
                host: hostname.map_or_else(|| "*".to_owned(), ToString::to_string),
                conditions: describe::one_match(rule, winner.matched),
                shadowed: shadowed.get(&(route.clone(), field)).cloned(),
                route,
                rule: rule.index,
                rule_name: rule.name.as_ref().map(ToString::to_string),
                to: destination(rule),
                limits: describe::limits(rule),
            })
        })
        .collect()
}

fn destination(rule: &Rule) -> String {
    if let Some(answer) = rule.filters.iter().find(|filter| filter.is_terminal()) {
        return answer.to_string();
    }
    if rule.backends.is_empty() {
        return "500 no backend".to_owned();
    }
    describe::split(&rule.backends)
}

/// Rules that never win, by route and field, with the words of the finding.
fn shadowed(output: &Output) -> HashMap<(String, String), String> {
    let notes = output.notes.values().flat_map(|notes| notes.iter());
    let shadows = notes.filter(|note| note.code.id == weft_translate::notes::SHADOWED.id);
    let entry = |note: &weft_translate::Note| {
        (
            (note.object.to_string(), note.field.clone()),
            note.message.clone(),
        )
    };
    shadows.map(entry).collect()
}
