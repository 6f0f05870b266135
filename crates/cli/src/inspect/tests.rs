//! How objects are named on the command line.

use weft_api::Kind;

use super::Asked;

#[test]
fn objects_are_named_as_for_kubectl() {
    let rows = [
        ("gateway/edge", Some((Kind::Gateway, None, "edge"))),
        (
            "Gateway/shop/edge",
            Some((Kind::Gateway, Some("shop"), "edge")),
        ),
        (
            "httproutes/shop/web",
            Some((Kind::HttpRoute, Some("shop"), "web")),
        ),
        ("svc/web", Some((Kind::Service, None, "web"))),
        ("gc/weft", Some((Kind::GatewayClass, None, "weft"))),
        ("gateway", None),
        ("gateway/", None),
        ("deployment/web", None),
        ("gateway/a/b/c", None),
    ];
    for (text, expected) in rows {
        let asked: Result<Asked, String> = text.parse();
        let expected = expected.map(|(kind, namespace, name)| Asked {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        });
        assert_eq!(asked.ok(), expected, "{text}");
    }
}

#[test]
fn what_has_no_namespace_is_given_none() {
    let class: Asked = "gc/weft".parse().expect("a class");
    assert_eq!(class.reference("shop").key.namespace(), "");
    let gateway: Asked = "gtw/edge".parse().expect("a Gateway");
    assert_eq!(gateway.reference("shop").key.namespace(), "shop");
}
