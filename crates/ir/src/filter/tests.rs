//! The filter list: dispatch, phases, mirrors, and decoding of a newer sender's filters.

use http::{HeaderMap, Request};

use super::{
    Cors, Effect, Fail, Filter, FilterContext, Filters, Fraction, HeaderModifier, Mirror,
    PathModifier, Redirect, Rewrite,
};
use crate::{BackendFault, Name, Scheme, ServicePort, Target, UpstreamProtocol};

const CONTEXT: FilterContext = FilterContext {
    scheme: Scheme::Http,
    port: 80,
};

fn request(uri: &str) -> http::request::Parts {
    Request::get(uri)
        .header("host", "shop")
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn set(name: &'static str, value: &'static str) -> HeaderModifier {
    let pair = (name.parse().unwrap(), value.parse().unwrap());
    HeaderModifier {
        set: vec![pair],
        ..HeaderModifier::default()
    }
}

fn mirror_to(target: Target) -> Filter {
    Filter::Mirror(Mirror {
        target,
        fraction: Fraction::ALL,
    })
}

fn service() -> Target {
    let port = ServicePort {
        service: Name::new("shop", "copy"),
        port: 80,
    };
    Target::Service {
        port,
        protocol: UpstreamProtocol::Http1,
        tls: None,
    }
}

fn fault() -> Target {
    Target::Fault {
        fault: BackendFault::BackendNotFound,
        reference: "Service shop/none:80".into(),
    }
}

fn redirect() -> Filter {
    let status = 301;
    Filter::Redirect(Redirect {
        scheme: None,
        hostname: None,
        port: None,
        path: None,
        status,
    })
}

fn one_of_each() -> Vec<Filter> {
    let path = Some(PathModifier::Prefix {
        prefix: "/a".into(),
        replacement: "/b".into(),
    });
    vec![
        Filter::RequestHeaders(set("x-a", "1")),
        Filter::ResponseHeaders(set("x-b", "2")),
        redirect(),
        Filter::Rewrite(Rewrite {
            hostname: None,
            path,
        }),
        mirror_to(service()),
        Filter::Cors(Cors::default()),
        Filter::Fail(Fail {
            status: 500,
            reason: "unknown filter".into(),
        }),
        Filter::Unsupported,
    ]
}

#[track_caller]
fn check_effect(row: &str, filter: &Filter, effect: &str) {
    let found = match filter.apply_request(&mut request("/a"), &CONTEXT) {
        Effect::Continue => "continue".to_owned(),
        Effect::Respond(parts) => format!("respond {}", parts.status.as_u16()),
        Effect::Mirror(mirror) => format!("mirror {mirror}"),
    };
    assert_eq!(found, effect, "{row}");
}

#[test]
fn every_filter_has_its_effect() {
    let effects = [
        "continue",
        "continue",
        "respond 301",
        "continue",
        "mirror 100% to shop/copy:80",
        "continue",
        "respond 500",
        "respond 500",
    ];
    for (filter, effect) in one_of_each().iter().zip(effects) {
        check_effect(&filter.to_string(), filter, effect);
    }
    check_effect(
        "a broken mirror is dropped",
        &mirror_to(fault()),
        "continue",
    );
    let odd = Filter::Fail(Fail {
        status: 1,
        reason: "".into(),
    });
    check_effect("a damaged status", &odd, "respond 500");
}

#[test]
fn request_filters_run_in_list_order() {
    let rename = |prefix: &str, replacement: &str| {
        let (prefix, replacement) = (prefix.into(), replacement.into());
        let path = Some(PathModifier::Prefix {
            prefix,
            replacement,
        });
        Filter::Rewrite(Rewrite {
            hostname: None,
            path,
        })
    };
    let mut parts = request("/a/x?q");
    let filters = Filters::from(vec![
        Filter::RequestHeaders(set("x", "first")),
        rename("/a", "/b"),
        Filter::RequestHeaders(set("x", "second")),
        rename("/b", "/c"),
    ]);
    for filter in &filters {
        assert!(matches!(
            filter.apply_request(&mut parts, &CONTEXT),
            Effect::Continue
        ));
    }
    assert_eq!(parts.uri, "/c/x?q");
    assert_eq!(parts.headers["x"], "second");
}

#[test]
fn response_filters_run_in_list_order_and_only_they() {
    let mut known = one_of_each();
    known.retain(|filter| *filter != Filter::Unsupported);
    let filters = Filters::from(known);
    let captured = filters.capture(&request("/"));
    let mut headers = HeaderMap::new();
    filters.apply_response(&captured, &mut headers);
    let names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-b", "vary"], "response modifier, then CORS");

    let last = Filters::from(vec![
        Filter::ResponseHeaders(set("x", "1")),
        Filter::ResponseHeaders(set("x", "2")),
    ]);
    last.apply_response(&captured, &mut headers);
    assert_eq!(headers["x"], "2", "the later filter of a list wins");

    headers.clear();
    Filters::from(vec![Filter::RequestHeaders(set("x", "1")), redirect()])
        .apply_response(&captured, &mut headers);
    assert!(headers.is_empty(), "request filters leave responses alone");
}

#[test]
fn only_answering_filters_are_terminal() {
    for filter in one_of_each() {
        let name = filter.to_string();
        let terminal = ["RequestRedirect", "Fail", "Unsupported"]
            .iter()
            .any(|answering| name.starts_with(answering));
        assert_eq!(
            Filters::from(vec![filter]).is_terminal(),
            terminal,
            "{name}"
        );
    }
    assert!(!Filters::default().is_terminal() && Filters::default().is_empty());
}

#[test]
fn fractions() {
    let of = |numerator, denominator| Fraction {
        numerator,
        denominator,
    };
    for (row, fraction, random, hit) in [
        ("0 % never, lowest draw", Fraction::percent(0), 0, false),
        (
            "0 % never, highest draw",
            Fraction::percent(0),
            u64::MAX,
            false,
        ),
        ("100 % always, lowest draw", Fraction::percent(100), 0, true),
        (
            "100 % always, highest draw",
            Fraction::percent(100),
            u64::MAX,
            true,
        ),
        ("neither field: always", Fraction::default(), u64::MAX, true),
        (
            "50 %, just below half",
            Fraction::percent(50),
            u64::MAX / 2,
            true,
        ),
        (
            "50 %, just above half",
            Fraction::percent(50),
            u64::MAX / 2 + 1,
            false,
        ),
        ("more than the whole", of(7, 5), u64::MAX, true),
        ("1 of 1000, first draw", of(1, 1000), u64::MAX / 1001, true),
        ("1 of 1000, second draw", of(1, 1000), u64::MAX / 999, false),
        ("largest fraction", of(u32::MAX, u32::MAX), u64::MAX, true),
        ("denominator 0 counts as 1", of(1, 0), u64::MAX, true),
        ("0 of 0", of(0, 0), 0, false),
    ] {
        assert_eq!(fraction.hit(random), hit, "{row}");
    }
    let step = u64::MAX / 1000;
    let hits = (0..1000)
        .filter(|i| Fraction::percent(20).hit(i * step + step / 2))
        .count();
    assert_eq!(hits, 200, "evenly spread draws hit exactly the share");
}

#[test]
fn encoding_keeps_the_list_and_unknown_filters_fail_closed() {
    let filters = Filters::from(one_of_each());
    let json = serde_json::to_string(&filters).unwrap();
    assert_eq!(serde_json::from_str::<Filters>(&json).unwrap(), filters);

    let newer =
        r#"[{"type":"Fail","status":503,"reason":"","later":1},{"type":"Teleport","to":"x"}]"#;
    let decoded: Filters = serde_json::from_str(newer).unwrap();
    let known = Filter::Fail(Fail {
        status: 503,
        reason: "".into(),
    });
    assert_eq!(decoded, Filters::from(vec![known, Filter::Unsupported]));
    assert!(
        decoded.is_terminal(),
        "the unknown filter answers instead of being skipped"
    );
}

#[test]
fn display_is_one_readable_line() {
    let lines: Vec<String> = one_of_each().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "RequestHeaderModifier set x-a: 1",
            "ResponseHeaderModifier set x-b: 2",
            "RequestRedirect 301",
            "URLRewrite prefix /a -> \"/b\"",
            "RequestMirror 100% to shop/copy:80",
            "CORS origins none; max-age 5s",
            "Fail 500: unknown filter",
            "Unsupported",
        ]
    );
    assert_eq!(
        mirror_to(fault()).to_string(),
        "RequestMirror 100% to Service shop/none:80 dropped (BackendNotFound)"
    );
}
