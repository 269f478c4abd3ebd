//! What a request means: which listener it is for, what its triggers make of
//! it, and what its sender is told once that is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::routing::any;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::catalog::{Catalog, Listener};
use crate::clock::unix_ms;
use crate::model::event::RawEvent;
use crate::model::headers::Headers;
use crate::model::ids::{EventId, ListenerId};
use crate::model::secret::Secrets;
use crate::model::verdict::Reason;
use crate::pipeline::{Acceptance, Accepted, Circumstances, Gate, judge};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{Happening, JournalFailed, RequestAnswered, TriggerJudged};
use crate::worker::Worker;
use crate::worker::lifecycle::Stage;

use super::body::{self, Received};
use super::budget::{Budget, Share};
use super::flood::Floods;
use super::limits::{JUDGED_ASIDE_AT_ONCE, JUDGED_ASIDE_FROM, Limits};
use super::respond::{answer, journal_reason, refusal};
use super::route::{Target, hosted, request_url, target};

/// Answers requests.
pub struct Ingress {
    parts: Parts,
    floods: Floods,
    aside: Semaphore,
    /// Whether it is about to stop.
    leaving: AtomicBool,
}

/// Everything that answering a request takes.
pub struct Parts {
    /// The bounds.
    pub limits: Limits,
    /// What is in force.
    pub catalog: Arc<Catalog>,
    /// The secrets that are known.
    pub secrets: Arc<dyn Secrets>,
    /// The accept lane.
    pub gate: Arc<Gate>,
    /// Performs what is accepted.
    pub worker: Arc<Worker>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Bytes in memory.
    pub budget: Budget,
    /// `namespace/name` of the listener under `/`.
    pub default_listener: Option<String>,
    /// Owns the tasks that finish what a sender who hangs up has begun.
    pub tasks: TaskTracker,
}

impl Ingress {
    /// An ingress with these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            floods: Floods::new(parts.limits.refusals_per_second),
            aside: Semaphore::new(JUDGED_ASIDE_AT_ONCE),
            leaving: AtomicBool::new(false),
            parts,
        })
    }

    /// It is about to stop. From now on every answer ends its connection, so
    /// that senders who keep theirs open come back to another gateway before
    /// this one closes it under a request.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }
}

/// Where a request has come in.
#[derive(Clone)]
struct Door {
    ingress: Arc<Ingress>,
    /// `namespace/name` of the listener whose door it is; nothing where the
    /// request says for whom it is.
    listener: Option<Arc<str>>,
}

/// The routes of the ingress: `/live`, and everything else is for a listener.
pub fn router(ingress: Arc<Ingress>) -> Router {
    routes(Door {
        ingress,
        listener: None,
    })
}

/// The routes of a listener's own port: `/live`, and every other path is the
/// event's.
pub fn listener_router(ingress: Arc<Ingress>, listener: &ListenerId) -> Router {
    routes(Door {
        ingress,
        listener: Some(listener.to_string().into()),
    })
}

fn routes(door: Door) -> Router {
    Router::new()
        .route("/live", any(|| async { "ok" }))
        .fallback(any(handle))
        .with_state(door)
}

/// One request while it is answered.
struct Exchange {
    began: Instant,
    fresh: Uuid,
    bytes: usize,
    /// Whether some trigger knows who sent it.
    is_known: bool,
}

async fn handle(State(door): State<Door>, request: Request) -> Response<Body> {
    let ingress = door.ingress;
    let own = door.listener.as_deref();
    let mut exchange = Exchange {
        began: Instant::now(),
        fresh: Uuid::now_v7(),
        bytes: 0,
        is_known: false,
    };
    let fresh = EventId(exchange.fresh);
    let limit = ingress.parts.limits.total_time;
    let answered = timeout(limit, ingress.exchange(request, own, &mut exchange)).await;
    let (mut response, event, listener, reason) = match answered {
        Ok(Ok(answered)) => answered,
        Ok(Err((reason, listener))) => (refusal(fresh, reason), fresh, listener, Some(reason)),
        Err(_) => {
            let reason = Reason::RequestTimeout;
            (refusal(fresh, reason), fresh, None, Some(reason))
        }
    };
    if ingress.leaving.load(Ordering::Acquire) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    let happening = RequestAnswered {
        event,
        listener: listener.as_ref().map(|listener| &listener.id),
        status: response.status().as_u16(),
        reason,
        bytes: exchange.bytes,
        took: exchange.began.elapsed(),
    };
    happening.emit(&ingress.parts.metrics);
    if let Some(listener) = listener.as_ref().filter(|_| exchange.is_known) {
        ingress.tell(listener, event, response.status());
    }
    response
}

type Answered = (
    Response<Body>,
    EventId,
    Option<Arc<Listener>>,
    Option<Reason>,
);
type Refused = (Reason, Option<Arc<Listener>>);

impl Ingress {
    /// Tells whom the listener names of a request of somebody who is known.
    fn tell(&self, listener: &Listener, event: EventId, status: StatusCode) {
        let stage = match status {
            StatusCode::ACCEPTED => Stage::Done,
            status if status.is_server_error() => Stage::Failed,
            _ => return,
        };
        let lifecycle = self.parts.worker.lifecycle();
        lifecycle.tell(listener, event, Stage::Started, None);
        lifecycle.tell(listener, event, stage, None);
    }

    async fn exchange(
        self: &Arc<Self>,
        request: Request,
        own: Option<&str>,
        exchange: &mut Exchange,
    ) -> Result<Answered, Refused> {
        let (head, body) = request.into_parts();
        let found = self.listener(&head, own).map_err(|reason| (reason, None));
        let (listener, rest) = found?;
        let refuse = |reason| (reason, Some(Arc::clone(&listener)));
        if head.method != Method::POST && !listener.manner.answers_as_tekton {
            return Err(refuse(Reason::MethodNotAllowed));
        }
        let received =
            body::read(&head.headers, body, &self.parts.limits, &self.parts.budget).await;
        let Received { bytes, share } = received.map_err(refuse)?;
        exchange.bytes = bytes.len();
        let raw = RawEvent {
            method: head.method.as_str().to_owned(),
            url: request_url(&rest),
            headers: headers(&head.headers),
            body: bytes,
            rule: listener.manner.rule,
        };
        // A task of its own: a sender who hangs up between the commit and the
        // hand-over must not leave a delivery that nobody performs.
        let (ingress, for_task) = (Arc::clone(self), Arc::clone(&listener));
        let fresh = exchange.fresh;
        let admitted = self
            .parts
            .tasks
            .spawn(async move { ingress.admit(for_task, raw, fresh, share).await })
            .await
            .unwrap_or(Err(Reason::Internal));
        // Only what somebody wants, or may come to want, is written.
        exchange.is_known = matches!(admitted, Err(Reason::JournalUnavailable));
        let accepted = admitted.map_err(refuse)?;
        exchange.is_known = accepted.judgements.iter().any(|one| one.verified);
        let (response, reason) = answer(&listener, &accepted);
        let flooded = response.status() == axum::http::StatusCode::UNAUTHORIZED
            && self
                .floods
                .refused(&listener.id.to_string(), Instant::now());
        if flooded {
            return Err(refuse(Reason::Flood));
        }
        Ok((response, accepted.event, Some(listener), reason))
    }

    /// The listener that a request is for, and what of its path is the
    /// event's. `own` is the one whose port it has come to.
    fn listener(
        &self,
        head: &request::Parts,
        own: Option<&str>,
    ) -> Result<(Arc<Listener>, String), Reason> {
        let snapshot = self.parts.catalog.snapshot();
        let asked = head.uri.path_and_query().map_or("", |asked| asked.as_str());
        let default = self.parts.default_listener.as_deref();
        let by_host = || snapshot.listener(&hosted(&head.headers)?);
        let (listener, rest) = match (own, target(asked)) {
            (Some(own), _) => (snapshot.listener(own), asked),
            (None, Target::Listener { path, rest }) => match snapshot.listener(path) {
                Some(listener) => (Some(listener), rest),
                None => (by_host(), asked),
            },
            (None, Target::Root) => {
                let root = || match default {
                    Some(path) => snapshot.listener(path),
                    None => snapshot.only(),
                };
                (by_host().or_else(root), asked)
            }
            (None, Target::Nowhere) => match by_host() {
                Some(listener) => (Some(listener), asked),
                None => return Err(Reason::NotFound),
            },
        };
        match listener {
            Some(listener) => Ok((Arc::clone(listener), rest.to_owned())),
            None if snapshot.is_incomplete() => Err(Reason::ConfigUnread),
            None => Err(Reason::NotFound),
        }
    }

    /// Judges an event, makes durable what is wanted of it, and hands that to
    /// the worker.
    async fn admit(
        self: Arc<Self>,
        listener: Arc<Listener>,
        raw: RawEvent,
        fresh: Uuid,
        mut share: Share,
    ) -> Result<Accepted, Reason> {
        let mut accepted = self.judge(&listener, raw, fresh).await?;
        // What the body has become takes up memory as long as the body does.
        let bytes = accepted.bytes_in_memory();
        let tight = !self.parts.budget.extend(&mut share, bytes) || self.parts.budget.is_tight();
        if tight {
            accepted.save_memory();
        }
        let admitted = self
            .parts
            .gate
            .admit(&mut accepted, &listener, Acceptance::new(unix_ms()))
            .await;
        let held = admitted.map_err(|error| {
            let what = "an accepted event";
            let error = &error;
            JournalFailed { what, error }.emit(&self.parts.metrics);
            journal_reason(error)
        })?;
        for judgement in &accepted.judgements {
            let happening = TriggerJudged {
                event: accepted.event,
                trigger: &judgement.trigger,
                verdict: judgement.verdict,
                reason: judgement.reason,
                detail: judgement.findings.last().and_then(|f| f.detail.as_deref()),
                duplicate: judgement.earlier().is_some(),
            };
            happening.emit(&self.parts.metrics);
        }
        if accepted.awaits_interceptor() {
            self.parts.worker.ask_soon();
        }
        if !held.is_empty() {
            self.parts.worker.take(held, share, tight);
        }
        Ok(accepted)
    }

    /// Judges an event, a large one off the threads that serve connections,
    /// and few of those at once.
    async fn judge(
        &self,
        listener: &Arc<Listener>,
        raw: RawEvent,
        fresh: Uuid,
    ) -> Result<Accepted, Reason> {
        let explain = TriggerJudged::is_explained();
        if raw.body.len() < JUDGED_ASIDE_FROM {
            let circumstances = Circumstances {
                secrets: &*self.parts.secrets,
                fresh,
                received_ms: unix_ms(),
                explain,
                proven: &[],
            };
            return Ok(judge(listener, raw, &circumstances));
        }
        let slot = self.aside.acquire().await;
        let (listener, secrets) = (Arc::clone(listener), Arc::clone(&self.parts.secrets));
        let judged = tokio::task::spawn_blocking(move || {
            let circumstances = Circumstances {
                secrets: &*secrets,
                fresh,
                received_ms: unix_ms(),
                explain,
                proven: &[],
            };
            judge(&listener, raw, &circumstances)
        });
        let judged = judged.await.map_err(|_| Reason::Internal);
        drop(slot);
        judged
    }
}

/// The headers as the model has them. Bytes that are no UTF-8 are replaced:
/// nothing that anybody compares has such.
fn headers(map: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in map {
        // Go's server takes it out of the map, and expressions rely on that.
        if name != axum::http::header::HOST {
            headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
    }
    headers
}
