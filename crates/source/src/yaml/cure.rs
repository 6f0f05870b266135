//! What to do about text that is not YAML: cures for the complaints of the parser that people meet.

/// Complaints of the parser, by words in them, with what to do about each.
const CURES: &[(&str, &str)] = &[
    ("tabs disallowed", "indent with spaces"),
    ("cannot start with a tab", "indent with spaces"),
    (
        "unclosed quote",
        "close the text with the quote it begins with",
    ),
    (
        "trailing content after",
        "put a comma or a line break after the quoted text",
    ),
    (
        "illegal placement of ':'",
        "close the `[` or `{` above, or quote the text that holds the `:`",
    ),
    (
        "mapping values are not allowed",
        "quote the text that holds the `:`, or begin a new line",
    ),
    (
        "expected ',' or '}'",
        "close the `{` above, or put a comma between its fields",
    ),
    (
        "expected ',' or ']'",
        "close the `[` above, or put a comma between its items",
    ),
    (
        "mismatched bracket",
        "close brackets in the order they were opened",
    ),
    (
        "expected key",
        "indent the line like the fields it belongs to",
    ),
    (
        "expected '-' indicator",
        "begin the item with `- `, indented like the others of its list",
    ),
    (
        "invalid indentation",
        "indent the line like the fields it belongs to",
    ),
    (
        "unknown anchor",
        "define the anchor before, in the same document",
    ),
    (
        "stands twice in one map",
        "remove one of the two; nobody can tell which was meant",
    ),
];

/// What to do about a complaint about a line; `None` when nothing can be said but to correct it.
pub(super) fn of(complaint: &str, line: &str) -> Option<&'static str> {
    if line.contains("{{") {
        return Some("render the template first, as `helm template` does");
    }
    let known = |(words, _): &&(&str, &str)| complaint.contains(words);
    CURES.iter().find(known).map(|(_, cure)| *cure)
}
