//! One row per MUST of the SPIFFE-ID specification, and the rules of Weft's own trust domain.

use proptest::prelude::*;

use crate::{Component, SpiffeId, SpiffeIdError, TrustDomain, Workload};

fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).expect("a valid trust domain in a test")
}

fn character(component: Component, character: char) -> SpiffeIdError {
    SpiffeIdError::Character {
        component,
        character,
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table: one row per MUST of the specification"
)]
fn refused_by_the_specification() {
    use Component::{Path, TrustDomain as Domain};
    use SpiffeIdError::{DotSegment, Empty, EmptySegment, Scheme, TooLong, TrustDomainTooLong};

    let long_domain = format!("spiffe://{}/a", "a".repeat(256));
    let long_id = format!("spiffe://td/{}", "a".repeat(2037));
    let rows: &[(&str, &str, SpiffeIdError)] = &[
        ("§2 scheme: absent", "example.org/a", Scheme),
        ("§2 scheme: empty text", "", Scheme),
        ("§2 scheme: another one", "https://example.org/a", Scheme),
        ("§2 scheme: upper case", "SPIFFE://example.org/a", Scheme),
        ("§2 scheme: one slash", "spiffe:/example.org/a", Scheme),
        (
            "§2 scheme: leading space",
            " spiffe://example.org/a",
            Scheme,
        ),
        ("§2 query", "spiffe://example.org/a?b", character(Path, '?')),
        (
            "§2 query after the domain",
            "spiffe://example.org?b",
            character(Domain, '?'),
        ),
        (
            "§2 fragment",
            "spiffe://example.org/a#b",
            character(Path, '#'),
        ),
        (
            "§2 fragment after the domain",
            "spiffe://example.org#b",
            character(Domain, '#'),
        ),
        ("§2.1 domain: absent", "spiffe://", Empty(Domain)),
        (
            "§2.1 domain: absent before a path",
            "spiffe:///a",
            Empty(Domain),
        ),
        (
            "§2.1 userinfo",
            "spiffe://me@example.org/a",
            character(Domain, '@'),
        ),
        (
            "§2.1 userinfo with password",
            "spiffe://me:pw@example.org/a",
            character(Domain, ':'),
        ),
        (
            "§2.1 port",
            "spiffe://example.org:8443/a",
            character(Domain, ':'),
        ),
        (
            "§2.1 port delimiter alone",
            "spiffe://example.org:/a",
            character(Domain, ':'),
        ),
        (
            "§2.1 IPv6 literal",
            "spiffe://[::1]/a",
            character(Domain, '['),
        ),
        (
            "§2.1 upper case",
            "spiffe://Example.org/a",
            character(Domain, 'E'),
        ),
        (
            "§2.1 percent-encoding",
            "spiffe://example%2eorg/a",
            character(Domain, '%'),
        ),
        (
            "§2.1 not ASCII",
            "spiffe://exämple.org/a",
            character(Domain, 'ä'),
        ),
        (
            "§2.1 other characters",
            "spiffe://exam!ple.org/a",
            character(Domain, '!'),
        ),
        (
            "§2.2 trailing slash, no path",
            "spiffe://example.org/",
            EmptySegment,
        ),
        (
            "§2.2 trailing slash",
            "spiffe://example.org/a/",
            EmptySegment,
        ),
        (
            "§2.2 empty segment",
            "spiffe://example.org/a//b",
            EmptySegment,
        ),
        (
            "§2.2 empty first segment",
            "spiffe://example.org//a",
            EmptySegment,
        ),
        ("§2.2 dot segment", "spiffe://example.org/a/./b", DotSegment),
        (
            "§2.2 dot segment at the end",
            "spiffe://example.org/a/.",
            DotSegment,
        ),
        (
            "§2.2 parent segment",
            "spiffe://example.org/a/../b",
            DotSegment,
        ),
        (
            "§2.2 parent segment first",
            "spiffe://example.org/..",
            DotSegment,
        ),
        (
            "§2.2 percent-encoding",
            "spiffe://example.org/%61",
            character(Path, '%'),
        ),
        (
            "§2.2 not ASCII",
            "spiffe://example.org/ä",
            character(Path, 'ä'),
        ),
        (
            "§2.2 other characters",
            "spiffe://example.org/a:b",
            character(Path, ':'),
        ),
        (
            "§2.2 space",
            "spiffe://example.org/a b",
            character(Path, ' '),
        ),
        (
            "§2.2 NUL",
            "spiffe://example.org/a\0",
            character(Path, '\0'),
        ),
        (
            "§2.2 line feed at the end",
            "spiffe://example.org/a\n",
            character(Path, '\n'),
        ),
        (
            "§2.3 domain of 256 bytes",
            &long_domain,
            TrustDomainTooLong(256),
        ),
        ("§2.3 ID of 2049 bytes", &long_id, TooLong(2049)),
    ];
    for (rule, text, expected) in rows {
        assert_eq!(
            SpiffeId::parse(text).as_ref(),
            Err(expected),
            "{rule}: {text:?}"
        );
    }
}

#[test]
fn accepted_by_the_specification() {
    let longest_domain = "a".repeat(255);
    let longest_path = format!("/{}", "a".repeat(2048 - "spiffe://td/".len()));
    let rows = [
        ("§2.2 no path: the domain itself", "example.org", ""),
        ("§2.2 path of segments", "example.org", "/payments/mysql"),
        ("§2.2 all path characters", "example.org", "/azAZ09.-_"),
        (
            "§2.2 more dots than a relative step",
            "example.org",
            "/.../.a/a.",
        ),
        ("§2.1 all domain characters", "az09.-_", "/a"),
        ("§2.1 dotted decimal is only a name", "10.0.0.1", "/a"),
        ("§2.3 domain of 255 bytes", &longest_domain, "/a"),
        ("§2.3 ID of 2048 bytes", "td", &longest_path),
    ];
    for (rule, name, path) in rows {
        let text = format!("spiffe://{name}{path}");
        let id = SpiffeId::parse(&text).unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert_eq!(
            (id.domain(), id.path(), id.as_str()),
            (name, path, &*text),
            "{rule}"
        );
        assert!(
            id.is_member_of(&domain(name)),
            "{rule}: not a member of its own domain"
        );
        assert_eq!(
            id.is_domain(),
            path.is_empty(),
            "{rule}: taken for a domain"
        );
    }
}

#[test]
fn every_rule_has_its_reason() {
    let long = format!("spiffe://td/{}", "a".repeat(2037));
    let rows = [
        ("wrong scheme", "https://td/ns/a/sa/b", "id_scheme"),
        (
            "upper-case domain",
            "spiffe://TD/ns/a/sa/b",
            "id_upper_case",
        ),
        ("userinfo", "spiffe://me@td/ns/a/sa/b", "id_userinfo"),
        ("port", "spiffe://td:1/ns/a/sa/b", "id_port"),
        ("query", "spiffe://td/ns/a/sa/b?c", "id_query"),
        ("fragment", "spiffe://td/ns/a/sa/b#c", "id_fragment"),
        ("%2f", "spiffe://td/ns/a%2fb/sa/c", "id_percent_encoding"),
        ("empty segment", "spiffe://td/ns//sa/b", "id_empty_segment"),
        ("..", "spiffe://td/ns/../sa/b", "id_dot_segment"),
        (
            "trailing slash",
            "spiffe://td/ns/a/sa/b/",
            "id_empty_segment",
        ),
        ("missing sa", "spiffe://td/ns/a", "id_not_workload"),
        ("2049 bytes", &long, "id_too_long"),
    ];
    let own = domain("td");
    for (name, text, expected) in rows {
        let refused = SpiffeId::parse(text).and_then(|id| id.workload(&own).map(|_| ()));
        let reason = refused.as_ref().map_err(SpiffeIdError::reason);
        assert_eq!(reason, Err(expected), "{name}: {text}");
    }
}

#[test]
fn comparison_is_byte_exact() {
    let parse = |text| SpiffeId::parse(text).expect("a valid ID in a test");
    let rows = [
        ("spiffe://td/ns/a", "spiffe://td/ns/A", false),
        ("spiffe://td/ns/a", "spiffe://td/ns/a.", false),
        ("spiffe://td/a", "spiffe://td.a", false),
        ("spiffe://td/a", "spiffe://td/a/b", false),
        ("spiffe://td/a", "spiffe://td/a", true),
    ];
    for (left, right, equal) in rows {
        assert_eq!(parse(left) == parse(right), equal, "{left} and {right}");
    }
    assert!(
        !parse("spiffe://td.a/b").is_member_of(&domain("td")),
        "a prefix is no membership"
    );
    assert_eq!(parse("spiffe://td"), SpiffeId::of_domain(&domain("td")));
}

#[test]
fn trust_domains_stand_alone() {
    for (name, expected) in [
        ("", SpiffeIdError::Empty(Component::TrustDomain)),
        ("spiffe://td", character(Component::TrustDomain, ':')),
        ("td/", character(Component::TrustDomain, '/')),
        ("Cluster.local", character(Component::TrustDomain, 'C')),
    ] {
        assert_eq!(TrustDomain::parse(name), Err(expected), "{name:?}");
    }
    assert_eq!(domain("cluster.local").to_string(), "cluster.local");
}

#[test]
fn workload_ids_round_trip() {
    let own = domain("cluster.local");
    let long = format!("{}.b", "a".repeat(251));
    for (namespace, service_account) in [
        ("shop", "web"),
        ("a", "a.b-c.d"),
        (&*"n".repeat(63), &*long),
        ("0", "system.node"),
    ] {
        let workload = Workload {
            namespace,
            service_account,
        };
        let id = SpiffeId::for_workload(&own, workload).expect("valid Kubernetes names");
        let expected = format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}");
        assert_eq!(id.to_string(), expected);
        assert_eq!(id.workload(&own), Ok(workload), "{id}");
    }
}

#[test]
fn workload_names_are_those_kubernetes_can_have() {
    let own = domain("cluster.local");
    let rows = [
        ("empty namespace", "", "web", Component::Namespace),
        ("dots in a namespace", "a.b", "web", Component::Namespace),
        ("64 bytes", &*"a".repeat(64), "web", Component::Namespace),
        ("upper case", "Shop", "web", Component::Namespace),
        ("underscore", "my_shop", "web", Component::Namespace),
        (
            "path injection",
            "shop/sa/admin",
            "web",
            Component::Namespace,
        ),
        ("leading dash", "-shop", "web", Component::Namespace),
        ("empty account", "shop", "", Component::ServiceAccount),
        ("dot at the end", "shop", "web.", Component::ServiceAccount),
        ("two dots", "shop", "a..b", Component::ServiceAccount),
        (
            "254 bytes",
            "shop",
            &*"a".repeat(254),
            Component::ServiceAccount,
        ),
        ("path injection", "shop", "web/x", Component::ServiceAccount),
    ];
    for (row, namespace, service_account, component) in rows {
        let found = SpiffeId::for_workload(
            &own,
            Workload {
                namespace,
                service_account,
            },
        );
        let named =
            matches!(&found, Err(SpiffeIdError::Name { component: c, .. }) if *c == component);
        assert!(named, "{row}: {found:?}");
    }
}

#[test]
fn other_paths_are_no_workloads() {
    let own = domain("cluster.local");
    let rows = [
        ("spiffe://cluster.local", SpiffeIdError::NotWorkload),
        ("spiffe://cluster.local/ns/a", SpiffeIdError::NotWorkload),
        ("spiffe://cluster.local/ns/a/sa", SpiffeIdError::NotWorkload),
        (
            "spiffe://cluster.local/ns/a/sa/b/c",
            SpiffeIdError::NotWorkload,
        ),
        (
            "spiffe://cluster.local/sa/a/ns/b",
            SpiffeIdError::NotWorkload,
        ),
        (
            "spiffe://cluster.local/NS/a/sa/b",
            SpiffeIdError::NotWorkload,
        ),
        (
            "spiffe://cluster.local.evil/ns/a/sa/b",
            SpiffeIdError::ForeignDomain(own.to_string()),
        ),
        (
            "spiffe://cluster.local/ns/a/sa/B",
            SpiffeIdError::Name {
                component: Component::ServiceAccount,
                name: "B".into(),
            },
        ),
    ];
    for (text, expected) in rows {
        let id = SpiffeId::parse(text).expect("a valid ID of another form");
        assert_eq!(id.workload(&own), Err(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_kept_as_it_is(text in "(spiffe://)?[ -~]{0,40}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.domain(), id.path()), text);
        }
    }

    #[test]
    fn valid_texts_are_accepted(name in "[a-z0-9._-]{1,255}", path in "(/[a-zA-Z0-9_-]{1,20}){0,9}") {
        let text = format!("spiffe://{name}{path}");
        let id = SpiffeId::parse(&text).expect("built from the grammar");
        prop_assert_eq!((id.domain(), id.path()), (&*name, &*path));
    }
}
