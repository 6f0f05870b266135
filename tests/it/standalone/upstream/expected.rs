//! Answers as tables write them: a head, and clauses behind ` | `.
//!
//! | head | meaning |
//! |---|---|
//! | `404` | this status, and no backend saw the request |
//! | `web GET /cart` | 200 from this backend, which saw this method and target |
//! | `grpc web` | status OK of gRPC from this backend |
//! | `grpc 12` | this status of gRPC |
//!
//! | clause | meaning |
//! |---|---|
//! | `name: value` | a field of the answer |
//! | `no name` | a field the answer does not have |
//! | `saw name: value` | a field the backend saw |
//! | `saw no name` | a field the backend did not see |
//! | `copy to web` | this backend got a request too |

use weft_tests::{
    client::Whole,
    wait::{PATIENCE, eventually},
};

use super::serving::Serving;

pub(super) async fn check(what: &str, got: &Whole, expected: &str, serving: &Serving) {
    let mut clauses = expected.split(" | ");
    let said = got.text();
    let line = said.lines().next().unwrap_or_default();
    let status = got.status.as_u16();
    match clauses.next().unwrap_or_default().split_once(' ') {
        None => assert_eq!(status.to_string(), first(expected), "{what}"),
        Some(("grpc", code)) if code.parse::<u8>().is_ok() => {
            assert_eq!(got.grpc_status(), Some(code), "{what}: {said}");
        }
        Some(("grpc", backend)) => {
            assert_eq!(got.grpc_status(), Some("0"), "{what}: {said}");
            assert_eq!(line.split(' ').next(), Some(backend), "{what}");
        }
        Some(_) => {
            assert_eq!(line, first(expected), "{what}");
            assert_eq!(status, 200, "{what}");
        }
    }
    for clause in clauses {
        let holds = if let Some(backend) = clause.strip_prefix("copy to ") {
            let copied = || serving.requests(backend) > 0;
            eventually(PATIENCE, &format!("{what}: {clause}"), copied).await;
            true
        } else if let Some(name) = clause.strip_prefix("saw no ") {
            !said
                .lines()
                .any(|line| line.starts_with(&format!("{name}:")))
        } else if let Some(field) = clause.strip_prefix("saw ") {
            said.lines().any(|line| line == field)
        } else if let Some(name) = clause.strip_prefix("no ") {
            !got.headers.contains_key(name)
        } else {
            let (name, value) = clause.split_once(": ").unwrap_or((clause, ""));
            let values = got.headers.get_all(name);
            values.iter().any(|it| it == value)
        };
        assert!(holds, "{what}: not {clause:?} in {:?}\n{said}", got.headers);
    }
}

fn first(expected: &str) -> &str {
    expected.split(" | ").next().unwrap_or_default()
}
