//! CORS: one row per clause of `HTTPCORSFilter`, and the cases of the official suite.

use http::{HeaderMap, HeaderName, Method, Request};

use super::{AllowList, Cors, OriginPattern};

fn cors(origins: &[&str], methods: &[&str], headers: &[&str], credentials: bool) -> Cors {
    Cors {
        allow_origins: origins
            .iter()
            .map(|origin| OriginPattern::parse(origin).unwrap())
            .collect(),
        allow_credentials: credentials,
        allow_methods: AllowList::new(methods.iter().copied()).unwrap(),
        allow_headers: AllowList::new(headers.iter().copied()).unwrap(),
        ..Cors::default()
    }
}

fn expose(mut cors: Cors, names: &[&str]) -> Cors {
    cors.expose_headers = AllowList::new(names.iter().copied()).unwrap();
    cors
}

/// A request with headers from `name: value` lines.
fn request(method: Method, lines: &[&str]) -> http::request::Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        parts
            .headers
            .append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    parts
}

/// The `access-control-*` fields without that prefix, sorted, and `vary`.
fn render(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().trim_start_matches("access-control-");
            format!("{name}: {}", value.to_str().unwrap())
        })
        .collect();
    lines.sort();
    lines
}

/// The answer to a preflight, without the constant `vary` lines.
#[track_caller]
fn check_preflight(row: &str, cors: &Cors, lines: &[&str], answer: &[&str]) {
    let parts = cors
        .preflight(&request(Method::OPTIONS, lines))
        .expect("a preflight is answered");
    assert_eq!(parts.status, 204, "{row}: status");
    let mut found = render(&parts.headers);
    found.retain(|line| !line.starts_with("vary"));
    assert_eq!(found, answer, "{row}");
}

/// The response to a GET from `origin`, given what the backend said.
#[track_caller]
fn check_response(row: &str, cors: &Cors, lines: &[&str], backend: &[&str], answer: &[&str]) {
    let request = request(Method::GET, lines);
    assert!(
        cors.preflight(&request).is_none(),
        "{row}: a GET goes to the backend"
    );
    let captured = cors.capture(&request.headers);
    let mut headers = self::request(Method::GET, backend).headers;
    cors.apply_response(&captured, &mut headers);
    let once = headers.clone();
    cors.apply_response(&captured, &mut headers);
    assert_eq!(
        headers, once,
        "{row}: applying the filter twice changes nothing"
    );
    assert_eq!(render(&headers), answer, "{row}");
}

#[test]
fn preflights_with_lists() {
    let mut listed = cors(
        &["https://www.foo.com", "https://*.bar.com"],
        &["GET", "OPTIONS"],
        &["x-header-1", "x-header-2"],
        true,
    );
    listed.max_age = 3600;
    let listed = expose(listed, &["x-header-3", "x-header-4"]);
    let asked = [
        "access-control-request-method: GET",
        "access-control-request-headers: x-header-1",
    ];
    let allowed = |origin| {
        [
            "allow-credentials: true".to_owned(),
            "allow-headers: x-header-1, x-header-2".to_owned(),
            "allow-methods: GET, OPTIONS".to_owned(),
            format!("allow-origin: {origin}"),
            "expose-headers: x-header-3, x-header-4".to_owned(),
            "max-age: 3600".to_owned(),
        ]
    };
    for (row, origin) in [
        ("exact origin", "https://www.foo.com"),
        ("wildcard origin", "https://www.bar.com"),
        (
            "the star takes any number of labels",
            "https://xpto.www.bar.com",
        ),
    ] {
        let line = format!("origin: {origin}");
        let answer = allowed(origin);
        let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
        check_preflight(row, &listed, &[&line, asked[0], asked[1]], &answer);
        check_preflight(
            "lists are sent whether or not headers were asked for",
            &listed,
            &[&line, asked[0]],
            &answer,
        );
    }
    for origin in [
        "https://foobar.com",
        "https://bar.com",
        "http://www.foo.com",
        "null",
    ] {
        let line = format!("origin: {origin}");
        check_preflight(
            "another origin: 204, no CORS header",
            &listed,
            &[&line, asked[0]],
            &[],
        );
    }
}

#[test]
fn preflights_with_wildcards() {
    let origin = "origin: https://other.foo.com";
    let put = "access-control-request-method: PUT";
    let two = "access-control-request-headers: x-header-1, x-header-2";
    let open = cors(&["*"], &["*"], &["*"], true);
    check_preflight(
        "with credentials `*` is never sent, but echoed",
        &open,
        &[origin, put, two],
        &[
            "allow-credentials: true",
            "allow-headers: x-header-1, x-header-2",
            "allow-methods: PUT",
            "allow-origin: https://other.foo.com",
            "max-age: 5",
        ],
    );
    check_preflight(
        "no headers asked for: field omitted",
        &open,
        &[origin, put],
        &[
            "allow-credentials: true",
            "allow-methods: PUT",
            "allow-origin: https://other.foo.com",
            "max-age: 5",
        ],
    );
    let anonymous = cors(&["*"], &["*"], &["*"], false);
    check_preflight(
        "without credentials the field is omitted",
        &anonymous,
        &[origin, put, two],
        &[
            "allow-headers: x-header-1, x-header-2",
            "allow-methods: PUT",
            "allow-origin: https://other.foo.com",
            "max-age: 5",
        ],
    );
}

#[test]
fn preflights_at_the_edges() {
    let origin = "origin: https://other.foo.com";
    let put = "access-control-request-method: PUT";
    let plain = cors(&["https://other.foo.com"], &[], &[], false);
    check_preflight(
        "nothing listed: safelisted methods need no field",
        &plain,
        &[origin, put],
        &["allow-origin: https://other.foo.com", "max-age: 5"],
    );
    check_preflight(
        "any origin includes other ports",
        &cors(&["*"], &["*"], &[], false),
        &["origin: https://foobar.com:12345", put],
        &[
            "allow-methods: PUT",
            "allow-origin: https://foobar.com:12345",
            "max-age: 5",
        ],
    );
    check_preflight(
        "no origin allowed",
        &cors(&[], &["*"], &[], false),
        &[origin, put],
        &[],
    );
}

#[test]
fn only_preflights_are_answered_here() {
    let any = cors(&["*"], &["*"], &["*"], false);
    let origin = "origin: https://a.example";
    let put = "access-control-request-method: PUT";
    for (row, method, lines, answered) in [
        ("preflight", Method::OPTIONS, &[origin, put][..], true),
        (
            "OPTIONS without a method asked for",
            Method::OPTIONS,
            &[origin],
            false,
        ),
        ("OPTIONS without origin", Method::OPTIONS, &[put], false),
        (
            "GET with the fields of a preflight",
            Method::GET,
            &[origin, put],
            false,
        ),
    ] {
        assert_eq!(
            any.preflight(&request(method, lines)).is_some(),
            answered,
            "{row}"
        );
    }
    let answer = any
        .preflight(&request(Method::OPTIONS, &[origin, put]))
        .unwrap();
    let vary: Vec<&str> = answer
        .headers
        .get_all("vary")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(
        vary,
        [
            "origin",
            "access-control-request-method",
            "access-control-request-headers"
        ],
        "a preflight's answer depends on what it asked"
    );
}

#[test]
fn responses() {
    let shop = cors(&["https://shop.example"], &["PUT"], &["x-a"], false);
    let with = cors(&["https://shop.example"], &["PUT"], &["x-a"], true);
    let ours = ["origin: https://shop.example"];
    let other = ["origin: https://evil.example"];
    let (vary, shop_origin) = ("vary: origin", "allow-origin: https://shop.example");
    check_response("allowed", &shop, &ours, &[], &[shop_origin, vary]);
    check_response(
        "with credentials",
        &with,
        &ours,
        &[],
        &["allow-credentials: true", shop_origin, vary],
    );
    check_response(
        "another origin: no CORS header",
        &with,
        &other,
        &[],
        &[vary],
    );
    check_response("no origin: no CORS header", &with, &[], &[], &[vary]);
    check_response(
        "two origins are none",
        &with,
        &[ours[0], other[0]],
        &[],
        &[vary],
    );
}

#[test]
fn responses_of_backends_that_speak_of_origins() {
    let shop = cors(&["https://shop.example"], &["PUT"], &["x-a"], false);
    let ours = ["origin: https://shop.example"];
    let other = ["origin: https://evil.example"];
    let (vary, shop_origin) = ("vary: origin", "allow-origin: https://shop.example");
    let backend = [
        "access-control-allow-origin: *",
        "access-control-allow-credentials: true",
        "access-control-expose-headers: x-b",
    ];
    check_response(
        "the backend does not widen it",
        &shop,
        &other,
        &backend,
        &[vary],
    );
    check_response(
        "the backend does not double it",
        &shop,
        &ours,
        &backend,
        &[shop_origin, vary],
    );
    check_response(
        "vary is extended",
        &shop,
        &ours,
        &["vary: accept"],
        &[shop_origin, "vary: accept", vary],
    );
    for there in ["vary: accept, Origin", "vary: *"] {
        check_response(
            "vary that says it already",
            &shop,
            &ours,
            &[there],
            &[shop_origin, there],
        );
    }
}

#[test]
fn exposed_headers() {
    let ours = ["origin: https://a.example"];
    let named = expose(cors(&["*"], &[], &[], false), &["x-a", "X-B"]);
    let origin = "allow-origin: https://a.example";
    check_response(
        "listed",
        &named,
        &ours,
        &[],
        &[origin, "expose-headers: x-a, X-B", "vary: origin"],
    );
    let any = expose(cors(&["*"], &[], &[], false), &["*"]);
    check_response(
        "wildcard",
        &any,
        &ours,
        &[],
        &[origin, "expose-headers: *", "vary: origin"],
    );
    let mut secret = any;
    secret.allow_credentials = true;
    let backend = [
        "etag: 1",
        "content-type: text/html",
        "set-cookie: a=b",
        "x-z: 2",
    ];
    check_response(
        "with credentials `*` becomes the names of this response",
        &secret,
        &ours,
        &backend,
        &[
            "allow-credentials: true",
            origin,
            "content-type: text/html",
            "etag: 1",
            "expose-headers: etag, vary, x-z",
            "set-cookie: a=b",
            "vary: origin",
            "x-z: 2",
        ],
    );
}

#[test]
fn encoding_keeps_the_filter() {
    let full = expose(
        cors(
            &["https://*.a.example:8443", "http://b"],
            &["PUT"],
            &["*"],
            true,
        ),
        &["x"],
    );
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(
        json,
        r#"{"allowOrigins":["https://*.a.example:8443","http://b"],"allowCredentials":true,"allowMethods":["PUT"],"allowHeaders":["*"],"exposeHeaders":["x"],"maxAge":5}"#
    );
    assert_eq!(serde_json::from_str::<Cors>(&json).unwrap(), full);
    assert_eq!(serde_json::from_str::<Cors>("{}").unwrap(), Cors::default());
}
