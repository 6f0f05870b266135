//! Tests of `path`: a table of spellings, and the laws of the normal form.

use std::borrow::Cow;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{PathError, normalise};

/// Name, path as sent, normal form.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("the root", "/", "/"),
    ("an empty path is the root", "", "/"),
    ("a server-wide target", "*", "*"),
    ("one element", "/a", "/a"),
    ("a trailing slash is kept", "/a/", "/a/"),
    ("several elements", "/a/b/c", "/a/b/c"),
    ("case is kept", "/A/b", "/A/b"),
    (
        "sub-delimiters are kept",
        "/a!$&'()*+,;=:@b",
        "/a!$&'()*+,;=:@b",
    ),
    ("bytes beyond ASCII are kept", "/bücher", "/bücher"),
    ("quotes and braces are kept", "/\"{a}|^`<>", "/\"{a}|^`<>"),
    // Slashes.
    ("a double slash", "/a//b", "/a/b"),
    ("a double slash at the start", "//a", "/a"),
    ("a double slash at the end", "/a//", "/a/"),
    ("slashes only", "////", "/"),
    ("runs of slashes", "//a///b////c", "/a/b/c"),
    // Dot segments (RFC 3986 section 5.2.4).
    ("a dot segment", "/a/./b", "/a/b"),
    ("a dot segment at the start", "/./a", "/a"),
    ("a dot segment at the end", "/a/.", "/a/"),
    ("a dot alone", "/.", "/"),
    ("two dots", "/a/../b", "/b"),
    ("two dots at the end", "/a/b/..", "/a/"),
    ("two dots and a slash at the end", "/a/b/../", "/a/"),
    ("two dots over the only element", "/a/..", "/"),
    ("two dots at the root", "/..", "/"),
    ("two dots beyond the root", "/../../a", "/a"),
    ("two dots beyond the root, later", "/a/../../b", "/b"),
    ("the example of the RFC", "/a/b/c/./../../g", "/a/g"),
    ("dots and slashes", "/a/.//../b", "/b"),
    ("two dots after a double slash", "/a//../b", "/b"),
    ("three dots are a name", "/a/.../b", "/a/.../b"),
    (
        "a hidden file is a name",
        "/.well-known/x",
        "/.well-known/x",
    ),
    ("two dots and more are a name", "/..a/b", "/..a/b"),
    ("dots at the end of a name", "/a./b../c", "/a./b../c"),
    ("dots with parameters are a name", "/a/..;/b", "/a/..;/b"),
    // Escapes of unreserved characters (RFC 3986 section 6.2.2.2).
    ("an escaped letter", "/%61dmin", "/admin"),
    ("an escaped capital", "/%41dmin", "/Admin"),
    ("an escaped digit", "/v%31", "/v1"),
    ("an escaped hyphen", "/a%2Db", "/a-b"),
    ("an escaped underscore", "/a%5fb", "/a_b"),
    ("an escaped tilde", "/%7eme", "/~me"),
    ("an escaped dot in a name", "/a%2Ejson", "/a.json"),
    ("an escaped dot segment", "/a/%2e/b", "/a/b"),
    ("escaped two dots", "/a/%2e%2E/b", "/b"),
    ("half escaped two dots", "/a/.%2e/b", "/b"),
    ("the other half", "/a/%2e./b", "/b"),
    ("escaped two dots at the end", "/a/b/%2e%2e", "/a/"),
    // Other escapes stay, in upper case (RFC 3986 section 6.2.2.1).
    ("an escaped space", "/a%20b", "/a%20b"),
    ("an escaped colon", "/a%3ab", "/a%3Ab"),
    ("an escaped question mark", "/a%3fb=c", "/a%3Fb=c"),
    ("an escaped number sign", "/a%23b", "/a%23b"),
    ("an escaped percent sign", "/100%25", "/100%25"),
    (
        "an escaped byte beyond ASCII",
        "/b%c3%bccher",
        "/b%C3%BCcher",
    ),
    ("an escaped byte that is not UTF-8", "/%ff", "/%FF"),
    ("an escaped delete", "/%7f", "/%7F"),
    ("an escaped newline", "/a%0ab", "/a%0Ab"),
    // Decoding happens once.
    ("a doubly escaped dot", "/a/%252e%252e/b", "/a/%252e%252e/b"),
    ("a doubly escaped slash", "/a%252fb", "/a%252fb"),
    ("an escape made of escapes", "/%25%32%65", "/%252e"),
    // All at once.
    (
        "everything",
        "//a/%2e/b//..//%63/./%2e%2e/d%3a/",
        "/a/d%3A/",
    ),
];

/// Name, path as sent, normal form; all of them hold an encoded separator.
const SEPARATORS: &[(&str, &str, &str)] = &[
    ("a slash", "/a%2Fb", "/a%2Fb"),
    ("a slash in lower case", "/a%2fb", "/a%2Fb"),
    ("a backslash", "/a%5Cb", "/a%5Cb"),
    ("a backslash in lower case", "/a%5cb", "/a%5Cb"),
    ("a zero byte", "/a%00b", "/a%00b"),
    (
        "a way up behind an encoded slash",
        "/a%2f..%2fb",
        "/a%2F..%2Fb",
    ),
    ("a separator in a removed element", "/a%2fb/../c", "/c"),
    (
        "two dots made of escapes behind it",
        "/a%2F%2e%2e",
        "/a%2F..",
    ),
];

/// Name, path as sent, error.
const REFUSED: &[(&str, &str, PathError)] = &[
    ("a relative path", "a/b", PathError::NotAbsolute),
    ("an asterisk and more", "*/a", PathError::NotAbsolute),
    ("a query alone", "?a", PathError::NotAbsolute),
    ("a backslash", "/a\\b", PathError::Backslash),
    (
        "a backslash as separator",
        "/a\\..\\b",
        PathError::Backslash,
    ),
    ("no hexadecimal digits", "/%zz", PathError::MalformedEscape),
    ("one hexadecimal digit", "/%2", PathError::MalformedEscape),
    (
        "a second digit that is none",
        "/%2g",
        PathError::MalformedEscape,
    ),
    (
        "a percent sign at the end",
        "/a%",
        PathError::MalformedEscape,
    ),
    ("a percent sign twice", "/%%41", PathError::MalformedEscape),
    ("a sign in the digits", "/%+1", PathError::MalformedEscape),
    (
        "a letter beyond ASCII in the digits",
        "/%é1",
        PathError::MalformedEscape,
    ),
    ("a space", "/a b", PathError::ForbiddenByte),
    ("a tab", "/a\tb", PathError::ForbiddenByte),
    ("a newline", "/a\nb", PathError::ForbiddenByte),
    ("a zero byte", "/a\0b", PathError::ForbiddenByte),
    ("a delete", "/a\x7Fb", PathError::ForbiddenByte),
];

fn check(name: &str, path: &str, expected: Result<(&str, bool), PathError>) {
    let found = normalise(path);
    let found = found
        .as_ref()
        .map(|form| (&*form.path, form.encoded_separator));
    assert_eq!(found.map_err(|error| *error), expected, "{name}: {path:?}");
}

#[test]
fn spellings() {
    for (name, path, form) in SPELLINGS {
        check(name, path, Ok((form, false)));
    }
}

#[test]
fn encoded_separators_are_reported_and_kept() {
    for (name, path, form) in SEPARATORS {
        check(name, path, Ok((form, true)));
    }
}

#[test]
fn refusals() {
    for (name, path, error) in REFUSED {
        check(name, path, Err(*error));
    }
}

#[test]
fn paths_in_normal_form_are_borrowed() {
    for (name, _, form) in SPELLINGS {
        let path = normalise(form).unwrap().path;
        assert!(
            matches!(path, Cow::Borrowed(_)),
            "{name}: {form:?} is copied"
        );
    }
}

/// Paths that are dense in what the normaliser looks at.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["/", ".", "..", "a", "%2e", "%2F", "%25", "%61", "%3a"]),
        1 => prop::sample::select(vec!["%", "\\", " ", "é", "%00", "%5c", ";", "2e", "//", "/./"]),
    ];
    let dense =
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()));
    prop_oneof![3 => dense, 1 => any::<String>().prop_map(|text| format!("/{text}"))]
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(path in paths()) {
        if let Ok(once) = normalise(&path) {
            let twice = normalise(&once.path).unwrap();
            prop_assert_eq!(&twice.path, &once.path);
            prop_assert!(matches!(twice.path, Cow::Borrowed(_)), "a normal form is copied");
        }
    }

    #[test]
    fn a_normal_form_hides_nothing(path in paths()) {
        if let Ok(normal) = normalise(&path) {
            let form = &*normal.path;
            prop_assert!(form.starts_with('/'), "{form:?} is not absolute");
            prop_assert!(!form.contains("//"), "{form:?} holds a double slash");
            prop_assert!(!form.contains('\\'), "{form:?} holds a backslash");
            let dots = form.split('/').any(|element| element == "." || element == "..");
            prop_assert!(!dots, "{form:?} holds a dot segment");
            let escapes = ["%2e", "%2E", "%61", "%2f", "%5c"];
            let escape = escapes.iter().find(|escape| form.contains(**escape));
            prop_assert!(escape.is_none(), "{form:?} holds {escape:?}");
        }
    }
}
