//! Tests of `regex`: anchoring, bytes, bounds.

use super::{Regex, RegexError};

/// Name, pattern, text, whether it matches.
const WHOLE: &[(&str, &str, &[u8], bool)] = &[
    ("equal text", "abc", b"abc", true),
    ("more after", "abc", b"abcd", false),
    ("more before", "abc", b"0abc", false),
    ("shorter alternative first", "/v1|/v1/.*", b"/v1/x", true),
    ("the shorter one itself", "/v1|/v1/.*", b"/v1", true),
    (
        "alternatives are anchored at the start",
        "a|b",
        b"xb",
        false,
    ),
    ("alternatives are anchored at the end", "a|b", b"ax", false),
    (
        "a lazy quantifier has to reach the end",
        "a+?",
        b"aaa",
        true,
    ),
    ("own anchors are allowed", "^abc$", b"abc", true),
    ("own anchors do not loosen", "^abc", b"abcd", false),
    ("a dollar is not before a newline", "abc$", b"abc\n", false),
    ("multi-line mode does not loosen", "(?m)^a$", b"a\nb", false),
    (
        "multi-line mode with text before",
        "(?m)^a$",
        b"b\na",
        false,
    ),
    ("the empty pattern takes the empty text", "", b"", true),
    ("and nothing else", "", b"a", false),
    ("case counts", "abc", b"ABC", false),
    ("unless the pattern says otherwise", "(?i)abc", b"aBC", true),
    ("a dot is any byte", "a.c", b"a\xFFc", true),
    ("a dot is one byte", "a.c", b"a\xC3\xA9c", false),
    ("two bytes of one letter", "a..c", b"a\xC3\xA9c", true),
    ("text that is not UTF-8", "v1.*", b"v1\xC3\x28", true),
    (
        "and is judged by what it holds",
        "v1.*",
        b"v2\xC3\x28",
        false,
    ),
    (
        "a letter beyond ASCII stands for its bytes",
        "é",
        b"\xC3\xA9",
        true,
    ),
    ("words are ASCII", r"\w+", b"\xC3\xA9", false),
    (
        "unless Unicode is asked for",
        r"(?u:\w+)",
        b"\xC3\xA9",
        true,
    ),
    ("classes", "/v[12]/.+", b"/v2/users", true),
    ("repetition", "a{2,3}", b"aaaa", false),
    ("an escaped slash", r"\/a", b"/a", true),
    ("extended mode", "(?x) a b # c\n d", b"abd", true),
    ("nothing matches nothing", "[a&&b]", b"a", false),
];

#[test]
fn the_whole_text_has_to_match() {
    for (name, pattern, text, expected) in WHOLE {
        let regex = Regex::new(pattern).unwrap();
        assert_eq!(
            regex.is_match(text),
            *expected,
            "{name}: {pattern:?} on {text:?}"
        );
    }
}

#[test]
fn patterns_that_are_refused() {
    let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    let rows = [
        ("unbalanced", "a(b", "unclosed group"),
        ("balanced only by the wrapping", "a)|(?:b", "unopened group"),
        ("a look-ahead", "a(?=b)", "look-around"),
        ("a back reference", r"(a)\1", "backreferences"),
        (
            "nothing to repeat",
            "*a",
            "repetition operator missing expression",
        ),
        ("too deeply nested", &deep, "nest"),
        (
            "a comment that swallows the end",
            "(?x)a # b",
            "unclosed group",
        ),
    ];
    for (name, pattern, message) in rows {
        match Regex::new(pattern) {
            Err(error @ RegexError::Syntax { .. }) => {
                let text = error.to_string();
                assert!(text.contains(message), "{name}: {text}");
                assert!(
                    text.contains(pattern),
                    "{name}: the pattern is named in {text}"
                );
                assert_eq!(
                    text.lines().count(),
                    pattern.lines().count(),
                    "{name}: one line"
                );
            }
            other => panic!("{name}: {pattern:?} gives {other:?}"),
        }
    }
}

#[test]
fn patterns_that_are_too_large() {
    for pattern in [
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        r"(?u)\p{L}{10000}",
    ] {
        assert_eq!(
            Regex::new(pattern),
            Err(RegexError::TooLarge {
                pattern: pattern.into()
            }),
            "{pattern}"
        );
    }
}

#[test]
fn stored_as_its_pattern() {
    let regex = Regex::new("/v[12]").unwrap();
    let json = serde_json::to_string(&regex).unwrap();
    assert_eq!(json, "\"/v[12]\"");
    assert_eq!(serde_json::from_str::<Regex>(&json).unwrap(), regex);
    assert_ne!(
        regex,
        Regex::new("/v[21]").unwrap(),
        "equality is that of the pattern"
    );
    let error = serde_json::from_str::<Regex>("\"(\"")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("regular expression \"(\""),
        "the culprit is named: {error}"
    );
}
