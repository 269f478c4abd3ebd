//! The admin port: what is in force and what is waiting.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Entry, Listener};
use crate::journal::Journal;

use super::guard::Guard;

/// What the admin port tells of.
pub struct Admin {
    /// What is in force.
    pub catalog: Arc<Catalog>,
    /// What is waiting.
    pub journal: Arc<dyn Journal>,
}

/// The routes of the admin port, behind `guard`.
pub fn admin_router(admin: Arc<Admin>, guard: Guard) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .with_state(admin)
        .layer(middleware::from_fn_with_state(guard, guarded))
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(status) => status.into_response(),
    }
}

/// Listeners with their triggers, counts of deliveries, and what is wrong with
/// the configuration.
async fn status(State(admin): State<Arc<Admin>>) -> Response {
    let counts = match admin.journal.counts().await {
        Ok(counts) => counts,
        Err(error) => {
            let body = json!({ "errorMessage": error.to_string() });
            return respond(StatusCode::SERVICE_UNAVAILABLE, &body);
        }
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

fn respond(status: StatusCode, body: &Value) -> Response {
    let json = [(CONTENT_TYPE, "application/json")];
    (status, json, format!("{body}\n")).into_response()
}
