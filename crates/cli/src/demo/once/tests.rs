//! Tests of `once`: a mismatch is seen.

use http::StatusCode;

use super::{Answer, CLAIMS, Expected, STEPS, tolerance, verify};

fn answer(served_by: &str, body: &str) -> Answer {
    Answer {
        status: StatusCode::OK,
        served_by: Some(served_by.to_owned()),
        tenant: None,
        location: None,
        body: body.to_owned(),
    }
}

#[test]
fn tolerances_are_tight_where_a_weight_is_a_promise() {
    for percent in [0, 100] {
        assert!(tolerance(percent) == 0.0, "{percent} %");
    }
    for percent in STEPS {
        assert!(tolerance(percent) < 8.0, "{percent} %");
    }
}

#[test]
fn claims_refuse_what_is_wrong() {
    for claim in CLAIMS {
        let wrong = answer("somebody else", claim.path);
        assert!(
            verify(claim, Ok(wrong)).is_err(),
            "{}: another backend",
            claim.name
        );
        let (right, path_lost) = match claim.expected {
            Expected::Backend(name) => (answer(name, claim.path), answer(name, "GET elsewhere")),
            Expected::Tenant(name, tenant) => {
                let tenant = Some(tenant.to_owned());
                let right = answer(name, claim.path);
                (
                    Answer {
                        tenant,
                        ..right.clone()
                    },
                    right,
                )
            }
            Expected::Redirect(status, path) => {
                let redirect = Answer {
                    status: StatusCode::from_u16(status).expect("a status"),
                    location: Some(format!("http://shop.example:8080{path}")),
                    ..answer("", "")
                };
                (
                    redirect.clone(),
                    Answer {
                        location: None,
                        ..redirect
                    },
                )
            }
        };
        verify(claim, Ok(right)).unwrap_or_else(|error| panic!("{}: {error}", claim.name));
        assert!(
            verify(claim, Ok(path_lost)).is_err(),
            "{}: half right",
            claim.name
        );
    }
}
