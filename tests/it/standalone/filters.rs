//! Filters through the wire: what the back-end sees and what the client gets.

use weft_tests::{
    backend::{Backend, Speaks},
    gateway::Weft,
    rawclient::{Answer, RawClient},
    world::World,
};

/// What one request becomes under these filters: the answer, and what the back-end saw.
async fn filtered(filters: &str, lines: &str) -> (Answer, String) {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let spec = format!(
        "rules: [{{matches: [{{path: {{type: PathPrefix, value: /foo}}}}], filters: [{filters}], \
         backendRefs: [{{name: web, port: 80}}]}}]"
    );
    let spec = if filters.contains("RequestRedirect") {
        spec.replace(", backendRefs: [{name: web, port: 80}]", "")
    } else {
        spec
    };
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", &spec);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let answer = client.ask(lines).await;
    let seen = answer.text();
    (answer, seen)
}

#[tokio::test]
async fn redirects_are_answered_with_their_whole_location() {
    let rows = [
        ("scheme: https, statusCode: 301", 301, "https://a/foo/x?q"),
        ("hostname: b", 302, "http://b:8080/foo/x?q"),
        ("port: 80", 302, "http://a/foo/x?q"),
        ("port: 8443, statusCode: 308", 308, "http://a:8443/foo/x?q"),
        (
            "path: {type: ReplaceFullPath, replaceFullPath: /bar}",
            302,
            "http://a:8080/bar?q",
        ),
        (
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /bar}, statusCode: 307",
            307,
            "http://a:8080/bar/x?q",
        ),
    ];
    for (redirect, status, location) in rows {
        let filters = format!("{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}");
        let (answer, _) = filtered(&filters, "GET /foo/x?q HTTP/1.1\nhost: a:8080").await;
        assert_eq!(answer.status, status, "{redirect}");
        assert_eq!(answer.field("location"), Some(location), "{redirect}");
    }
}

#[tokio::test]
async fn rewrites_change_what_the_back_end_sees() {
    let rows = [
        ("hostname: b", "GET /foo/x?q HTTP/1.1\nhost: b\n"),
        (
            "path: {type: ReplaceFullPath, replaceFullPath: /bar}",
            "GET /bar?q HTTP/1.1\nhost: a\n",
        ),
        (
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}",
            "GET /x?q HTTP/1.1\nhost: a\n",
        ),
        (
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /bar/}",
            "GET /bar/x?q HTTP/1.1\nhost: a\n",
        ),
    ];
    for (rewrite, expected) in rows {
        let filters = format!("{{type: URLRewrite, urlRewrite: {{{rewrite}}}}}");
        let (_, seen) = filtered(&filters, "GET /foo/x?q HTTP/1.1\nhost: a").await;
        assert!(seen.contains(expected), "{rewrite}: {seen}");
    }
}

#[tokio::test]
async fn header_modifiers_act_on_both_directions() {
    let filters = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: new}], \
                   add: [{name: x-add, value: two}], remove: [x-gone]}}, \
                   {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-answer, value: answered}], \
                   remove: [content-type]}}";
    let asked = "GET /foo HTTP/1.1\nhost: a\nx-set: old\nx-add: one\nx-gone: 1";
    let (answer, seen) = filtered(filters, asked).await;
    assert!(
        seen.contains("x-set: new\n") && !seen.contains("old"),
        "set: {seen}"
    );
    assert!(seen.contains("one") && seen.contains("two"), "add: {seen}");
    assert!(!seen.contains("x-gone"), "remove: {seen}");
    assert_eq!(
        answer.field("x-answer"),
        Some("answered"),
        "set on the answer"
    );
    assert_eq!(
        answer.field("content-type"),
        None,
        "removed from the answer"
    );
}

#[tokio::test]
async fn response_filters_act_on_errors_of_weft_too() {
    let spec = "rules: [{backendRefs: [{name: web, port: 80}], filters: [{type: ResponseHeaderModifier, \
                responseHeaderModifier: {set: [{name: x-answer, value: answered}]}}]}]";
    let world = World::new()
        .service("shop/web", &[])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let answer = RawClient::connect(weft.gateway(8080))
        .await
        .ask("GET / HTTP/1.1\nhost: a")
        .await;
    assert_eq!(
        (answer.status, answer.field("x-answer")),
        (503, Some("answered"))
    );
}

#[tokio::test]
async fn cors_is_answered_for_and_marked() {
    let filters = "{type: CORS, cors: {allowOrigins: [\"https://good.example\"], allowMethods: [GET, PUT], \
                   allowCredentials: true, maxAge: 600}}";
    let preflight = |origin: &str| {
        format!(
            "OPTIONS /foo HTTP/1.1\nhost: a\norigin: {origin}\naccess-control-request-method: PUT"
        )
    };
    let (answer, _) = filtered(filters, &preflight("https://good.example")).await;
    assert!(
        matches!(answer.status, 200 | 204),
        "answered here: {}",
        answer.status
    );
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://good.example")
    );
    assert_eq!(
        answer.field("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(answer.field("access-control-max-age"), Some("600"));
    let (answer, _) = filtered(filters, &preflight("https://evil.example")).await;
    assert_eq!(
        answer.field("access-control-allow-origin"),
        None,
        "a foreign origin gets no leave"
    );
    let (answer, seen) = filtered(
        filters,
        "GET /foo HTTP/1.1\nhost: a\norigin: https://good.example",
    )
    .await;
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://good.example")
    );
    assert!(
        seen.starts_with("backend: web"),
        "the request itself is the backend's"
    );
}
