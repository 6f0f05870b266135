//! Origins: one row per clause of `HTTPCORSFilter.allowOrigins`.

use super::{OriginError, OriginPattern};

#[test]
fn origins() {
    for (pattern, origin, matches) in [
        ("*", "https://a.example", true),
        ("*", "null", true),
        ("https://a.example", "https://a.example", true),
        ("https://a.example", "HTTPS://A.Example", true),
        ("https://A.example", "https://a.example", true),
        ("https://a.example", "http://a.example", false),
        ("https://a.example", "https://b.a.example", false),
        ("https://a.example", "https://a.example.evil", false),
        ("https://a.example", "null", false),
        ("https://a.example", "a.example", false),
        ("https://a.example", "https://a.example/", false),
        ("https://a.example", "https://user@a.example", false),
        // Default ports take part in the comparison.
        ("https://a.example", "https://a.example:443", true),
        ("https://a.example:443", "https://a.example", true),
        ("http://a.example", "http://a.example:80", true),
        ("http://a.example:80", "http://a.example", true),
        ("https://a.example", "https://a.example:8443", false),
        ("https://a.example:8443", "https://a.example:8443", true),
        ("https://a.example:8443", "https://a.example", false),
        ("http://a.example", "http://a.example:443", false),
        ("http://a.example", "http://a.example:+80", false),
        // The star is greedy to the left and takes at least one label.
        ("https://*.a.example", "https://b.a.example", true),
        ("https://*.a.example", "https://c.b.a.example", true),
        ("https://*.a.example", "https://C.B.A.EXAMPLE", true),
        ("https://*.a.example", "https://a.example", false),
        ("https://*.a.example", "https://.a.example", false),
        ("https://*.a.example", "https://ba.example", false),
        ("https://*.a.example", "https://evil/.a.example", false),
        ("https://*.a.example:8443", "https://b.a.example:8443", true),
        ("https://*.a.example:8443", "https://b.a.example", false),
        // A star by itself matches all hosts, but not all ports or schemes.
        ("https://*", "https://b.a.example", true),
        ("https://*", "https://[fd00::1]", true),
        ("https://*", "https://localhost:8443", false),
        ("https://*", "http://localhost", false),
        ("http://*:8080", "http://localhost:8080", true),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080", true),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080", true),
    ] {
        let parsed = OriginPattern::parse(pattern).unwrap();
        assert_eq!(
            parsed.matches(origin),
            matches,
            "{pattern} against {origin}"
        );
    }
}

#[test]
fn refused_origins() {
    for (pattern, error) in [
        ("", OriginError::Scheme),
        ("a.example", OriginError::Scheme),
        ("ftp://a.example", OriginError::Scheme),
        ("**", OriginError::Scheme),
        ("https://", OriginError::Host),
        ("https://*a.example", OriginError::Host),
        ("https://a.*.example", OriginError::Host),
        ("https://*.", OriginError::Host),
        ("https://a.example/", OriginError::Host),
        ("https://a..example", OriginError::Host),
        ("https://[fd00::1", OriginError::Host),
        ("https://a.example:", OriginError::Port),
        ("https://a.example:0", OriginError::Port),
        ("https://a.example:65536", OriginError::Port),
        ("https://a.example:+1", OriginError::Port),
        ("https://a.example:*", OriginError::Port),
    ] {
        assert_eq!(OriginPattern::parse(pattern), Err(error), "{pattern:?}");
    }
}
