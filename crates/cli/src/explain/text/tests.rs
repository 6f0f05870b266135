//! Tests of `text`: the page of a decision.

use super::text;
use crate::{
    explain::decision::{Answer, Candidate, Decision, Entry, Judged},
    output::Paint,
};

fn judged(rule: &str, reason: Option<&str>) -> Judged {
    Judged {
        rule: rule.to_owned(),
        matched: 0,
        wins: reason.is_none(),
        conditions: "PathPrefix /cart".to_owned(),
        reason: reason.map(str::to_owned),
    }
}

fn decision() -> Decision {
    let candidate = |backend: &str, share: &str, outcome, endpoints: &[&str]| Candidate {
        backend: backend.to_owned(),
        share: share.to_owned(),
        filters: Vec::new(),
        outcome,
        endpoints: endpoints.iter().map(|it| (*it).to_owned()).collect(),
    };
    let sent = Answer::Backend {
        request: "GET /cart/7".to_owned(),
    };
    let none = Answer::status(503, "shop/v2:80 has no ready endpoint");
    Decision {
        version: 1,
        request: "GET http://web.shop/cart/7".to_owned(),
        entry: Entry {
            kind: "Service",
            name: "shop/web".to_owned(),
            port: 80,
            protocol: "HTTP",
            listener: None,
            client_namespace: Some("pay".to_owned()),
            group: Some("consumer pay".to_owned()),
        },
        matches: vec![
            judged("HTTPRoute pay/web rule 0 \"cart\"", None),
            judged("HTTPRoute pay/web rule 1", Some("path does not match")),
        ],
        filters: vec!["RequestHeaderModifier set x-tenant: pay".to_owned()],
        limits: vec!["request 10s".to_owned()],
        backends: vec![
            candidate("shop/v1:80", "80 %", sent, &["10.1.3.9:8080 ready"]),
            candidate("shop/v2:80", "20 %", none.clone(), &[]),
        ],
        answer: none,
    }
}

#[test]
fn a_decision_on_one_page() {
    let expected = "\
GET http://web.shop/cart/7  from namespace pay
service  shop/web:80   HTTP
group    consumer pay
  HTTPRoute pay/web rule 0 \"cart\"   WINS    PathPrefix /cart
  HTTPRoute pay/web rule 1          loses   PathPrefix /cart   (path does not match)
filter   RequestHeaderModifier set x-tenant: pay
limit    request 10s
split    shop/v1:80 80 % · shop/v2:80 20 %
endpoint 10.1.3.9:8080 ready of shop/v1:80
backend  shop/v2:80: 503: shop/v2:80 has no ready endpoint
answer   503: shop/v2:80 has no ready endpoint
";
    assert_eq!(text(&decision(), Paint(false)), expected);
}

#[test]
fn losers_beyond_a_dozen_are_counted() {
    let mut many = decision();
    let losers = (0..20).map(|number| judged(&format!("rule {number}"), Some("host")));
    many.matches.extend(losers);
    let page = text(&many, Paint(false));
    assert!(
        page.contains("… and 9 more that lose; -o json lists all"),
        "{page}"
    );
}
