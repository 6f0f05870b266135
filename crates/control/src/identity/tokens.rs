//! Whose a token is: asked of the API server, and remembered for a minute.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use tonic::metadata::MetadataMap;
use weft_certs::Clock;
use weft_source::kube::{Cluster, RequestError, TokenOwner};

use super::reviews::Reviews;
use crate::deploy::TOKEN_AUDIENCE;

/// Longest token that is reviewed; those of Kubernetes have about 1 KiB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Whose tokens are, as the API server says.
pub(crate) struct Tokens {
    cluster: Cluster,
    clock: Clock,
    reviews: Reviews,
}

impl Tokens {
    /// Nothing is known yet.
    pub(crate) fn new(cluster: Cluster, clock: Clock) -> Self {
        Self {
            cluster,
            clock,
            reviews: Reviews::default(),
        }
    }

    /// What was found out about a token within the last minute.
    pub(crate) fn known(&self, token: &str) -> Option<Arc<TokenOwner>> {
        self.reviews.find(token, self.clock.read())
    }

    /// Whose a token is; `None` for one that is not good here, or not any more.
    pub(crate) async fn review(
        &self,
        token: &str,
    ) -> Result<Option<Arc<TokenOwner>>, RequestError> {
        if let Some(owner) = self.known(token) {
            return Ok(Some(owner));
        }
        let owner = self.cluster.review_token(token, TOKEN_AUDIENCE).await?;
        let owner = owner.map(Arc::new);
        if let Some(owner) = &owner {
            self.reviews.keep(token, owner, self.clock.read());
        }
        Ok(owner)
    }
}

/// The token that a request carries.
pub(crate) fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let text = metadata.get(AUTHORIZATION.as_str())?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let is_good = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    Some(token).filter(|token| is_good && token.len() <= TOKEN_BYTES_MAX)
}
