//! The metrics of several processes as one text: those of one family together, those of a node's workers
//! each with the shard it is of. What a worker says may be anything, so only what is clearly a sample of a
//! family of its own is taken.

use std::{collections::BTreeMap, fmt::Write};

/// Families that there may be; more are not metrics of ours.
const FAMILIES: usize = 512;
/// The label that says whose a sample is. Workers have none of that name.
const LABEL: &str = "shard";
/// The last line of OpenMetrics text.
const END: &str = "# EOF\n";

/// What is said of a family, and its samples.
#[derive(Default)]
struct Family {
    /// `# TYPE`, `# HELP` and `# UNIT`, as the first that has the family says them.
    about: Vec<String>,
    samples: Vec<String>,
}

/// The families of several processes.
#[derive(Default)]
pub(crate) struct Merged(BTreeMap<String, Family>);

impl Merged {
    /// Takes what this process says of itself.
    pub(crate) fn own(&mut self, text: &str) {
        self.read(None, text, &[]);
    }

    /// Takes what a worker says, with the name of its shard if it is one of several, but for the families
    /// of `reserved`, which its parent has itself.
    pub(crate) fn worker(&mut self, shard: Option<&str>, text: &str, reserved: &[&str]) {
        self.read(shard, text, reserved);
    }

    /// All of it, with the end of OpenMetrics text.
    pub(crate) fn into_text(self) -> String {
        let mut merged = String::new();
        for family in self.0.values() {
            for line in family.about.iter().chain(&family.samples) {
                // Writing to a string does not fail.
                let _written = writeln!(merged, "{line}");
            }
        }
        merged + END
    }

    fn read(&mut self, shard: Option<&str>, text: &str, reserved: &[&str]) {
        let families = &mut self.0;
        let mut present: Option<String> = None;
        // Those that this process is the first to have.
        let mut own: Option<String> = None;
        for line in text.lines() {
            if let Some(about) = line.strip_prefix("# ") {
                let mut words = about.splitn(3, ' ');
                let (Some(what), Some(name)) = (words.next(), words.next()) else {
                    continue;
                };
                // Which of these lines is first differs; all name the family.
                if ["TYPE", "HELP", "UNIT"].contains(&what) && present.as_deref() != Some(name) {
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
                let family = families.entry(name.clone()).or_default();
                family.samples.push(sample);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_of_name)
}

/// A sample of the family, with the label where there is a shard; nothing for what is none.
fn labelled(line: &str, family: &str, shard: Option<&str>) -> Option<String> {
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
    let Some(shard) = shard else {
        return Some(line.to_owned());
    };
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
        let mut merged = Merged::default();
        for (shard, text) in texts {
            let text = text.replace("; ", "\n");
            match *shard {
                "" => merged.own(&text),
                shard => merged.worker(Some(shard), &text, &["weft_pod_captured"]),
            }
        }
        let text = merged.into_text();
        let text = text.strip_suffix(END).expect("it has an end");
        assert_eq!(text.trim_end().replace('\n', "; "), expected, "{row}");
    }

    #[test]
    fn workers_are_told_apart() {
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
        check(
            "a parent and its worker, of one family",
            &[
                (
                    "",
                    "# HELP ends End.; # TYPE ends gauge; ends{identity=\"a\"} 1",
                ),
                (
                    "pay",
                    "# TYPE ends gauge; # HELP ends End.; ends{identity=\"b\"} 2",
                ),
                ("", "# TYPE weft_pod_captured gauge; weft_pod_captured 1"),
            ],
            "# HELP ends End.; # TYPE ends gauge; ends{identity=\"a\"} 1; \
             ends{shard=\"pay\",identity=\"b\"} 2; # TYPE weft_pod_captured gauge; weft_pod_captured 1",
        );
    }

    #[test]
    fn what_a_worker_may_not_say_is_left_out() {
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
