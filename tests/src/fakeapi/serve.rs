//! Requests to a scripted API server: from path to answer, with the faults in between.

mod discovery;
mod executing;
mod pacing;
mod partial;
mod reviewing;
mod selecting;
mod watching;
mod writing;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::fault::Fault;
use super::state::{Resource, State};
use crate::body::{Body, full};
use discovery::discovery;
pub(super) use pacing::pace;
use pacing::{latency, trickle};
use reviewing::review;
use watching::watch;
use writing::{create, delete, patch};

/// Serves connections until it is dropped, over TLS when there is a certificate.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _peer)) = listener.accept().await else {
            return;
        };
        let tls = shared.state().tls.clone();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            match tls {
                None => connection(stream, shared).await,
                Some(tls) => {
                    // A client that does not trust us goes away.
                    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                        connection(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, shared).await) }
    });
    // However a connection ends, the client sees it.
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// What a path is about.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) resource: Resource,
    namespace: String,
    name: String,
    is_status: bool,
}

impl Target {
    fn parse(path: &str, state: &State) -> Option<Self> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, is_status) = match rest {
            [plural] => (*plural, "", false),
            [plural, name] => (*plural, *name, false),
            [plural, name, "status"] => (*plural, *name, true),
            _ => return None,
        };
        let known = state
            .served
            .iter()
            .cloned()
            .chain([Resource::lease(), Resource::deployment()]);
        let resource = known.into_iter().find(|resource| {
            resource.group == group && resource.version == version && resource.plural == plural
        })?;
        state.serves(&resource).then(|| Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            is_status,
        })
    }
}

impl Target {
    fn is_new(&self, state: &State) -> bool {
        let found = state.get(&self.resource, &self.namespace, &self.name);
        found.is_none()
    }
}

type Query = BTreeMap<String, String>;

fn query(request: &Request<Incoming>) -> Query {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = value.replace("%3D", "=").replace("%2C", ",");
        Some((name.to_owned(), value.replace("%2F", "/")))
    };
    pairs.filter_map(pair).collect()
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Body> {
    if let Some(refusal) = refusal(&request, &shared) {
        return refusal;
    }
    if shared.state().has(|fault| *fault == Fault::Silent) {
        pending::<()>().await;
    }
    let latency = latency(&shared.state());
    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    let path = request.uri().path().to_owned();
    if path == "/apis" {
        return discovery(request.headers(), &shared.state());
    }
    if path == reviewing::PATH {
        return review(request, &shared).await;
    }
    if path == reviewing::ACCESS_PATH {
        return reviewing::access(request, &shared).await;
    }
    if let Some(said) = shared.state().said.get(&path).cloned() {
        return Response::new(full(said));
    }
    if path.ends_with(executing::SUBRESOURCE) {
        return executing::execute(request, &shared);
    }
    let Some(target) = Target::parse(&path, &shared.state()) else {
        return status(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find it",
        );
    };
    let plural = target.resource.plural.clone();
    if shared
        .state()
        .has(|fault| matches!(fault, Fault::Forbidden(what) if *what == plural))
    {
        return status(StatusCode::FORBIDDEN, "Forbidden", "roles do not allow it");
    }
    let query = query(&request);
    let is_partial = partial::is_wanted(request.headers());
    let answer = act(request, &shared, &target, &query).await;
    if is_partial {
        return partial::cut(answer).await;
    }
    answer
}

/// What a method does to what a path is about.
async fn act(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    target: &Target,
    query: &Query,
) -> Response<Body> {
    match *request.method() {
        Method::GET if query.contains_key("watch") => {
            watch(Arc::clone(shared), target.resource.clone(), query)
        }
        Method::GET if target.name.is_empty() => list(shared, target, query),
        Method::GET => get(&shared.state(), target),
        Method::PATCH | Method::POST => {
            let is_apply = writing::is_apply(request.headers());
            let body = request.into_body().collect().await;
            let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
            let value = serde_json::from_slice(&bytes).unwrap_or_default();
            let is_new = || target.is_new(&shared.state());
            if target.name.is_empty() || is_apply && is_new() {
                create(shared, target, value)
            } else {
                patch(shared, target, &value)
            }
        }
        Method::DELETE => {
            let body = request.into_body().collect().await;
            let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
            delete(
                shared,
                target,
                &serde_json::from_slice(&bytes).unwrap_or_default(),
            )
        }
        _ => status(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "not scripted",
        ),
    }
}

/// Faults that meet a request whatever it asks for.
fn refusal(request: &Request<Incoming>, shared: &Shared) -> Option<Response<Body>> {
    let mut state = shared.state();
    let line = request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str());
    let line = format!("{} {line}", request.method());
    state.requests.push(line);
    if let Some(token) = &state.token {
        let sent = request.headers().get(AUTHORIZATION);
        if sent.is_none_or(|sent| sent.as_bytes() != format!("Bearer {token}").as_bytes()) {
            return Some(status(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "who are you?",
            ));
        }
    }
    for fault in &mut state.faults {
        match fault {
            Fault::TooManyRequests {
                requests,
                retry_after,
            } if *requests > 0 => {
                *requests -= 1;
                let message = "too many requests";
                let code = StatusCode::TOO_MANY_REQUESTS;
                let mut answer = status(code, "TooManyRequests", message);
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, (*retry_after).into());
                return Some(answer);
            }
            Fault::Unavailable {
                requests,
                status: code,
            } if *requests > 0 => {
                *requests -= 1;
                // Not JSON: a load balancer speaks.
                let mut answer = Response::new(full("<html>upstream connect error</html>"));
                *answer.status_mut() = StatusCode::from_u16(*code).unwrap_or_default();
                return Some(answer);
            }
            _ => {}
        }
    }
    None
}

fn list(shared: &Arc<Shared>, target: &Target, query: &Query) -> Response<Body> {
    let number = |name: &str| {
        query
            .get(name)
            .and_then(|value| value.parse::<usize>().ok())
    };
    let (offset, limit) = (number("continue"), number("limit"));
    let mut state = shared.state();
    let is_expiring = state.has(|fault| *fault == Fault::ExpiringContinue);
    if offset.is_some() && is_expiring {
        return status(
            StatusCode::GONE,
            "Expired",
            "the provided continue parameter is too old",
        );
    }
    // One object a page, so that there is a second one.
    let limit = if is_expiring && limit.is_some() {
        1
    } else {
        limit.unwrap_or(usize::MAX)
    };
    let window = (offset.unwrap_or(0), limit);
    let selected = selecting::selector(&target.namespace, query);
    let ((mut items, next), version) = state.page(&target.resource, window, &selected);
    delete_doomed(&mut state, &target.resource, &items);
    for item in &mut items {
        as_served(item, &target.resource);
        if let (true, Value::Object(fields)) = (target.resource.is_built_in(), item) {
            // As real servers do for the kinds that are built in.
            fields.remove("apiVersion");
            fields.remove("kind");
        }
    }
    let document = json!({
        "apiVersion": target.resource.api_version(),
        "kind": format!("{}List", target.resource.kind),
        "metadata": { "resourceVersion": version.to_string(), "continue": next.unwrap_or_default() },
        "items": items,
    });
    let pace = pace(&state);
    drop(state);
    match pace {
        None => json_answer(&document),
        Some(pace) => trickle(document.to_string().into_bytes(), pace),
    }
}

/// Deletes what was just listed and is not to live until it is watched.
fn delete_doomed(state: &mut State, resource: &Resource, listed: &[Value]) {
    let doomed = |fault: &Fault| match fault {
        Fault::DeletedAfterList(name) => Some(name.clone()),
        _ => None,
    };
    let doomed: Vec<_> = state.faults.iter().filter_map(doomed).collect();
    for item in listed {
        let text = |path| {
            item.pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if doomed.iter().any(|doomed| doomed == text("/metadata/name")) {
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            state.delete(resource, namespace, name);
        }
    }
}

fn get(state: &State, target: &Target) -> Response<Body> {
    match state.get(&target.resource, &target.namespace, &target.name) {
        None => status(StatusCode::NOT_FOUND, "NotFound", "no such object"),
        Some(object) => {
            let mut object = object.clone();
            as_served(&mut object, &target.resource);
            json_answer(&object)
        }
    }
}

/// Says the version that was asked for.
pub(super) fn as_served(object: &mut Value, resource: &Resource) {
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.clone().into();
}

pub(super) fn status(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let mut answer = json_answer(&status_object(code.as_u16(), reason, message));
    *answer.status_mut() = code;
    answer
}

pub(super) fn status_object(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message, "metadata": {},
    })
}

fn json_answer(value: &Value) -> Response<Body> {
    Response::new(full(Bytes::from(value.to_string())))
}
