//! Broken files by hand: what `weft analyze` says about each, as reviewed.
//!
//! `UPDATE=1 cargo test -p weft-tests broken::pages` rewrites the pages. Before they are committed,
//! see that each finding marks the place a reader would correct, says what is wrong in words of the
//! file, what happens meanwhile, and what to write instead. `BROKEN=name` runs one file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use super::program::weft;

/// The good neighbour that every file is analyzed with.
const WORLD: &str = "world.yaml";
/// Fewer files would not show the ways files break in.
const FILES_MIN: usize = 30;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("broken")
}

/// Names of the broken files and directories.
fn names() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("the folder of broken files");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry of the folder").file_name())
        .map(|name| name.into_string().expect("a name in UTF-8"))
        .filter(|name| !name.starts_with('.') && !name.ends_with(".out") && name != WORLD)
        .collect();
    names.sort();
    names
}

/// The page of files: what the program prints about them, and its exit code.
fn page(files: &[&str]) -> io::Result<String> {
    let output = Command::new(weft())
        .args(["analyze", "--color", "never"])
        .args(files)
        .current_dir(directory())
        .output()?;
    let code = output.status.code();
    let code = code.map_or_else(|| "none, killed".to_owned(), |code| code.to_string());
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    Ok(format!("{said}{complained}exit code {code}\n"))
}

fn out(name: &str) -> PathBuf {
    let stem = Path::new(name).file_stem().expect("a name");
    directory().join(stem).with_extension("out")
}

/// The pages of all names, made by as many threads as there are processors.
fn pages(names: Vec<String>) -> Vec<(String, String)> {
    weft();
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (waiting, pages) = (Mutex::new(names), Mutex::new(Vec::new()));
    let next = || waiting.lock().expect("no thread panics here").pop();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let page = page(&[WORLD, &name]).expect("weft runs");
                    pages
                        .lock()
                        .expect("no thread panics here")
                        .push((name, page));
                }
            });
        }
    });
    let mut pages = pages.into_inner().expect("no thread panicked");
    pages.sort();
    pages
}

#[test]
fn every_broken_file_gets_the_findings_that_were_reviewed() {
    let update = std::env::var_os("UPDATE").is_some();
    let only = std::env::var("BROKEN").ok();
    let mut names = names();
    assert!(names.len() >= FILES_MIN, "only {} files", names.len());
    names.retain(|name| only.as_ref().is_none_or(|only| name.starts_with(only)));
    let mut wrong = Vec::new();
    for (name, found) in pages(names) {
        wrong.extend(shortcomings(&name, &found));
        let reviewed = fs::read_to_string(out(&name)).unwrap_or_default();
        if found != reviewed && update {
            fs::write(out(&name), found).expect("write a page");
        } else if found != reviewed {
            wrong.push(format!("--- {name} was\n{reviewed}--- and is\n{found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} pages are not as reviewed; if they are right, run with UPDATE=1\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What no page may lack, whatever was reviewed.
fn shortcomings(name: &str, page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut lines = page.lines().peekable();
    let mut findings = 0;
    while let Some(line) = lines.next() {
        let severity = line.split(' ').next().unwrap_or_default();
        if !["error", "warning", "info"].contains(&severity) {
            continue;
        }
        findings += 1;
        let cure = line.rsplit_once(" → ").map_or("", |(_, cure)| cure);
        if cure.is_empty() {
            wrong.push(format!("{name}: no cure in {line}"));
        }
        let place = lines.peek().copied().unwrap_or_default().trim_start();
        if !place.starts_with(&format!("--> {name}")) && !place.starts_with("--> world.yaml") {
            wrong.push(format!("{name}: no place below {line}"));
        }
    }
    if findings == 0 {
        wrong.push(format!("{name}: no finding"));
    }
    if page.contains("panicked") {
        wrong.push(format!("{name}: a panic\n{page}"));
    }
    wrong
}

#[test]
fn the_good_neighbour_is_good() {
    let page = page(&[WORLD]).expect("weft runs");
    assert!(page.starts_with("nothing to complain about"), "{page}");
    assert!(page.ends_with("exit code 0\n"), "{page}");
}

#[test]
fn every_page_has_a_file() {
    let outs: Vec<PathBuf> = names().iter().map(|name| out(name)).collect();
    for entry in fs::read_dir(directory()).expect("the folder of broken files") {
        let path = entry.expect("an entry of the folder").path();
        let is_page = path.extension().is_some_and(|extension| extension == "out");
        assert!(!is_page || outs.contains(&path), "{}", path.display());
    }
}
