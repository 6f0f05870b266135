//! What becomes of a request: the decision of the data path's own code, with its reasons.

use serde::Serialize;
use weft_ir::{
    Backend, Effect, Endpoints, Explanation, FilterContext, Filters, Outcome, RequestView,
    RouteSet, Rule, Scheme, ServicePort, Target, is_grpc,
};

use super::question::Question;
use crate::describe;

/// The whole answer; its JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decision {
    /// Version of the form.
    pub(crate) version: u32,
    /// Method and URL.
    pub(crate) request: String,
    /// Where it comes in.
    pub(crate) entry: Entry,
    /// Every match of the table, the winner first.
    pub(crate) matches: Vec<Judged>,
    /// Filters of the winning rule, in list order.
    pub(crate) filters: Vec<String>,
    /// Timeouts, retries and what may be repeated, of the winning rule.
    pub(crate) limits: Vec<String>,
    /// Where the request may be sent.
    pub(crate) backends: Vec<Candidate>,
    /// What the client gets.
    pub(crate) answer: Answer,
}

/// Where a request comes in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// `Gateway` or `Service`.
    pub(crate) kind: &'static str,
    /// `namespace/name`.
    pub(crate) name: String,
    /// Port as written in the object.
    pub(crate) port: u16,
    /// How the port is read: `HTTP`, `HTTPS`, `HTTP/2`, `opaque`.
    pub(crate) protocol: &'static str,
    /// Listener that serves the host, at a Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listener: Option<String>,
    /// Namespace of the client, in the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_namespace: Option<String>,
    /// The group of routes that acts: `producer`, `consumer NS`, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// One match and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judged {
    /// `HTTPRoute shop/web rule 0 "cart"`.
    pub(crate) rule: String,
    /// Position of the match in the rule.
    pub(crate) matched: u16,
    /// Whether it serves the request.
    pub(crate) wins: bool,
    /// What the match asks for.
    pub(crate) conditions: String,
    /// Why it loses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A backend that may get the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    /// `shop/web-stable:80`, or a reference that cannot be used.
    pub(crate) backend: String,
    /// Its share of the requests.
    pub(crate) share: String,
    /// Filters of this backend.
    pub(crate) filters: Vec<String>,
    /// What it is sent, or what the client gets instead.
    pub(crate) outcome: Answer,
    /// Endpoints that take new requests.
    pub(crate) endpoints: Vec<String>,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Answer {
    /// The answer of a backend.
    Backend {
        /// Method and target as the backend sees them.
        request: String,
    },
    /// An answer made here.
    Status {
        /// HTTP status; gRPC calls get the matching `grpc-status`.
        status: u16,
        /// Why.
        reason: String,
        /// `location` of a redirect.
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    /// None, because there is no connection: the TLS handshake is refused.
    NoHandshake {
        /// Why.
        reason: String,
    },
}

impl Answer {
    pub(super) fn status(status: u16, reason: impl Into<String>) -> Self {
        Self::Status {
            status,
            reason: reason.into(),
            location: None,
        }
    }

    /// Whether the request fails for a reason that is not the client's.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::Backend { .. } => false,
            Self::Status { status, .. } => *status >= 400,
            Self::NoHandshake { .. } => true,
        }
    }
}

/// What the decision is made from.
pub(super) struct Given<'a> {
    pub(super) question: &'a Question,
    pub(super) endpoints: &'a Endpoints,
    pub(super) context: FilterContext,
}

impl Given<'_> {
    /// A decision that ends before any rule is looked at.
    pub(super) fn ended(&self, entry: Entry, answer: Answer) -> Decision {
        let scheme = self.context.scheme.as_str();
        let Question { head, .. } = self.question;
        let authority = head.headers.get(http::header::HOST);
        let authority = String::from_utf8_lossy(authority.map_or(b"", |it| it.as_bytes()));
        Decision {
            version: 1,
            request: format!("{} {scheme}://{authority}{}", head.method, head.uri),
            entry,
            matches: Vec::new(),
            filters: Vec::new(),
            limits: Vec::new(),
            backends: Vec::new(),
            answer,
        }
    }

    /// What becomes of the request at a port without routes: the Service's own endpoints serve it.
    pub(super) fn passed_through(&self, entry: Entry, port: &ServicePort) -> Decision {
        let endpoints = self.eligible(port);
        let outcome = self.sent_or_none(&self.question.head, &endpoints, port);
        let mut decision = self.ended(entry, outcome.clone());
        decision.backends.push(Candidate {
            backend: port.to_string(),
            share: "100 %".to_owned(),
            filters: Vec::new(),
            outcome,
            endpoints,
        });
        decision
    }

    /// What a table of routes does with the request.
    pub(super) fn routed(&self, entry: Entry, routes: &RouteSet) -> Decision {
        let Question { head, host, .. } = self.question;
        if self.question.encoded_separator && routes.restricts_by_path() {
            let reason = "the path holds an encoded separator and the routes look at paths";
            return self.ended(entry, Answer::status(400, reason));
        }
        let mut explanation = Explanation::default();
        let view = RequestView::new(head, host);
        let winner = routes.find(&view, &mut explanation);
        let rule = winner.and_then(|winner| routes.rules().get(winner.rule as usize));
        let mut decision = match rule {
            Some(rule) => self.by_rule(entry, rule),
            None if is_grpc(&head.headers) => {
                let reason = "no rule takes the call (grpc-status 12, UNIMPLEMENTED)";
                self.ended(entry, Answer::status(404, reason))
            }
            None => self.ended(entry, Answer::status(404, "no rule takes the request")),
        };
        decision.matches = judged(routes, &explanation);
        decision
    }

    fn by_rule(&self, entry: Entry, rule: &Rule) -> Decision {
        let mut head = self.question.head.clone();
        let answered = self.filtered(&rule.filters, &mut head);
        let total: u64 = rule.backends.iter().map(|it| u64::from(it.weight)).sum();
        let sent = || {
            let backends = rule.backends.iter();
            let backends = backends.map(|backend| self.candidate(backend, &rule.backends, &head));
            backends.collect::<Vec<_>>()
        };
        let (answer, backends) = match answered {
            Some(answer) => (answer, Vec::new()),
            None if rule.backends.is_empty() => {
                (Answer::status(500, "the rule has no backend"), Vec::new())
            }
            None if total == 0 => {
                let reason = "every weight of the rule is 0";
                (Answer::status(500, reason), sent())
            }
            None => {
                let backends = sent();
                (worst(&rule.backends, &backends), backends)
            }
        };
        let mut decision = self.ended(entry, answer);
        decision.filters = rule.filters.iter().map(ToString::to_string).collect();
        decision.limits = describe::limits(rule);
        decision.backends = backends;
        decision
    }

    fn candidate(
        &self,
        backend: &Backend,
        all: &[Backend],
        head: &http::request::Parts,
    ) -> Candidate {
        let mut head = head.clone();
        let (outcome, endpoints) = match &backend.target {
            Target::Fault { fault, .. } => {
                let reason = format!("the backend cannot be used: {}", fault.as_str());
                (Answer::status(500, reason), Vec::new())
            }
            Target::Service { port, .. } => match self.filtered(&backend.filters, &mut head) {
                Some(answer) => (answer, Vec::new()),
                None => {
                    let endpoints = self.eligible(port);
                    (self.sent_or_none(&head, &endpoints, port), endpoints)
                }
            },
        };
        Candidate {
            backend: describe::target(&backend.target),
            share: describe::share(backend, all),
            filters: backend.filters.iter().map(ToString::to_string).collect(),
            outcome,
            endpoints,
        }
    }

    /// Runs the request half of filters; an answer ends the request.
    fn filtered(&self, filters: &Filters, head: &mut http::request::Parts) -> Option<Answer> {
        for filter in filters {
            if let Effect::Respond(answer) = filter.apply_request(head, &self.context) {
                let location = answer.headers.get(http::header::LOCATION);
                return Some(Answer::Status {
                    status: answer.status.as_u16(),
                    reason: filter.to_string(),
                    location: location.map(|it| String::from_utf8_lossy(it.as_bytes()).into()),
                });
            }
        }
        None
    }

    fn sent_or_none(
        &self,
        head: &http::request::Parts,
        endpoints: &[String],
        port: &ServicePort,
    ) -> Answer {
        if endpoints.is_empty() {
            return Answer::status(503, format!("{port} has no ready endpoint"));
        }
        Answer::Backend {
            request: format!("{} {}", head.method, head.uri),
        }
    }

    fn eligible(&self, port: &ServicePort) -> Vec<String> {
        let set = self.endpoints.get(port);
        let endpoints = set.iter().flat_map(|set| set.eligible());
        endpoints
            .map(|endpoint| {
                let zone = endpoint.zone.as_ref().map(|zone| format!(" zone {zone}"));
                let state = match endpoint.state {
                    weft_ir::EndpointState::Ready => "ready",
                    weft_ir::EndpointState::Terminating => "terminating",
                };
                let member = endpoint.member.as_ref();
                let member = member.map(|id| format!(" through the tunnel as {id}"));
                format!(
                    "{}{} {state}{}",
                    endpoint.address,
                    zone.unwrap_or_default(),
                    member.unwrap_or_default()
                )
            })
            .collect()
    }
}

/// The scheme of a listener's clients.
pub(super) fn scheme_of(protocol: weft_ir::PortProtocol) -> Scheme {
    match protocol {
        weft_ir::PortProtocol::Http => Scheme::Http,
        weft_ir::PortProtocol::Https => Scheme::Https,
    }
}

/// The answer of a split: a failure that some requests meet, else that of a backend.
fn worst(backends: &[Backend], candidates: &[Candidate]) -> Answer {
    let chosen = backends.iter().zip(candidates);
    let chosen = chosen.filter(|(backend, _)| backend.weight > 0);
    let outcomes: Vec<_> = chosen.map(|(_, candidate)| &candidate.outcome).collect();
    let failure = outcomes.iter().find(|outcome| outcome.is_failure());
    let outcome = failure.or_else(|| outcomes.first()).copied();
    outcome
        .cloned()
        .unwrap_or_else(|| Answer::status(500, "the rule has no backend"))
}

fn judged(routes: &RouteSet, explanation: &Explanation) -> Vec<Judged> {
    let mut judged: Vec<Judged> = explanation
        .tried()
        .iter()
        .filter_map(|tried| {
            let rule = routes.rules().get(tried.rule as usize)?;
            let wins = tried.outcome == Outcome::Won;
            Some(Judged {
                rule: describe::rule_name(rule),
                matched: tried.matched,
                wins,
                conditions: describe::one_match(rule, tried.matched),
                reason: (!wins).then(|| tried.outcome.to_string()),
            })
        })
        .collect();
    judged.sort_by_key(|one| !one.wins);
    judged
}
