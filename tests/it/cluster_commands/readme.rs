//! The cluster section of README.md: its commands are understood, and its objects are judged well and
//! route. That it runs in a real cluster is shown by `tests/cluster`.

use std::process::Command;

use weft_tests::{binary, wait::Expected};

use super::{cluster, install, weft};

/// The blocks for a shell.
fn section() -> String {
    let path = binary::workspace().join("README.md");
    let readme = std::fs::read_to_string(path).expected("README.md");
    let (_, section) = readme
        .split_once("\n## In a cluster\n")
        .expect("README has it");
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    let scripts = blocks.map(|block| block.split("```").next().unwrap_or_default());
    scripts.collect()
}

#[test]
fn commands_are_understood() {
    let section = section();
    let lines = section.lines().filter(|line| line.starts_with("weft "));
    let mut count = 0;
    for line in lines {
        let command = line.split(" | ").next().unwrap_or_default();
        let words = command.split_whitespace().skip(1);
        let output = Command::new(binary::directory().join("weft"))
            .args(words)
            .arg("--help")
            .output()
            .expected("`weft` runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Usage:"), "{line}: {output:?}");
        count += 1;
    }
    assert!(count >= 7, "the section shows {count} commands");
}

#[tokio::test]
async fn objects_are_judged_well_and_route() {
    let section = section();
    let (_, rest) = section.split_once("<<'END'\n").expect("objects");
    let (yaml, _) = rest.split_once("\nEND\n").expect("their end");
    let api = cluster().await;
    install(&api).await;
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(yaml).expected("YAML");
    for mut object in documents {
        // What an API server adds.
        if object["kind"] == "Service" {
            object["spec"]["clusterIP"] = "10.96.0.9".into();
        }
        api.apply(object);
    }
    let judged = weft(&api, "analyze --cluster --fail-on warning").await;
    assert_eq!(judged.code, Some(0), "{}", judged.said());
    let routed = weft(&api, "explain --gateway tour/edge --path /cart").await;
    assert!(
        routed.stdout.contains("tour/echo:80 100 %"),
        "{}",
        routed.said()
    );
}
