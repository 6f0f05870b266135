//! `find` against a reference that looks at every match of every route and shares nothing with the
//! index or with `Precedence`: it is the text of the specification as one sort key.

use std::cmp::Reverse;

use proptest::{prelude::*, sample::select};

use crate::{
    Explanation, GrpcMatch, GrpcMethodMatch, Hostname, HttpMatch, Matches, NoRecord, Outcome,
    PathMatch, RequestView, RouteEntry, RouteSet, StringMatch, Winner,
    fixture::{request, route},
};

/// Not understood, kind, hostname, path or call, method, headers, query, age, name, rule, match; the least wins.
type Key = (
    bool,
    bool,
    Reverse<(usize, usize)>,
    Reverse<(u8, usize, usize)>,
    Reverse<bool>,
    Reverse<usize>,
    Reverse<usize>,
    i64,
    String,
    u16,
    usize,
);

/// The winning route, rule and match by looking at all of them.
fn reference(entries: &[RouteEntry], asked: &RequestView<'_>) -> Option<(String, u16, usize)> {
    let mut best: Option<(Key, String)> = None;
    for entry in entries {
        let Some(hostname) = hostname(&entry.hostnames, asked.host) else {
            continue;
        };
        for rule in &entry.rules {
            let name = rule.route.name.to_string();
            let judged: Vec<_> = match &rule.matches {
                Matches::Http(list) => list.iter().map(|one| http(one, asked)).collect(),
                Matches::Grpc(list) => list.iter().map(|one| grpc(one, asked)).collect(),
            };
            for (at, judged) in judged.into_iter().enumerate() {
                let Some((not_grpc, place, method, headers, query)) = judged else {
                    continue;
                };
                let key = (
                    rule.matches.is_unsupported(u16::try_from(at).unwrap()),
                    not_grpc,
                    Reverse(hostname),
                    Reverse(place),
                    Reverse(method),
                    Reverse(headers),
                    Reverse(query),
                    entry.created.unwrap_or(i64::MAX),
                    name.clone(),
                    rule.index,
                    at,
                );
                if best.as_ref().is_none_or(|(least, _)| key < *least) {
                    best = Some((key, rule.route.to_string()));
                }
            }
        }
    }
    best.map(|(key, route)| (route, key.9, key.10))
}

fn hostname(hostnames: &[Hostname], host: &str) -> Option<(usize, usize)> {
    if hostnames.is_empty() {
        return Some((0, 0));
    }
    let specificity = |hostname: &Hostname| match hostname.to_string().split_once('*') {
        None => (hostname.to_string() == host).then_some((host.len(), host.len())),
        Some((_, suffix)) => {
            let stem = host.strip_suffix(suffix)?;
            (!stem.is_empty()).then_some((0, suffix.len() + 1))
        }
    };
    hostnames.iter().filter_map(specificity).max()
}

type Judged = Option<(bool, (u8, usize, usize), bool, usize, usize)>;

fn http(one: &HttpMatch, asked: &RequestView<'_>) -> Judged {
    let place = match &one.path {
        PathMatch::Exact(path) => (**path == *asked.path).then_some((2, 0, 0)),
        PathMatch::Regex(regex) => {
            regex
                .is_match(asked.path.as_bytes())
                .then_some((1, regex.pattern().len(), 0))
        }
        PathMatch::Prefix(prefix) => {
            let elements = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            elements(asked.path)
                .starts_with(&elements(prefix))
                .then_some((0, prefix.len(), 0))
        }
    };
    let method = one
        .method
        .as_ref()
        .is_none_or(|method| method == asked.method);
    let headers = one.headers.iter().all(|header| {
        let sent = asked
            .headers
            .get(&header.name)
            .map(|value| value.as_bytes());
        sent.is_some_and(|sent| text(&header.value, sent))
    });
    let query = one.query.iter().all(|parameter| {
        let mut sent = asked.query.unwrap_or_default().split('&');
        let start = format!("{}=", parameter.name);
        let value = sent.find_map(|pair| pair.strip_prefix(&start));
        value.is_some_and(|value| text(&parameter.value, value.as_bytes()))
    });
    let place = place.filter(|_| method && headers && query)?;
    Some((
        true,
        place,
        one.method.is_some(),
        one.headers.len(),
        one.query.len(),
    ))
}

fn grpc(one: &GrpcMatch, asked: &RequestView<'_>) -> Judged {
    asked
        .headers
        .get("content-type")
        .filter(|value| *value == "application/grpc")?;
    let call = match asked.path.split('/').collect::<Vec<_>>().as_slice() {
        ["", service @ .., method] if !service.is_empty() => Some((service.join("/"), *method)),
        _ => None,
    };
    let place = match &one.method {
        None => (0, 0, 0),
        Some(GrpcMethodMatch::Exact { service, method }) => {
            let (sent_service, sent_method) = call?;
            let (service, method) = (service.as_deref(), method.as_deref());
            let takes = service.is_none_or(|wanted| *wanted == *sent_service)
                && method.is_none_or(|wanted| wanted == sent_method);
            takes.then_some((2, service.map_or(0, str::len), method.map_or(0, str::len)))?
        }
        Some(GrpcMethodMatch::Regex { service, method }) => {
            let (sent_service, sent_method) = call?;
            let takes = service
                .as_ref()
                .is_none_or(|r| r.is_match(sent_service.as_bytes()))
                && method
                    .as_ref()
                    .is_none_or(|r| r.is_match(sent_method.as_bytes()));
            let length = |r: &Option<crate::Regex>| r.as_ref().map_or(0, |r| r.pattern().len());
            takes.then_some((1, length(service), length(method)))?
        }
    };
    let headers = one.headers.iter().all(|header| {
        let sent = asked
            .headers
            .get(&header.name)
            .map(|value| value.as_bytes());
        sent.is_some_and(|sent| text(&header.value, sent))
    });
    headers.then_some((false, place, false, one.headers.len(), 0))
}

fn text(wanted: &StringMatch, sent: &[u8]) -> bool {
    match wanted {
        StringMatch::Exact(value) => value.as_bytes() == sent,
        StringMatch::Regex(regex) => regex.is_match(sent),
    }
}

/// Few names each, so that routes meet each other and the request.
fn http_matches() -> impl Strategy<Value = String> {
    let paths = vec![
        "", "/", "/a", "/a/", "/b", "/a/b", "/a/b/c", "/ab", "/a/bc", "=/", "=/a", "=/a/", "=/a/b",
        "=/ab", "~/a.*", "~/[ab]", "~/a|/a/b", "~/.*b",
    ];
    let methods = vec!["", "", "GET", "POST"];
    let headers = vec!["", "", "x:1", "x:2", "x~[12]", "x:1 y:1", "y~.*", "x:1 X:2"];
    let query = vec!["", "", "?p=1", "?p~[12]", "?p=1 ?q=1", "?p=1 ?p=2"];
    (
        select(paths),
        select(methods),
        select(headers),
        select(query),
    )
        .prop_map(|(path, method, headers, query)| format!("{path} {method} {headers} {query}"))
}

fn grpc_matches() -> impl Strategy<Value = String> {
    let calls = vec![
        "",
        "=a/b",
        "=a/",
        "=/b",
        "=b/b",
        "=/bc",
        "~a/",
        "~/b|bc",
        "~[ab]/[bc]+",
        "~a/b",
    ];
    let headers = vec!["", "", "x:1", "x~[12]", "x:1 y:1"];
    (select(calls), select(headers)).prop_map(|(call, headers)| format!("{call} {headers}"))
}

fn routes() -> impl Strategy<Value = Vec<String>> {
    let hosts = vec![
        "",
        "",
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "*.a.com",
        "*.b.a.com",
        "*.com",
        "*.com a.com",
        "b.a.com *.com",
    ];
    let rules = |matches: BoxedStrategy<String>| {
        let matches = prop_oneof![12 => matches, 1 => Just("!".to_owned())];
        let rule = prop::collection::vec(matches, 1..4).prop_map(|list| list.join(" ; "));
        prop::collection::vec(rule, 1..4).prop_map(|rules| rules.join(" | "))
    };
    let body = prop_oneof![
        3 => rules(http_matches().boxed()).prop_map(|rules| ("http", rules)),
        1 => rules(grpc_matches().boxed()).prop_map(|rules| ("grpc", rules)),
    ];
    let head = (
        select(vec!["", "@1", "@2"]),
        select(hosts),
        select(vec!["a", "a-b", "b"]),
    );
    prop::collection::vec((head, body), 0..10).prop_map(|routes| {
        let line = |(at, ((created, hosts, namespace), (kind, rules)))| {
            // Names run against the positions, and are distinct.
            let at: usize = at;
            format!("{kind} {namespace}/r{} {created} {hosts} | {rules}", 9 - at)
        };
        routes.into_iter().enumerate().map(line).collect()
    })
}

fn requests() -> impl Strategy<Value = String> {
    let hosts = vec![
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "d.c.b.a.com",
        "com",
        "x.org",
        "A.com:80",
    ];
    let paths = vec![
        "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/a/bc", "/b", "/b/b", "/abc",
    ];
    let queries = vec!["", "?p=1", "?p=2", "?q=1&p=1", "?p=2&p=1"];
    let headers = vec!["", "x:1", "x:2", "x:1 y:1", "y:2"];
    (
        select(vec!["GET", "POST", "GRPC"]),
        select(hosts),
        select(paths),
        select(queries),
        select(headers),
    )
        .prop_map(|(method, host, path, query, headers)| {
            format!("{method} {host}{path}{query} {headers}")
        })
}

fn place(set: &RouteSet, winner: Winner) -> (String, u16, usize) {
    let rule = &set.rules()[winner.rule as usize];
    (
        rule.route.to_string(),
        rule.index,
        usize::from(winner.matched),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn find_agrees_with_the_reference(
        lines in routes(),
        asked in prop::collection::vec(requests(), 1..8),
    ) {
        let entries: Vec<_> = lines.iter().map(|line| route(line)).collect();
        let set = RouteSet::new(entries.clone());
        let shuffled = RouteSet::new(entries.iter().rev().cloned().collect());
        prop_assert_eq!(&set, &shuffled, "the order of entries does not matter");
        for asked in &asked {
            let parsed = request(asked);
            let winner = set.find(&parsed.view(), &mut NoRecord);
            let found = winner.map(|winner| place(&set, winner));
            prop_assert_eq!(&found, &reference(&entries, &parsed.view()), "{}", asked);
            prop_assert_eq!(shuffled.find(&parsed.view(), &mut NoRecord), winner);
        }
    }

    #[test]
    fn explanations_name_the_winner_that_find_names(lines in routes(), asked in requests()) {
        let set = RouteSet::new(lines.iter().map(|line| route(line)).collect());
        let parsed = request(&asked);
        let mut explanation = Explanation::default();
        let winner = set.find(&parsed.view(), &mut explanation);
        prop_assert_eq!(winner, set.find(&parsed.view(), &mut NoRecord));
        let won = explanation.tried().iter().filter(|tried| tried.outcome == Outcome::Won);
        let won: Vec<_> =
            won.map(|tried| Winner { rule: tried.rule, matched: tried.matched }).collect();
        prop_assert_eq!(won, winner.into_iter().collect::<Vec<_>>());
        let judged: usize = set.rules().iter().map(|rule| usize::from(rule.matches.len())).sum();
        prop_assert_eq!(explanation.tried().len(), judged, "every match is judged once");
        if winner.is_none() {
            let missed = |outcome: &Outcome| matches!(outcome, Outcome::Missed(_));
            prop_assert!(explanation.tried().iter().all(|tried| missed(&tried.outcome)));
        }
    }
}
