//! Verdicts of the API server about tokens, kept for a minute: pods that ask for several certificates,
//! or again after a failure, cost it one question.
//!
//! Only good verdicts are kept, and never beyond the end of the token. The price is that a token whose
//! pod is deleted is good for a minute longer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64URL_NOPAD;
use weft_certs::{Reading, sha256};
use weft_source::kube::TokenOwner;

/// So long a verdict is kept.
const KEPT: Duration = Duration::from_secs(60);
/// Verdicts that are kept; beyond that tokens are reviewed each time.
const VERDICTS_MAX: usize = 1_000;

/// Verdicts, by the digest of the token.
#[derive(Debug, Default)]
pub(super) struct Reviews(Mutex<HashMap<[u8; 32], Verdict>>);

#[derive(Debug)]
struct Verdict {
    owner: Arc<TokenOwner>,
    until: Duration,
    /// End of the token itself.
    expires: SystemTime,
}

impl Verdict {
    fn is_good(&self, now: Reading) -> bool {
        now.monotonic < self.until && now.wall < self.expires
    }
}

impl Reviews {
    /// Whose a token is, if that is known.
    pub(super) fn find(&self, token: &str, now: Reading) -> Option<Arc<TokenOwner>> {
        let verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = verdicts.get(&sha256(token.as_bytes()))?;
        verdict.is_good(now).then(|| Arc::clone(&verdict.owner))
    }

    /// Keeps what the API server said of a token. One that does not say when it ends is not kept.
    pub(super) fn keep(&self, token: &str, owner: &Arc<TokenOwner>, now: Reading) {
        let Some(expires) = expiry(token) else {
            return;
        };
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.retain(|_, verdict| verdict.is_good(now));
        }
        if verdicts.len() < VERDICTS_MAX {
            let verdict = Verdict {
                owner: Arc::clone(owner),
                until: now.monotonic + KEPT,
                expires,
            };
            verdicts.insert(sha256(token.as_bytes()), verdict);
        }
    }
}

/// When a token ends (RFC 7519 section 4.1.4). Whether that is true the API server has decided.
fn expiry(token: &str) -> Option<SystemTime> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let seconds = claims.get("exp")?.as_u64()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_UNIX_S: u64 = 1_800_000_000;

    fn at(later: u64) -> Reading {
        Reading {
            wall: UNIX_EPOCH + Duration::from_secs(NOW_UNIX_S + later),
            monotonic: Duration::from_secs(later),
        }
    }

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
    }

    fn owner() -> Arc<TokenOwner> {
        Arc::new(TokenOwner {
            namespace: "shop".to_owned(),
            service_account: "edge".to_owned(),
            pod: None,
            credential_id: None,
        })
    }

    #[test]
    fn a_verdict_is_kept_for_a_minute_and_never_beyond_the_token() {
        let rows = [
            (
                "at once",
                format!(r#"{{"exp":{}}}"#, NOW_UNIX_S + 3600),
                0,
                true,
            ),
            (
                "in a minute",
                format!(r#"{{"exp":{}}}"#, NOW_UNIX_S + 3600),
                59,
                true,
            ),
            (
                "later",
                format!(r#"{{"exp":{}}}"#, NOW_UNIX_S + 3600),
                60,
                false,
            ),
            (
                "before it ends",
                format!(r#"{{"exp":{}}}"#, NOW_UNIX_S + 10),
                9,
                true,
            ),
            (
                "when it ends",
                format!(r#"{{"exp":{}}}"#, NOW_UNIX_S + 10),
                10,
                false,
            ),
            ("that never ends", "{}".to_owned(), 0, false),
            ("that is no object", "7".to_owned(), 0, false),
        ];
        for (name, claims, later, expected) in rows {
            let (reviews, token) = (Reviews::default(), token(&claims));
            reviews.keep(&token, &owner(), at(0));
            assert_eq!(
                reviews.find(&token, at(later)).is_some(),
                expected,
                "{name}"
            );
        }
        let reviews = Reviews::default();
        reviews.keep("opaque", &owner(), at(0));
        assert_eq!(reviews.find("opaque", at(0)), None, "nobody knows its end");
    }

    #[test]
    fn verdicts_are_bounded_and_make_room_once_they_are_over() {
        let reviews = Reviews::default();
        let numbered = |number: usize| {
            token(&format!(
                r#"{{"exp":{},"jti":{number}}}"#,
                NOW_UNIX_S + 3600
            ))
        };
        for number in 0..=VERDICTS_MAX {
            reviews.keep(&numbered(number), &owner(), at(0));
        }
        assert!(reviews.find(&numbered(0), at(1)).is_some());
        assert_eq!(
            reviews.find(&numbered(VERDICTS_MAX), at(1)),
            None,
            "too many"
        );
        reviews.keep(&numbered(VERDICTS_MAX), &owner(), at(61));
        assert!(reviews.find(&numbered(VERDICTS_MAX), at(62)).is_some());
    }
}
