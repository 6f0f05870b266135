//! The metrics of the workers of a node as one text: those of one family together, each with the shard it
//! is of. What a worker says may be anything, so only what is clearly a sample of a family of its own is
//! taken.

use std::{collections::BTreeMap, fmt::Write};

use super::roster::Shard;

/// Families that a node's workers may have; more are not metrics of ours.
const FAMILIES: usize = 512;
/// The label that says whose a sample is. Workers have none of that name.
const LABEL: &str = "shard";

/// What is said of a family, and its samples.
#[derive(Default)]
struct Family {
    /// `# TYPE`, `# HELP` and `# UNIT`, as the first worker has them.
    about: Vec<String>,
    samples: Vec<String>,
}

/// The families of all workers but those of `reserved`, which the supervisor has itself, without the end
/// of OpenMetrics text.
pub(super) fn merged(texts: &[(Shard, String)], reserved: &[&str]) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for (shard, text) in texts {
        read(shard, text, reserved, &mut families);
    }
    let mut merged = String::new();
    for family in families.values() {
        for line in family.about.iter().chain(&family.samples) {
            // Writing to a string does not fail.
            let _written = writeln!(merged, "{line}");
        }
    }
    merged
}

fn read(shard: &Shard, text: &str, reserved: &[&str], families: &mut BTreeMap<String, Family>) {
    let mut present: Option<String> = None;
    // Those that this worker is the first to have.
    let mut own: Option<String> = None;
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let mut words = about.splitn(3, ' ');
            let (Some(what), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            if what == "TYPE" {
                let is_ours = is_name(name) && !reserved.contains(&name);
                let is_room = families.len() < FAMILIES || families.contains_key(name);
                present = (is_ours && is_room).then(|| name.to_owned());
                let is_new = !families.contains_key(name);
                own = present.clone().filter(|_| is_new);
            }
            if let Some(family) = own.as_ref().filter(|own| *own == name) {
                let family = families.entry(family.clone()).or_default();
                family.about.push(line.to_owned());
            }
            continue;
        }
        let Some(name) = &present else { continue };
        if let Some(sample) = labelled(line, name, shard) {
            families
                .entry(name.clone())
                .or_default()
                .samples
                .push(sample);
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_of_name)
}

/// A sample of the family with the label; nothing for what is none.
fn labelled(line: &str, family: &str, shard: &Shard) -> Option<String> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let suffix = name.strip_prefix(family)?;
    let is_of_family = [
        "", "_total", "_count", "_sum", "_bucket", "_created", "_info",
    ]
    .contains(&suffix);
    if !is_of_family || rest.contains(&format!("{LABEL}=\"")) {
        return None;
    }
    // A shard is a namespace, whose name needs no escape.
    let label = format!("{LABEL}=\"{shard}\"");
    Some(match rest.strip_prefix('{') {
        Some(rest) if rest.starts_with('}') => format!("{name}{{{label}{rest}"),
        Some(rest) => format!("{name}{{{label},{rest}"),
        None => format!("{name}{{{label}}}{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, texts: &[(&str, &str)], expected: &str) {
        let texts = texts.iter().map(|(shard, text)| {
            let text = text.replace("; ", "\n");
            (Shard::new(shard), text)
        });
        let texts: Vec<_> = texts.collect();
        let merged = merged(&texts, &["weft_pod_captured"]);
        assert_eq!(merged.trim_end().replace('\n', "; "), expected, "{row}");
    }

    #[test]
    fn workers_are_told_apart_and_say_nothing_of_others() {
        let open = "# TYPE open gauge; # HELP open Connections.; open 1";
        check(
            "two workers",
            &[
                ("pay", open),
                (
                    "shop",
                    "# TYPE open gauge; # HELP open Other.; open{side=\"in\"} 2; # EOF",
                ),
            ],
            "# TYPE open gauge; # HELP open Connections.; open{shard=\"pay\"} 1; \
             open{shard=\"shop\",side=\"in\"} 2",
        );
        check(
            "a histogram",
            &[(
                "pay",
                "# TYPE took histogram; took_bucket{le=\"1\"} 2; took_count 2; took_sum 3",
            )],
            "# TYPE took histogram; took_bucket{shard=\"pay\",le=\"1\"} 2; \
             took_count{shard=\"pay\"} 2; took_sum{shard=\"pay\"} 3",
        );
        for (row, said) in [
            (
                "in the name of another",
                "# TYPE open gauge; open{shard=\"shop\"} 1",
            ),
            (
                "of the supervisor",
                "# TYPE weft_pod_captured gauge; weft_pod_captured 1",
            ),
            (
                "of another family",
                "# TYPE open gauge; weft_pod_captured 1",
            ),
            ("without a family", "open 1"),
            ("no sample", "# TYPE open gauge; open"),
        ] {
            let expected = if said.contains("TYPE open") {
                "# TYPE open gauge"
            } else {
                ""
            };
            check(row, &[("pay", said)], expected);
        }
    }
}
