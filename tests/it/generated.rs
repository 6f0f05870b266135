//! Invariant 14, the part a reader sees: tables of the documentation come from the slices of the
//! code. `cargo x docs` runs these tests with `UPDATE=1`, which writes the tables instead.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use weft_tests::binary;
use weft_translate::features::{self, Channel, Feature};

const LEGEND: &str = "
Names are those of the conformance suite, without the resource in front. Bold: core for its
resource. ¹ Needs the experimental channel.
";

/// One row per resource: what is built, what is not. Core features are bold, experimental ones
/// marked.
fn feature_table(features: &[Feature]) -> String {
    let mut rows: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
    for feature in features {
        let weight = if feature.core { "**" } else { "" };
        let mark = if feature.channel == Channel::Experimental {
            " ¹"
        } else {
            ""
        };
        let name = feature.name.strip_prefix(feature.resource);
        let name = name.filter(|rest| !rest.is_empty()).unwrap_or(feature.name);
        let cell = format!("{weight}{name}{weight}{mark}");
        rows.entry(feature.resource).or_default()[usize::from(!feature.implemented)].push(cell);
    }
    let mut table = String::from("| resource | supported | not yet |\n|---|---|---|\n");
    for (resource, cells) in rows {
        let [supported, missing] = cells.map(|names| match names.as_slice() {
            [] => "–".to_owned(),
            names => names.join(", "),
        });
        writeln!(table, "| {resource} | {supported} | {missing} |")
            .expect("writing to a String cannot fail");
    }
    table.push_str(LEGEND);
    table
}

/// The text between the lines that hold `<!-- NAME:begin` and `<!-- NAME:end`.
fn between_marks(document: &str, name: &str) -> Option<Range<usize>> {
    let begin = document.find(&format!("<!-- {name}:begin"))?;
    let start = begin + document[begin..].find('\n')? + 1;
    let end = start + document[start..].find(&format!("<!-- {name}:end"))?;
    Some(start..end)
}

/// `document` with the part called `name` replaced, or `None` when it says that already.
fn replaced(document: &str, name: &str, content: &str) -> Option<String> {
    let range = between_marks(document, name)
        .unwrap_or_else(|| panic!("no marks `<!-- {name}:begin ... -->`, `<!-- {name}:end -->`"));
    if &document[range.clone()] == content {
        return None;
    }
    let mut text = document.to_owned();
    text.replace_range(range, content);
    Some(text)
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

fn check(file: &str, name: &str, content: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = tests.parent().unwrap_or(tests).join(file);
    let document = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let Some(text) = replaced(&document, name, content) else {
        return;
    };
    assert!(
        is_updating(),
        "{file}: the part `{name}` is not what the code says; run `cargo x docs` and review the diff"
    );
    std::fs::write(&path, text)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

#[test]
fn invariant_14_the_readme_lists_the_supported_features() {
    check("README.md", "features", &feature_table(features::ALL));
}

/// The files of the chart that `weft install` writes; see its table of values.
#[test]
fn the_chart_has_the_values_and_the_schema_of_the_binary() {
    for (what, file) in [("values", "values.yaml"), ("schema", "values.schema.json")] {
        let said = Command::new(binary::directory().join("weft"))
            .args(["install", "--show", what])
            .output()
            .expect("`weft` runs");
        assert!(said.status.success(), "weft install --show {what}");
        let path = binary::workspace().join("charts/weft").join(file);
        let written = std::fs::read(&path).unwrap_or_default();
        if written == said.stdout {
            continue;
        }
        assert!(
            is_updating(),
            "charts/weft/{file} is not what the code says; run `cargo x docs` and review the diff"
        );
        std::fs::write(&path, said.stdout).expect("a file of the chart");
    }
}

#[test]
fn the_feature_table_shows_state_level_and_channel() {
    let feature = |name, core, channel, implemented| Feature {
        name,
        resource: "HTTPRoute",
        channel,
        core,
        implemented,
    };
    let table = feature_table(&[
        feature("HTTPRoute", true, Channel::Standard, true),
        feature("HTTPRouteNew", false, Channel::Experimental, true),
        feature("Later", false, Channel::Standard, false),
    ]);
    assert!(
        table.contains("| HTTPRoute | **HTTPRoute**, New ¹ | Later |"),
        "the row in\n{table}"
    );
}

#[test]
fn only_the_marked_part_is_replaced_and_only_when_it_differs() {
    let document = "a\n<!-- t:begin (x) -->\nold\n<!-- t:end -->\nb\n";
    let fresh = replaced(document, "t", "new\n").expect("old is not new");
    assert_eq!(fresh, document.replace("old", "new"));
    assert_eq!(replaced(&fresh, "t", "new\n"), None, "nothing left to do");
}
