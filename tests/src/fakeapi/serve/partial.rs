//! Answers with nothing but metadata, for clients that ask for no more.

use http::header::ACCEPT;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::json_answer;
use crate::body::Body;

/// Whether a client asks for metadata only.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata;"))
}

/// The answer without anything else. Refusals stay whole.
pub(super) async fn cut(answer: Response<Body>) -> Response<Body> {
    if !answer.status().is_success() {
        return answer;
    }
    let body = answer.into_body().collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let object: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    json_answer(&json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    }))
}
