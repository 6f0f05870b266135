//! Full paths of the names a file uses, seen through its `use` declarations.
//!
//! `use std::{fs, net::TcpStream as Tcp}; Tcp::connect(a)` names `std::fs`, `std::net::TcpStream`
//! and `std::net::TcpStream::connect`; looking for those as text would miss all three.

use std::collections::BTreeMap;

use super::lexer::Token;
use super::report::Finding;
use super::source::SourceFile;

/// A path that code names, with imports resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Segments joined by `::`.
    pub(super) path: String,
    pub(super) line: usize,
}

/// A pattern of paths nobody may name, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ban {
    /// `a::b` forbids that path and all below it; `a::B*` all names of `a` that start with `B`;
    /// `*::B::c` every path that ends so; `.m` the method call `x.m()` without arguments.
    pub(super) pattern: &'static str,
    pub(super) cure: &'static str,
}

impl Ban {
    fn matches(&self, path: &str) -> bool {
        if let Some(tail) = self.pattern.strip_prefix("*::") {
            return path == tail || path.ends_with(&format!("::{tail}"));
        }
        if let Some(prefix) = self.pattern.strip_suffix('*') {
            return path.starts_with(prefix);
        }
        let below = path.strip_prefix(self.pattern);
        below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
    }
}

/// Every use of a banned path in the production code of `file`.
pub(super) fn banned(file: &SourceFile, bans: &[Ban]) -> Vec<Finding> {
    let code = file.production();
    let names = named_paths(&code);
    let mut findings = Vec::new();
    for ban in bans {
        let lines: Vec<(usize, String)> = match ban.pattern.strip_prefix('.') {
            Some(method) => method_calls(&code, method),
            None => names
                .iter()
                .filter(|name| ban.matches(&name.path))
                .map(|name| (name.line, format!("`{}`", name.path)))
                .collect(),
        };
        let finding = |(line, what)| Finding::new(&file.path, line, what, ban.cure);
        findings.extend(lines.into_iter().map(finding));
    }
    findings.sort_by(|a, b| (a.line, &a.what).cmp(&(b.line, &b.what)));
    findings.dedup();
    findings
}

fn method_calls(code: &[Token<'_>], method: &str) -> Vec<(usize, String)> {
    let call = [".", method, "(", ")"];
    code.windows(call.len())
        .filter(|window| window.iter().zip(call).all(|(token, text)| token.is(text)))
        .map(|window| (window[1].line, format!("`.{method}()`")))
        .collect()
}

/// Paths of two or more segments, and single names that an import stands behind.
pub(super) fn named_paths(code: &[Token<'_>]) -> Vec<Named> {
    let mut names = Vec::new();
    let mut aliases = BTreeMap::new();
    let mut outside_imports = Vec::new();
    let mut at = 0;
    while at < code.len() {
        // `impl Trait + use<'a>` is no import.
        if code[at].is("use") && code.get(at + 1).is_some_and(|next| !next.is("<")) {
            at = import(code, at + 1, "", &mut |alias, name: Named| {
                aliases.insert(alias.to_owned(), name.path.clone());
                names.push(name);
            });
        } else {
            outside_imports.push(code[at]);
            at += 1;
        }
    }
    let code = outside_imports;
    let mut at = 0;
    while at < code.len() {
        let (path, next) = plain_path(&code, at);
        if let Some(path) = path {
            let first = path.split("::").next().unwrap_or_default();
            let follows_dot = at > 0 && code[at - 1].is(".");
            let resolved = match aliases.get(first).filter(|_| !follows_dot) {
                Some(full) => Some(format!("{full}{}", &path[first.len()..])),
                None => path.contains("::").then_some(path),
            };
            names.extend(resolved.map(|path| Named {
                path,
                line: code[at].line,
            }));
        }
        at = next;
    }
    names
}

/// The path that starts at `at`, if one does, and the index after it.
fn plain_path(code: &[Token<'_>], at: usize) -> (Option<String>, usize) {
    if !code[at].is_word() {
        return (None, at + 1);
    }
    let mut path = code[at].text.to_owned();
    let mut next = at + 1;
    while code.get(next).is_some_and(|token| token.is("::"))
        && code.get(next + 1).is_some_and(Token::is_word)
    {
        path.push_str("::");
        path.push_str(code[next + 1].text);
        next += 2;
    }
    (Some(path), next)
}

/// Reads one tree of a `use` declaration from `at` on and returns the index after it.
fn import(
    code: &[Token<'_>],
    at: usize,
    prefix: &str,
    found: &mut dyn FnMut(&str, Named),
) -> usize {
    let mut at = at;
    let mut path = prefix.to_owned();
    let mut last = prefix.rsplit("::").next().unwrap_or_default().to_owned();
    while let Some(token) = code.get(at) {
        if token.is("{") {
            at += 1;
            while code.get(at).is_some_and(|token| !token.is("}")) {
                // At least one step: `use` trees inside macro patterns hold other tokens too.
                at = import(code, at, &path, found).max(at + 1);
                at += usize::from(code.get(at).is_some_and(|token| token.is(",")));
            }
            return at + 1;
        }
        if token.is("::") {
            at += 1;
            continue;
        }
        let is_segment = (token.is_word() && !token.is("as")) || token.is("*");
        if !is_segment {
            break;
        }
        if !token.is("self") || path.is_empty() {
            let separator = if path.is_empty() { "" } else { "::" };
            path = format!("{path}{separator}{}", token.text);
            token.text.clone_into(&mut last);
        }
        at += 1;
    }
    let line = code.get(at.saturating_sub(1)).map_or(0, |token| token.line);
    if code.get(at).is_some_and(|token| token.is("as")) {
        last = code.get(at + 1).map_or(last, |token| token.text.to_owned());
        at += 2;
    }
    found(&last, Named { path, line });
    at
}

#[cfg(test)]
mod tests {
    use super::{Ban, banned, named_paths};
    use crate::tidy::lexer::lex;
    use crate::tidy::source::SourceFile;

    fn check(source: &str, expected: &[&str]) {
        let tokens = lex(source);
        let mut paths: Vec<String> = named_paths(&tokens)
            .into_iter()
            .map(|name| name.path)
            .collect();
        paths.sort();
        paths.dedup();
        for path in expected {
            assert!(
                paths.iter().any(|found| found == path),
                "{path} not in {paths:?} of {source}"
            );
        }
    }

    #[test]
    fn imports_are_expanded() {
        check(
            "use std::{fs, net::{TcpStream as Tcp, IpAddr}, io::{self, Read}};",
            &[
                "std::fs",
                "std::net::TcpStream",
                "std::net::IpAddr",
                "std::io",
                "std::io::Read",
            ],
        );
        check("pub(crate) use ::tokio::sync::*;", &["tokio::sync::*"]);
    }

    #[test]
    fn uses_are_seen_through_their_imports() {
        check(
            "use std::time::Instant; let x = Instant::now();",
            &["std::time::Instant::now"],
        );
        check(
            "use std::time as t; t::SystemTime::now();",
            &["std::time::SystemTime::now"],
        );
        check(
            "use tokio::net; async { net::TcpStream::connect(a) }",
            &["tokio::net::TcpStream::connect"],
        );
    }

    #[test]
    fn each_form_of_pattern_finds_its_paths_and_no_others() {
        let text = "use std::net::{TcpStream, IpAddr};\nuse tokio_like::x;\n\
                    fn f() { Instant::now(); a.elapsed(); a.elapsed(b); a.elapsed; std::fsx::y(); }";
        let file = SourceFile::sample("crates/ir/src/lib.rs", text);
        for (pattern, lines) in [
            ("std::net::Tcp*", vec![1]),
            ("tokio", vec![]),
            ("*::Instant::now", vec![3]),
            (".elapsed", vec![3]),
            ("std::fs", vec![]),
            ("std::net", vec![1, 1]),
        ] {
            let findings = banned(&file, &[Ban { pattern, cure: "" }]);
            let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
            assert_eq!(found, lines, "lines that name {pattern}");
        }
    }
}
