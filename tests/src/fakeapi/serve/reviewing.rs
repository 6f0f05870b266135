//! Reviews of a scripted API server: whose a token is, and who may do what.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::super::Shared;
use super::super::fault::Fault;
use super::json_answer;
use crate::body::Body;

/// Where tokens are reviewed.
pub(super) const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// Where people ask what they may do.
pub(super) const ACCESS_PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Says whether it is allowed: everything but what [`Fault::Forbidden`] names.
pub(super) async fn access(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let body = request.into_body().collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let mut review: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let asked = review["spec"]["resourceAttributes"]["resource"].clone();
    let is_it = |fault: &Fault| matches!(fault, Fault::Forbidden(plural) if asked == **plural);
    review["status"] = json!({ "allowed": !shared.state().has(is_it) });
    json_answer(&review)
}

/// Says whose the token is, if it is meant for one of the audiences that are asked about.
pub(super) async fn review(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let body = request.into_body().collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let mut review: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let user = shared.state().users.get(token).cloned();
    let asked = review["spec"]["audiences"].as_array().cloned();
    let asked = asked.unwrap_or_default();
    review["status"] = match user.filter(|user| asked.contains(&user["audience"])) {
        Some(user) => json!({
            "authenticated": true, "audiences": [user["audience"].clone()], "user": user,
        }),
        None => json!({ "authenticated": false, "error": "the token is not valid" }),
    };
    json_answer(&review)
}
