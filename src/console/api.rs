//! `/api/v1`: what the journal remembers, and what may be done to it.
//!
//! In: requests of people and their tools, past the guard. Out: JSON; errors
//! are `{"error": {"code", "message"}}` with stable codes. Pages are bounded.
//! Headers and bodies are as they were recorded, without credentials; of
//! rendered Secrets only hashes are shown.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::admin::Admin;

mod act;
mod body;
mod error;
mod lists;
mod query;
mod replay;
mod show;
mod view;

pub(super) use error::{ApiError, respond};

/// The routes.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/events", get(lists::events))
        .route("/api/v1/events/{id}", get(show::event))
        .route("/api/v1/events/{id}/erase", post(act::erase))
        .route("/api/v1/events/{id}/replay", post(replay::one))
        .route("/api/v1/deliveries", get(lists::deliveries))
        .route("/api/v1/deliveries/{id}", get(show::delivery))
        .route("/api/v1/deliveries/{id}/discard", post(act::discard))
        .route("/api/v1/deliveries/{id}/retry", post(act::retry))
        .route("/api/v1/dead-letters", get(lists::dead_letters))
        .route("/api/v1/waiting", get(lists::waiting))
        .route("/api/v1/replay", post(replay::many))
}

/// The answer to a path that there is not.
pub(super) async fn unknown() -> ApiError {
    let message = "there is no such path; /api/v1 has events, deliveries, dead-letters, waiting, replay and status";
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// The answer to a method that a path does not take.
pub(super) async fn wrong_method() -> ApiError {
    let message = "this path does not take the method; lists are read with GET, actions are posted";
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}
