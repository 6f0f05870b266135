//! Order and extent of host patterns.

use super::*;

#[test]
fn the_most_specific_pattern_wins() {
    let patterns = [
        "",
        "*.com",
        "*.example.com",
        "*.b.example.com",
        "shop.example.com",
        "x.b.example.com",
    ];
    let mut map = HostMap::<&str>::new();
    for pattern in patterns {
        *map.entry(HostPattern::new(pattern)) = pattern;
    }
    let rows = [
        (Some("shop.example.com"), "shop.example.com"),
        (Some("other.example.com"), "*.example.com"),
        (Some("a.b.example.com"), "*.b.example.com"),
        (Some("x.b.example.com"), "x.b.example.com"),
        (Some("deep.a.b.example.com"), "*.b.example.com"),
        (Some("b.example.com"), "*.example.com"),
        (Some("deep.shop.example.com"), "*.example.com"),
        (Some("example.com"), "*.com"),
        (Some("com"), ""),
        (Some("example.org"), ""),
        (Some("localhost"), ""),
        (None, ""),
    ];
    for (name, expected) in rows {
        assert_eq!(map.find(name), Some(&expected), "pattern for {name:?}");
    }
}

#[test]
fn without_a_listener_for_any_name() {
    let mut map = HostMap::<u8>::new();
    map.entry(HostPattern::new("*.example.com"));
    for name in [None, Some("example.com"), Some("example.org"), Some("")] {
        assert_eq!(map.find(name), None, "pattern for {name:?}");
    }
}

#[test]
fn patterns_are_read() {
    let rows = [
        ("", HostPattern::Any),
        (
            "Shop.Example",
            HostPattern::Exact("shop.example".to_owned()),
        ),
        (
            "*.Example.com",
            HostPattern::Wildcard("example.com".to_owned()),
        ),
    ];
    for (hostname, expected) in rows {
        assert_eq!(HostPattern::new(hostname), expected, "{hostname:?}");
    }
}
