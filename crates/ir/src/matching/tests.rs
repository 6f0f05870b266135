//! Tests of `matching`: one row per clause of `HTTPPathMatch`, `HTTPHeaderMatch`,
//! `HTTPQueryParamMatch`, `HTTPRouteMatch`, `GRPCMethodMatch` and `GRPCRouteMatch`.

use http::HeaderValue;

use super::{HttpMatch, PathMatch, StringMatch, call_of};
use crate::{
    GrpcMatch, GrpcMethodMatch, PathError, Regex, RequestView,
    fixture::{grpc_match, http_match, request, rows},
};

/// Each row of `table`: name, match (`-` for an empty one), request, `yes` or `no`. See `fixture` for
/// the notation.
fn check_http(table: &str) {
    for [name, matched, asked, expected] in rows(table) {
        let found = http_match(matched).check(&request(asked).view()).is_ok();
        assert_eq!(
            found,
            expected == "yes",
            "{name}: match {matched:?} and request {asked:?}"
        );
    }
}

fn check_grpc(table: &str) {
    for [name, matched, asked, expected] in rows(table) {
        let asked_for = request(asked);
        let view = asked_for.view();
        let found = grpc_match(matched).check(call_of(view.path), &view).is_ok();
        assert_eq!(
            found,
            expected == "yes",
            "{name}: match {matched:?} and request {asked:?}"
        );
    }
}

/// `HTTPPathMatch`; the default is that of `HTTPRouteMatch.path`.
const PATHS: &str = "
no path takes the root                 -            GET a.com/                     yes
no path takes every path               -            GET a.com/any/path             yes
no path takes a server-wide request    -            OPTIONS a.com/                 yes
exact takes the path                   =/abc        GET a.com/abc                  yes
exact leaves a trailing slash          =/abc        GET a.com/abc/                 no
exact leaves another case              =/abc        GET a.com/Abc                  no
exact leaves a longer element          =/abc        GET a.com/abcd                 no
exact leaves a further element         =/abc        GET a.com/abc/d                no
exact with a slash leaves none         =/abc/       GET a.com/abc                  no
exact with a slash takes one           =/abc/       GET a.com/abc/                 yes
exact root                             =/           GET a.com/                     yes
exact root leaves the rest             =/           GET a.com/a                    no
exact does not look at the query       =/abc        GET a.com/abc?d=e              yes
exact sees the normal form             =/abc        GET a.com/x/..//%61bc          yes
exact values are normalised too        =/%61bc%3a   GET a.com/abc%3A               yes
prefix takes the path                  /abc         GET a.com/abc                  yes
prefix takes a trailing slash          /abc         GET a.com/abc/                 yes
prefix takes further elements          /abc         GET a.com/abc/def              yes
prefix leaves a longer element         /abc         GET a.com/abcd                 no
prefix leaves another case             /abc         GET a.com/ABC                  no
prefix leaves another element          /abc         GET a.com/d/abc                no
prefix ignores its trailing slash      /abc/        GET a.com/abc                  yes
and takes further elements             /abc/        GET a.com/abc/def              yes
prefix of several elements             /a/b         GET a.com/a/b/c                yes
prefix of several elements, longer     /a/b         GET a.com/a/bc                 no
prefix of several elements, shorter    /a/b         GET a.com/a                    no
prefix root                            /            GET a.com/a/b                  yes
prefix sees the normal form            /abc         GET a.com/x/../abc/d           yes
prefix is not escaped by dots          /admin       GET a.com/public/%2e%2e/admin  yes
expression takes the whole path        ~/v[12]/.*   GET a.com/v1/x                 yes
expression leaves a part               ~/v[12]      GET a.com/v1/x                 no
expression with alternatives           ~/v1|/v1/.*  GET a.com/v1/x                 yes
expression does not look at the query  ~/v1         GET a.com/v1?x=y               yes
expression counts case                 ~/v1         GET a.com/V1                   no
";

#[test]
fn paths() {
    check_http(PATHS);
}

const METHODS: &str = "
the method                 GET       GET a.com/       yes
another method             GET       POST a.com/      no
a HEAD is no GET           GET       HEAD a.com/      no
method tokens have a case  GET       get a.com/       no
an extension method        PROPFIND  PROPFIND a.com/  yes
no condition               /         DELETE a.com/    yes
";

#[test]
fn methods() {
    check_http(METHODS);
}

const HEADERS: &str = "
equal value                                     version:one          GET a.com/ version:one                    yes
another value                                   version:one          GET a.com/ version:two                    no
a longer value                                  version:one          GET a.com/ version:one1                   no
another case of the value                       version:one          GET a.com/ version:One                    no
no such header                                  version:one          GET a.com/                                no
names have no case                              VERSION:one          GET a.com/ Version:one                    yes
all have to match                               a:1 b:2              GET a.com/ a:1 b:2                        yes
one does not match                              a:1 b:2              GET a.com/ a:1 b:3                        no
one is absent                                   a:1 b:2              GET a.com/ a:1                            no
the first of equal names counts                 a:1 A:2              GET a.com/ a:1                            yes
and not a later one                             a:1 A:2              GET a.com/ a:2                            no
repeated headers are joined                     a:1,_2               GET a.com/ a:1 a:2                        yes
one of repeated headers is not enough           a:1                  GET a.com/ a:1 a:2                        no
a joined value that was sent so                 a~1,_?2              GET a.com/ a:1,_2                         yes
expression over repeated headers                a~1,.2               GET a.com/ a:1 a:2                        yes
expression over three headers                   a~1,.2,.3            GET a.com/ a:1 a:2 a:3                    yes
expression leaves a part                        a~1                  GET a.com/ a:1 a:2                        no
expression takes the whole value                a~v[0-9]+            GET a.com/ a:v12                          yes
expression leaves a longer value                a~v[0-9]+            GET a.com/ a:v12x                         no
expression that takes nothing needs the header  a~.*                 GET a.com/                                no
expression that takes an empty value            a~.*                 GET a.com/ a:                             yes
set-cookie is not joined                        set-cookie:a=1       GET a.com/ set-cookie:a=1 set-cookie:b=2  yes
any set-cookie counts                           set-cookie:b=2       GET a.com/ set-cookie:a=1 set-cookie:b=2  yes
none of set-cookie                              set-cookie~a=1,_b=2  GET a.com/ set-cookie:a=1 set-cookie:b=2  no
cookie crumbs are joined as cookies             cookie~a=1;.b=2      GET a.com/ cookie:a=1 cookie:b=2          yes
host is the authority                           host:a.com           GET a.com/                                yes
host keeps its port                             host:a.com           GET a.com:8080/                           no
host with its port                              host:a.com:8080      GET a.com:8080/                           yes
another host                                    host:b.com           GET a.com/                                no
";

#[test]
fn headers() {
    check_http(HEADERS);
}

/// What the notation of rows cannot say: spaces in wanted values, values that are not UTF-8.
#[test]
fn header_values_are_bytes() {
    let wanted = |value| {
        let mut matched = http_match("a:1");
        matched.headers[0].value = value;
        matched
    };
    let joined = wanted(StringMatch::Exact("1, 2".into()));
    let rows: [(&str, &HttpMatch, &[&[u8]], bool); 6] = [
        (
            "joined with a comma and a space",
            &joined,
            &[b"1", b"2"],
            true,
        ),
        ("sent joined", &joined, &[b"1, 2"], true),
        ("in another order", &joined, &[b"2", b"1"], false),
        ("one more", &joined, &[b"1", b"2", b""], false),
        (
            "an expression over bytes",
            &wanted(StringMatch::Regex(Regex::new("v1.*").unwrap())),
            &[b"v1\xFF"],
            true,
        ),
        (
            "an exact value in UTF-8",
            &wanted(StringMatch::Exact("é".into())),
            &["é".as_bytes()],
            true,
        ),
    ];
    for (name, matched, values, expected) in rows {
        let (mut head, ()) = http::Request::new(()).into_parts();
        for value in values {
            head.headers
                .append("a", HeaderValue::from_bytes(value).unwrap());
        }
        let found = matched.check(&RequestView::new(&head, "a.com")).is_ok();
        assert_eq!(found, expected, "{name}");
    }
}

const QUERIES: &str = "
equal value                                ?animal=whale  GET a.com/?animal=whale               yes
another value                              ?animal=whale  GET a.com/?animal=dolphin             no
a longer value                             ?animal=whale  GET a.com/?animal=whales              no
no such parameter                          ?animal=whale  GET a.com/?color=blue                 no
no query                                   ?animal=whale  GET a.com/                            no
names have a case                          ?animal=whale  GET a.com/?Animal=whale               no
names of two cases are two names           ?a=1 ?A=2      GET a.com/?a=1&A=2                    yes
values have a case                         ?animal=whale  GET a.com/?animal=Whale               no
among others                               ?animal=whale  GET a.com/?color=blue&animal=whale&x  yes
all have to match                          ?a=1 ?b=2      GET a.com/?b=2&a=1                    yes
one does not match                         ?a=1 ?b=2      GET a.com/?a=1&b=3                    no
the first of equal names counts            ?a=1 ?a=2      GET a.com/?a=1                        yes
and not a later one                        ?a=1 ?a=2      GET a.com/?a=2                        no
the first value of a repeated parameter    ?a=1           GET a.com/?a=1&a=2                    yes
and not a later value                      ?a=2           GET a.com/?a=1&a=2                    no
an escaped value                           ?a=b/c         GET a.com/?a=b%2Fc                    yes
an escaped name                            ?abc=1         GET a.com/?a%62c=1                    yes
decoding happens once                      ?a=%41         GET a.com/?a=%2541                    yes
a value that is decoded is not the escape  ?a=%41         GET a.com/?a=%41                      no
an escaped separator is no separator       ?a=1&b         GET a.com/?a=1%26b                    yes
a plus sign is a plus sign                 ?a=b+c         GET a.com/?a=b+c                      yes
a malformed escape stays                   ?a=%zz         GET a.com/?a=%zz                      yes
a value with an equals sign                ?a=b=c         GET a.com/?a=b=c                      yes
a semicolon separates nothing              ?a=1;b=2       GET a.com/?a=1;b=2                    yes
expression                                 ?a~v[0-9]+     GET a.com/?a=v12                      yes
expression takes the whole value           ?a~v[0-9]      GET a.com/?a=v12                      no
expression over a decoded value            ?a~b/c         GET a.com/?a=b%2fc                    yes
expression over bytes                      ?a~b.c         GET a.com/?a=b%ffc                    yes
a parameter without value is empty         ?a~            GET a.com/?a                          yes
an absent one is not                       ?a~            GET a.com/?b                          no
";

#[test]
fn queries() {
    check_http(QUERIES);
}

const CONJUNCTIONS: &str = "
path and header            /foo version:v1   GET a.com/foo version:v1  yes
path alone                 /foo version:v1   GET a.com/foo             no
header alone               /foo version:v1   GET a.com/bar version:v1  no
everything                 =/a GET x:1 ?q=2  GET a.com/a?q=2 x:1       yes
everything but the method  =/a GET x:1 ?q=2  PUT a.com/a?q=2 x:1       no
everything but the query   =/a GET x:1 ?q=2  GET a.com/a?q=1 x:1       no
";

#[test]
fn conditions_are_a_conjunction() {
    check_http(CONJUNCTIONS);
}

const CALLS: &str = r"
no condition takes every call        -                    GRPC a.com/s.v1.S/M        yes
even one with an odd path            -                    GRPC a.com/odd             yes
service and method                   =s.v1.S/M            GRPC a.com/s.v1.S/M        yes
another method                       =s.v1.S/M            GRPC a.com/s.v1.S/N        no
another service                      =s.v1.S/M            GRPC a.com/s.v2.S/M        no
another case of the method           =s.v1.S/M            GRPC a.com/s.v1.S/m        no
another case of the service          =s.v1.S/M            GRPC a.com/s.v1.s/M        no
a longer method                      =s.v1.S/M            GRPC a.com/s.v1.S/MM       no
service alone takes every method     =s.v1.S/             GRPC a.com/s.v1.S/N        yes
service alone leaves other services  =s.v1.S/             GRPC a.com/s.v1.SS/N       no
method alone takes every service     =/M                  GRPC a.com/other/M         yes
method alone leaves other methods    =/M                  GRPC a.com/other/N         no
a path that is no call               =/M                  GRPC a.com/M               no
expressions                          ~s\.v[12]\.S/Get.*   GRPC a.com/s.v2.S/GetUser  yes
expression takes the whole service   ~s\.v[12]/           GRPC a.com/s.v2.S/M        no
expression takes the whole method    ~/Get                GRPC a.com/s/GetUser       no
expression for the method alone      ~/Get.*              GRPC a.com/s/GetUser       yes
metadata                             =s/M version:2       GRPC a.com/s/M version:2   yes
other metadata                       =s/M version:2       GRPC a.com/s/M version:3   no
the first of equal names counts      version:2 Version:3  GRPC a.com/s/M version:2   yes
";

#[test]
fn calls() {
    check_grpc(CALLS);
}

#[test]
fn empty_service_and_method_are_no_condition() {
    assert_eq!(
        GrpcMethodMatch::exact(Some(""), Some("M")),
        GrpcMethodMatch::Exact {
            service: None,
            method: Some("M".into())
        }
    );
    let open = GrpcMatch::new(Some(GrpcMethodMatch::exact(None, Some(""))), Vec::new());
    assert_eq!(
        open,
        GrpcMatch::default(),
        "a condition that takes everything is dropped"
    );
}

#[test]
fn values_that_no_request_can_have() {
    assert_eq!(PathMatch::exact("abc"), Err(PathError::NotAbsolute));
    assert_eq!(PathMatch::prefix("/a\\b"), Err(PathError::Backslash));
    assert_eq!(PathMatch::prefix("/%zz"), Err(PathError::MalformedEscape));
    assert!(PathMatch::regex("(").is_err());
}

#[test]
fn stored_like_the_manifest() {
    let rows = [
        ("", r#"{"path":{"type":"PathPrefix","value":""}}"#),
        (
            "=/a GET x:1 ?q~2",
            concat!(
                r#"{"path":{"type":"Exact","value":"/a"},"method":"GET","#,
                r#""headers":[{"name":"x","type":"Exact","value":"1"}],"#,
                r#""query":[{"name":"q","type":"RegularExpression","value":"2"}]}"#
            ),
        ),
        (
            "~/a.*",
            r#"{"path":{"type":"RegularExpression","value":"/a.*"}}"#,
        ),
    ];
    for (matched, json) in rows {
        let matched = http_match(matched);
        assert_eq!(serde_json::to_string(&matched).unwrap(), json);
        assert_eq!(serde_json::from_str::<HttpMatch>(json).unwrap(), matched);
    }
    let call = grpc_match("~s/ x:1");
    let json = r#"{"method":{"type":"RegularExpression","service":"s"},"headers":[{"name":"x","type":"Exact","value":"1"}]}"#;
    assert_eq!(serde_json::to_string(&call).unwrap(), json);
    assert_eq!(serde_json::from_str::<GrpcMatch>(json).unwrap(), call);
}
