//! The admin port: what is in force, what is waiting, and `/api/v1`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Entry, Listener};
use crate::journal::Journal;
use crate::journal::history::History;
use crate::telemetry::Metrics;
use crate::worker::Worker;

use super::api::{self, ApiError, respond};
use super::guard::Guard;

/// What the admin port tells of.
pub struct Admin {
    /// What is in force.
    pub catalog: Arc<Catalog>,
    /// What is waiting.
    pub journal: Arc<dyn Journal>,
    /// What has been.
    pub history: Arc<dyn History>,
    /// Who performs events once more.
    pub worker: Arc<Worker>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// The routes of the admin port, behind `guard`.
pub fn admin_router(admin: Arc<Admin>, guard: Guard) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .merge(api::routes())
        .fallback(api::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .with_state(admin)
        .layer(middleware::from_fn_with_state(guard, guarded))
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(status) => refusal(status).into_response(),
    }
}

fn refusal(status: StatusCode) -> ApiError {
    let (code, message) = match status {
        StatusCode::UNAUTHORIZED => (
            "unauthorized",
            "this port needs the bearer token of admin.tokenFile",
        ),
        _ => (
            "forbidden",
            "this port answers names of this machine alone, and no pages of other origins",
        ),
    };
    ApiError::new(status, code, message)
}

/// Listeners with their triggers, counts of deliveries, and what is wrong with
/// the configuration.
async fn status(State(admin): State<Arc<Admin>>) -> Response {
    let counts = match admin.journal.counts().await {
        Ok(counts) => counts,
        Err(error) => return ApiError::from(error).into_response(),
    };
    let snapshot = admin.catalog.snapshot();
    let mut listeners: Vec<&Arc<Listener>> = snapshot.listeners().collect();
    listeners.sort_by(|a, b| a.id.cmp(&b.id));
    let deliveries = counts.deliveries.iter();
    let deliveries: serde_json::Map<String, Value> = deliveries
        .map(|(state, count)| (state.as_str().to_owned(), (*count).into()))
        .collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listeners": listeners.into_iter().map(|l| listener(l)).collect::<Vec<_>>(),
        "deliveries": deliveries,
        "deferred": counts.deferred,
        "givenUp": counts.given_up,
        "mistakes": *admin.catalog.mistakes(),
    });
    respond(StatusCode::OK, &body)
}

fn listener(listener: &Listener) -> Value {
    let triggers = listener.triggers.iter().map(|entry| match entry {
        Entry::Ready(trigger) => json!({
            "id": trigger.id(),
            "ready": true,
            "revision": trigger.revision,
        }),
        Entry::Broken(broken) => json!({
            "id": broken.id,
            "ready": false,
            "problems": broken.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    });
    json!({
        "namespace": listener.id.namespace,
        "name": listener.id.name,
        "path": format!("/{}", listener.id),
        "triggers": triggers.collect::<Vec<_>>(),
    })
}
