//! Path modifiers: the table of `HTTPPathModifier.replacePrefixMatch`, row by row, and ours.

use http::Request;

use super::{PathModifier, Rewrite, RewriteRefused};

fn prefix(prefix: &str, replacement: &str) -> PathModifier {
    PathModifier::Prefix {
        prefix: prefix.into(),
        replacement: replacement.into(),
    }
}

#[track_caller]
fn check(modifier: &PathModifier, path: &str, modified: &str) {
    assert_eq!(modifier.apply(path), modified, "{path} through {modifier}");
}

#[test]
fn replace_prefix_match_table_of_the_specification() {
    for (path, matched, replacement, modified) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
    ] {
        check(&prefix(matched, replacement), path, modified);
    }
}

#[test]
fn replace_prefix_match_beyond_the_table() {
    for (path, matched, replacement, modified) in [
        // The prefix "/" has no element: the whole path remains.
        ("/a/b", "/", "/v2", "/v2/a/b"),
        ("/a/b", "", "/v2", "/v2/a/b"),
        ("/", "/", "/v2", "/v2/"),
        ("/", "/", "/", "/"),
        ("/foo", "/foo", "/xyz/", "/xyz"),
        ("/foo/bar/", "/foo", "/xyz", "/xyz/bar/"),
        ("/a/b/c/d", "/a/b", "/x/y/z", "/x/y/z/c/d"),
        ("/foo/bar", "/foo", "xyz", "/xyz/bar"),
        // Whole elements only; a rewrite of the rule may have taken the prefix away.
        ("/foobar", "/foo", "/xyz", "/foobar"),
        ("/other", "/foo", "/xyz", "/other"),
        // Escapes of the request are not touched.
        ("/foo/%C3%A9", "/foo", "/x", "/x/%C3%A9"),
    ] {
        check(&prefix(matched, replacement), path, modified);
    }
}

#[test]
fn replace_full_path() {
    for (value, modified) in [
        ("/one/two", "/one/two"),
        ("/one/", "/one/"),
        ("/", "/"),
        ("", "/"),
        ("one", "/one"),
        // What is no path byte is escaped, so that a value cannot smuggle a query or a new line.
        ("/a b?c#d\r\n", "/a%20b%3Fc%23d%0D%0A"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/%20%zz%", "/%20%25zz%25"),
    ] {
        check(&PathModifier::Full(value.into()), "/anything", modified);
    }
}

/// Rewrites `uri` of a request to host `shop` and returns the URI and the host.
fn rewritten(rewrite: &Rewrite, uri: &str) -> Result<(String, String), RewriteRefused> {
    let (mut parts, ()) = Request::get(uri)
        .header("host", "shop:8080")
        .body(())
        .unwrap()
        .into_parts();
    rewrite.apply(&mut parts)?;
    Ok((
        parts.uri.to_string(),
        parts.headers["host"].to_str().unwrap().to_owned(),
    ))
}

#[test]
fn query_is_kept_and_the_rest_untouched() {
    let both = Rewrite {
        hostname: Some("inner".into()),
        path: Some(prefix("/a", "/b")),
    };
    let host = Rewrite {
        hostname: Some("inner".into()),
        path: None,
    };
    let path = Rewrite {
        hostname: None,
        path: Some(PathModifier::Full("/x".into())),
    };
    for (row, rewrite, uri, target, authority) in [
        (
            "host and path",
            &both,
            "/a/c?d=/a&e",
            "/b/c?d=/a&e",
            "inner",
        ),
        ("host only", &host, "/a?q", "/a?q", "inner"),
        ("path only", &path, "/a?q=1", "/x?q=1", "shop:8080"),
        ("empty query", &path, "/a?", "/x?", "shop:8080"),
        ("nothing", &Rewrite::default(), "/a?q", "/a?q", "shop:8080"),
    ] {
        let found = rewritten(rewrite, uri).unwrap();
        assert_eq!(
            found,
            (target.to_owned(), authority.to_owned()),
            "{row}: {uri}"
        );
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let host = Rewrite {
        hostname: Some("a\nb".into()),
        path: None,
    };
    let refused = rewritten(&host, "/").unwrap_err();
    assert_eq!((refused, refused.status()), (RewriteRefused::Hostname, 500));

    let long = "/x".repeat(40_000).into();
    let path = Rewrite {
        hostname: None,
        path: Some(PathModifier::Full(long)),
    };
    let refused = rewritten(&path, "/").unwrap_err();
    assert_eq!((refused, refused.status()), (RewriteRefused::TooLong, 414));
}
