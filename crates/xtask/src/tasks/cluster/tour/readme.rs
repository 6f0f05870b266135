//! The cluster section of README.md, in blocks and commands.

use anyhow::{Context, Result, bail, ensure};

/// Where upstream publishes the kinds of the Gateway API.
const UPSTREAM: &str = "https://github.com/kubernetes-sigs/gateway-api/releases/";
/// The same, as the suite's module has them.
const KINDS: &str = "\"$KINDS\"";

/// A block for a shell, and what it prints. `sh TOOL` is run where the tool is installed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) line: usize,
    pub(super) script: &'a str,
    pub(super) tools: Vec<&'a str>,
    pub(super) shown: Option<&'a str>,
}

/// The blocks of the section, in order.
///
/// # Errors
/// When the section is not there, or holds a block that is neither for a shell nor printed by one.
pub(super) fn blocks(readme: &str) -> Result<Vec<Block<'_>>> {
    let (before, section) = readme
        .split_once("\n## In a cluster\n")
        .context("README.md has no section `In a cluster`")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    // The heading, and the empty line in front of it, are no part of either side.
    let mut line = before.lines().count() + 3;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (index, part) in section.split("```").enumerate() {
        let (info, content) = part.split_once('\n').unwrap_or((part, ""));
        let words: Vec<&str> = info.split_whitespace().collect();
        match words.as_slice() {
            _ if index % 2 == 0 => {}
            ["sh", tools @ ..] => blocks.push(Block {
                line,
                script: content,
                tools: tools.to_vec(),
                shown: None,
            }),
            ["text"] => {
                let block = blocks.last_mut();
                let block =
                    block.with_context(|| format!("README line {line}: output of what?"))?;
                ensure!(block.shown.is_none(), "README line {line}: a second output");
                block.shown = Some(content);
            }
            other => bail!("README line {line}: what is a block of {other:?}?"),
        }
        line += part.matches('\n').count();
    }
    ensure!(
        !blocks.is_empty(),
        "the section `In a cluster` shows no command"
    );
    Ok(blocks)
}

/// The commands of a script, each with the document it reads.
pub(super) fn commands(script: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let mut command = format!("{line}\n");
        if let Some(end) = document(line) {
            for line in lines.by_ref() {
                command += &format!("{line}\n");
                if line == end {
                    break;
                }
            }
        }
        commands.push(command);
    }
    commands
}

/// The line that ends the document a command reads, if it reads one.
fn document(line: &str) -> Option<&str> {
    let (_, quoted) = line.split_once("<<'")?;
    quoted.split_once('\'').map(|(end, _)| end)
}

/// What the bed does instead of a command: it has its own way to load images, which are built, and
/// takes the kinds from upstream's module where its releases cannot be `reached`.
pub(super) fn instead_of(command: &str, reached: impl Fn(&str) -> bool) -> Option<String> {
    if command.starts_with("cargo x image && ") {
        return Some("export PATH=\"$IMAGES:$PATH\"\n".to_owned());
    }
    if let Some(archive) = command.strip_prefix("kind load image-archive target/image/") {
        return Some(format!("\"$BED\" load \"$IMAGES/{}\"\n", archive.trim()));
    }
    let url = command
        .split_whitespace()
        .find(|word| word.starts_with(UPSTREAM))?;
    (!reached(url)).then(|| command.replace(url, KINDS))
}
