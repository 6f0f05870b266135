//! Every tie-break of the precedence lists as a row of its own.
//!
//! In each row the first route wins by one step, and the second is better at every step after it, so
//! that a list in another order fails the row.

use super::{set, winner};

/// A route with the hostnames of another that takes no request, and many matches.
fn filler(line: &str) -> String {
    let (head, _) = line.split_once(" | ").unwrap();
    let words = head
        .split_whitespace()
        .skip(2)
        .filter(|word| !word.starts_with('@'));
    let hostnames = words.collect::<Vec<_>>().join(" ");
    let name = if hostnames.is_empty() {
        "any"
    } else {
        hostnames.trim_start_matches("*.")
    };
    format!("http filler/{name} {hostnames} | =/f1 ; =/f2 | ~/f3 ; /f4 ; /f5/f6 | /f5")
}

/// Each stanza of `table`: name, winning route, other route, request `=>` place of the winner.
fn check(table: &str) {
    for stanza in table.trim().split("\n\n") {
        let lines: Vec<&str> = stanza.lines().map(str::trim).collect();
        let [name, first, second, decision] = lines[..] else {
            panic!("stanza {stanza:?}")
        };
        let (asked, expected) = decision.split_once(" => ").unwrap();
        // Groups of few matches are laid out differently; both layouts have to agree.
        let fillers = [first, second].map(filler);
        let [filler, other_filler] = [&*fillers[0], &*fillers[1]];
        let small = [vec![first, second], vec![second, first]];
        let large = [
            vec![filler, first, second, other_filler],
            vec![second, filler, first],
        ];
        for routes in small.into_iter().chain(large) {
            let found = winner(&set(&routes), asked);
            assert_eq!(
                found.as_deref(),
                Some(expected),
                "{name}: {asked:?} among {routes:?}"
            );
        }
    }
}

/// `HTTPRouteSpec.hostnames`, then the list of `HTTPRouteRule.matches`.
const HTTP: &str = "
1 characters of a non-wildcard hostname
  http z/z @9 b.a.com | /
  http a/a @1 *.a.com | =/x GET h:1 ?q=1
  GET b.a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

1 characters of a hostname
  http z/z @9 *.b.a.com | /
  http a/a @1 *.a.com | =/x GET h:1 ?q=1
  GET c.b.a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

1 a hostname before none
  http z/z @9 *.com | /
  http a/a @1 | =/x GET h:1 ?q=1
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

2 Exact before RegularExpression
  http z/z @9 | =/x
  http a/a @1 | ~/x|/a/very/long/expression GET h:1 ?q=1
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

2 Exact before PathPrefix
  http z/z @9 | =/x/y
  http a/a @1 | /x/y GET h:1 ?q=1
  GET a.com/x/y?q=1 h:1 => HTTPRoute z/z 0.0

3 RegularExpression before PathPrefix
  http z/z @9 | ~/x.*
  http a/a @1 | /x/y/z GET h:1 ?q=1
  GET a.com/x/y/z?q=1 h:1 => HTTPRoute z/z 0.0

3 longer RegularExpression
  http z/z @9 | ~/x/[yz]
  http a/a @1 | ~/x/.* GET h:1 ?q=1
  GET a.com/x/y?q=1 h:1 => HTTPRoute z/z 0.0

4 PathPrefix with most characters
  http z/z @9 | /x/y
  http a/a @1 | /x GET h:1 ?q=1
  GET a.com/x/y/z?q=1 h:1 => HTTPRoute z/z 0.0

4 a trailing slash is no character
  http z/z @9 | /x GET
  http a/a @1 | /x/ h:1 ?q=1
  GET a.com/x/y?q=1 h:1 => HTTPRoute z/z 0.0

5 method match
  http z/z @9 | /x GET
  http a/a @1 | /x h:1 ?q=1
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

5 method match, exact paths
  http z/z @9 | =/x GET
  http a/a @1 | =/x h:1 ?q=1
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

5 method match, expressions
  http z/z @9 | ~/x GET
  http a/a @1 | ~/x h:1 ?q=1
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

6 header matches
  http z/z @9 | /x h:1 i:2
  http a/a @1 | /x h:1 ?q=1 ?r=2
  GET a.com/x?q=1&r=2 h:1 i:2 => HTTPRoute z/z 0.0

6 repeats of a header name do not count
  http z/z @9 | /x h:1 ?q=1
  http a/a @1 | /x h:1 H:2
  GET a.com/x?q=1 h:1 => HTTPRoute z/z 0.0

7 query parameter matches
  http z/z @9 | /x h:1 ?q=1 ?r=2
  http a/a @1 | /x h:1 ?q=1
  GET a.com/x?q=1&r=2 h:1 => HTTPRoute z/z 0.0

7 repeats of a parameter name do not count
  http z/z @1 | /x ?q=1
  http a/a @9 | /x ?q=1 ?q=2
  GET a.com/x?q=1 => HTTPRoute z/z 0.0

7 parameter names of two cases are no repeats
  http z/z @9 | /x ?q=1 ?Q=1
  http a/a @1 | /x ?q=1
  GET a.com/x?q=1&Q=1 => HTTPRoute z/z 0.0

8 oldest route
  http z/z @1 | /y | /x
  http a/a @9 | /x
  GET a.com/x => HTTPRoute z/z 1.0

8 a route without timestamp is younger
  http z/z @9 | /x
  http a/a | /x
  GET a.com/x => HTTPRoute z/z 0.0

9 namespace/name at equal age
  http a/z @5 | /y | /x
  http b/a @5 | /x
  GET a.com/x => HTTPRoute a/z 1.0

9 namespace/name without timestamps
  http a/a | /y | /x
  http a/b | /x
  GET a.com/x => HTTPRoute a/a 1.0

9 namespace/name is one text
  http a-b/z | /x
  http a/a | /x
  GET a.com/x => HTTPRoute a-b/z 0.0

9 alphabetical is not by length
  http a/bb | /x
  http a/c | /x
  GET a.com/x => HTTPRoute a/bb 0.0

10 first rule in list order
  http a/a | /y ; /x | /x
  http b/b | /x
  GET a.com/x => HTTPRoute a/a 0.1

10 a later rule with a better match
  http a/a | / | /x
  http b/b | /x
  GET a.com/x => HTTPRoute a/a 1.0

11 first match in the rule
  http a/a | /x ; /x
  http b/b | /x
  GET a.com/x => HTTPRoute a/a 0.0

a later match that is better
  http a/a | /x ; /x GET
  http b/b | /x
  GET a.com/x => HTTPRoute a/a 0.1
";

#[test]
fn http_routes() {
    check(HTTP);
}

/// The list of `GRPCRouteRule.matches`.
const GRPC: &str = "
1 characters of a non-wildcard hostname
  grpc z/z @9 b.a.com | h:1
  grpc a/a @1 *.a.com | =s/m h:1 i:2
  GRPC b.a.com/s/m h:1 i:2 => GRPCRoute z/z 0.0

1 characters of a hostname
  grpc z/z @9 *.b.a.com | h:1
  grpc a/a @1 *.a.com | =s/m h:1 i:2
  GRPC c.b.a.com/s/m h:1 i:2 => GRPCRoute z/z 0.0

2 Exact before RegularExpression
  grpc z/z @9 | =/m
  grpc a/a @1 | ~s|another_service/m|another_method h:1
  GRPC a.com/s/m h:1 => GRPCRoute z/z 0.0

2 RegularExpression before no condition
  grpc z/z @9 | ~s/
  grpc a/a @1 | h:1
  GRPC a.com/s/m h:1 => GRPCRoute z/z 0.0

3 characters of the service
  grpc z/z @9 | =s/
  grpc a/a @1 | =/method h:1
  GRPC a.com/s/method h:1 => GRPCRoute z/z 0.0

3 characters of the service, expressions
  grpc z/z @9 | ~[st]/
  grpc a/a @1 | ~s/method h:1
  GRPC a.com/s/method h:1 => GRPCRoute z/z 0.0

4 characters of the method
  grpc z/z @9 | =s/m
  grpc a/a @1 | =s/ h:1
  GRPC a.com/s/m h:1 => GRPCRoute z/z 0.0

4 characters of the method, expressions
  grpc z/z @9 | ~s/[mn]
  grpc a/a @1 | ~s/m h:1
  GRPC a.com/s/m h:1 => GRPCRoute z/z 0.0

5 header matches
  grpc z/z @9 | =s/m h:1 i:2
  grpc a/a @1 | =s/m h:1
  GRPC a.com/s/m h:1 i:2 => GRPCRoute z/z 0.0

6 oldest route
  grpc z/z @1 | =s/m
  grpc a/a @9 | =s/m
  GRPC a.com/s/m => GRPCRoute z/z 0.0

7 namespace/name
  grpc a/b @5 | =s/n | =s/m
  grpc a/c @5 | =s/m
  GRPC a.com/s/m => GRPCRoute a/b 1.0

8 first rule in list order
  grpc a/a | =s/n ; =s/m | =s/m
  grpc b/b | =s/m
  GRPC a.com/s/m => GRPCRoute a/a 0.1
";

#[test]
fn grpc_routes() {
    check(GRPC);
}

/// What the lists leave open: kinds and hostnames that share a table.
const SHARED: &str = "
a gRPC call tries GRPCRoutes first, whatever the hostname
  grpc z/z @9 | h:1
  http a/a @1 a.com | =/s/m POST
  GRPC a.com/s/m h:1 => GRPCRoute z/z 0.0

a gRPC call that no GRPCRoute takes goes to HTTPRoutes
  http a/a | /
  grpc z/z | =s/n
  GRPC a.com/s/m => HTTPRoute a/a 0.0

other requests meet no GRPCRoute
  http z/z @9 | /
  grpc a/a @1 a.com | =s/m
  POST a.com/s/m => HTTPRoute z/z 0.0

a hostname whose rules miss leaves the request to a less specific one
  http a/a *.a.com | /x
  http b/b b.a.com | /y
  GET b.a.com/x => HTTPRoute a/a 0.0

and to a route without hostname
  http a/a | /x
  http b/b b.a.com *.a.com | /y ; /x POST
  GET b.a.com/x => HTTPRoute a/a 0.0

the best hostname of a route counts
  http z/z *.com b.a.com | /
  http a/a *.a.com | =/x
  GET b.a.com/x => HTTPRoute z/z 0.0

an exact path whose conditions miss leaves the request to an expression
  http z/z | ~/x
  http a/a | =/x h:1 ; /
  GET a.com/x => HTTPRoute z/z 0.0

a longer prefix whose conditions miss leaves the request to a shorter one
  http z/z | /x
  http a/a | /x/y/z GET h:1 ; /x/y ?q=1 ; /
  GET a.com/x/y/z => HTTPRoute z/z 0.0
";

#[test]
fn kinds_and_hostnames_share_a_table() {
    check(SHARED);
}

#[test]
fn requests_that_nothing_takes() {
    let rows = [
        ("no routes", vec![], "GET a.com/"),
        ("another path", vec!["http a/a | /x"], "GET a.com/y"),
        ("another host", vec!["http a/a a.com | /"], "GET b.com/"),
        ("an empty label", vec!["http a/a *.com | /"], "GET .com/"),
        (
            "the bare suffix of a wildcard",
            vec!["http a/a *.a.com | /"],
            "GET a.com/",
        ),
        (
            "a plain request among GRPCRoutes",
            vec!["grpc a/a | =s/m ; "],
            "POST a.com/s/m",
        ),
        (
            "a call of another service",
            vec!["grpc a/a | =s/m"],
            "GRPC a.com/t/m",
        ),
    ];
    for (name, routes, asked) in rows {
        assert_eq!(winner(&set(&routes), asked), None, "{name}");
    }
}
