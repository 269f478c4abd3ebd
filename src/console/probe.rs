//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::journal::Journal;
use crate::telemetry::Metrics;

/// How long the journal may take to answer before the gateway is not ready.
const JOURNAL_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Content type of the OpenMetrics text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What readiness is made of.
pub struct Health {
    draining: AtomicBool,
    loaded: AtomicBool,
    journal: Arc<dyn Journal>,
    metrics: Arc<Metrics>,
}

impl Health {
    /// A gateway that is not ready yet.
    pub fn new(journal: Arc<dyn Journal>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            draining: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
            journal,
            metrics,
        })
    }

    /// The configuration has been read.
    pub fn loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// The gateway is about to stop.
    pub fn draining(&self) {
        self.draining.store(true, Ordering::Release);
    }
}

/// The routes of the probe port.
pub fn probe_router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let asked = tokio::time::timeout(JOURNAL_ANSWERS_WITHIN, health.journal.check()).await;
    let problem = match asked {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "the journal does not answer within {JOURNAL_ANSWERS_WITHIN:?}"
        )),
    };
    let journal = problem.is_none();
    let config = health.loaded.load(Ordering::Acquire);
    let draining = health.draining.load(Ordering::Acquire);
    let ready = journal && config && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut body = json!({
        "ready": ready,
        "journal": journal,
        "config": config,
        "draining": draining,
        "guarantee": health.journal.guarantee(),
    });
    if let Some(problem) = problem {
        body["problem"] = problem.into();
    }
    let json = [(CONTENT_TYPE, "application/json")];
    (status, json, format!("{body}\n")).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let counted = tokio::time::timeout(JOURNAL_ANSWERS_WITHIN, health.journal.counts()).await;
    let counts = counted.ok().and_then(Result::ok);
    health
        .metrics
        .note_journal(&health.journal.room(), counts.as_ref());
    match health.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
