//! Commands that look at YAML: what they print and how they end.

use crate::weft::Place;

/// Complete and without any finding worth mentioning.
pub(crate) const GOOD: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: weft
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}, {group: \"\", kind: Service, name: web}]
  rules:
  - name: cart
    matches: [{path: {value: /cart}, headers: [{name: x-env, value: canary}]}]
    backendRefs: [{name: web, port: 80}]
  - filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302, hostname: a.example}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80, appProtocol: http}]}
";

const CLASSLESS: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: none
  listeners: [{name: http, port: 8080, protocol: HTTP}]
";

const BROKEN: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rulez: []
";

#[test]
fn exit_codes_are_those_that_are_documented() {
    let rows = [
        ("all good", GOOD, "analyze yaml", 0),
        ("warnings", CLASSLESS, "analyze yaml", 1),
        (
            "warnings that matter",
            CLASSLESS,
            "analyze yaml --fail-on warning",
            2,
        ),
        ("errors", BROKEN, "analyze yaml", 2),
        ("errors, judged by run", BROKEN, "run -f yaml --check", 2),
        ("unknown option", GOOD, "analyze yaml --what", 3),
        ("no such format", GOOD, "analyze yaml -o markdown", 3),
        ("no such directory", GOOD, "analyze elsewhere", 4),
        ("no such directory to run", GOOD, "run -f elsewhere", 4),
        ("nothing runs", GOOD, "resolve web.shop", 4),
        (
            "no such Gateway",
            GOOD,
            "explain -f yaml --gateway shop/none",
            2,
        ),
        ("help", GOOD, "--help", 0),
        ("version", GOOD, "--version", 0),
    ];
    for (case, yaml, line, code) in rows {
        let ran = Place::new(yaml).weft(line);
        assert_eq!(
            ran.code, code,
            "{case}: {line}\n{}{}",
            ran.stdout, ran.stderr
        );
    }
}

#[test]
fn findings_show_file_line_and_caret() {
    let ran = Place::new(BROKEN).weft("analyze yaml");
    for part in [
        "error WA101",
        "yaml/shop.yaml:6:3",
        "6 |   rulez: []",
        "|   ^^^^^",
        "1 error",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in\n{}", ran.stdout);
    }
}

#[test]
fn findings_for_machines() {
    let place = Place::new(BROKEN);
    let json = place.weft("analyze yaml -o json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["findings"][0]["place"]["line"], 6, "{json}");
    let junit = place.weft("analyze yaml -o junit").stdout;
    assert!(
        junit.contains("failures=\"1\"") && junit.contains("line=\"6\""),
        "{junit}"
    );
    let good = Place::new(GOOD).weft("analyze yaml -o junit").stdout;
    assert!(good.contains("failures=\"0\""), "{good}");
}

#[test]
fn explanations_name_the_winner_and_why_others_lose() {
    let place = Place::new(GOOD);
    let cart = "explain -f yaml --gateway shop/edge --host a.example --path /cart/7";
    let rows = [
        (
            format!("{cart} --header x-env=canary"),
            vec!["rule 0 \"cart\"", "WINS", "answer   503"],
        ),
        (
            cart.to_owned(),
            vec![
                "header x-env does not match",
                "answer   302 to http://a.example",
            ],
        ),
        (
            "explain -f yaml --to web.shop -n pay".to_owned(),
            vec!["from namespace pay", "group    producer", "answer   302"],
        ),
        (
            "explain -f yaml --to web.shop --grpc --path /a.B/C".to_owned(),
            vec!["POST http://web.shop/a.B/C"],
        ),
    ];
    for (line, parts) in rows {
        let ran = place.weft(&line);
        for part in parts {
            assert!(
                ran.stdout.contains(part),
                "{line}: {part:?} in\n{}",
                ran.stdout
            );
        }
    }
}

/// The only listener refers to a certificate that does not exist.
const UNENCRYPTED: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: weft
  listeners:
  - name: https
    port: 8443
    protocol: HTTPS
    hostname: '*.a.example'
    tls: {certificateRefs: [{name: missing}]}
";

#[test]
fn explanations_end_where_the_handshake_does() {
    let place = Place::new(UNENCRYPTED);
    let rows = [
        (
            "",
            "none: the TLS handshake is refused: listener \"https\" has no certificate",
        ),
        (
            "--host b.example",
            "none: the TLS handshake is refused: no listener of port 8443",
        ),
        (
            "--sni b.example --host www.a.example",
            "the server name \"b.example\"",
        ),
    ];
    for (options, part) in rows {
        let ran = place.weft(&format!("explain -f yaml --gateway shop/edge {options}"));
        assert!(ran.stdout.contains(part), "{options}: {}", ran.stdout);
    }
    let json = place
        .weft("explain -f yaml --gateway shop/edge -o json")
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["answer"]["kind"], "noHandshake", "{json}");
}

#[test]
fn routes_are_listed_in_the_order_of_precedence() {
    let place = Place::new(GOOD);
    let ran = place.weft("routes -f yaml -o json");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let of: Vec<_> = json["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .map(|it| &it["of"])
        .collect();
    assert_eq!(
        of,
        [
            "Gateway shop/edge:8080 listener http",
            "Service shop/web:80 producer"
        ]
    );
    let rows = json["tables"][0]["rows"].as_array().expect("rows");
    let rules: Vec<_> = rows.iter().map(|row| row["rule"].as_u64()).collect();
    assert_eq!(rules, [Some(0), Some(1)], "the longer path first");
    assert_eq!(rows[1]["to"], "RequestRedirect 302 host a.example");
    let none = place.weft("routes -f yaml -n pay").stdout;
    assert!(none.starts_with("no route"), "{none}");
}

#[test]
fn what_the_binary_says_about_itself() {
    let place = Place::new(GOOD);
    let rows = [
        ("version", "Gateway API v1.6.1"),
        ("version -o json", "\"gatewayApi\": \"v1.6.1\""),
        ("features", "HTTPRouteQueryParamMatching"),
        ("features -o markdown", "| HTTPRoute "),
        ("features -o json", "\"supported\": false"),
        ("completion bash", "_weft"),
        ("completion fish", "complete -c weft"),
    ];
    for (line, part) in rows {
        let ran = place.weft(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        assert!(
            ran.stdout.contains(part),
            "{line}: {part:?} in\n{}",
            ran.stdout
        );
    }
}
