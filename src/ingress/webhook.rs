//! The admission webhook: questions of an API server, and their answers.
//!
//! In: AdmissionReviews. Out: AdmissionReviews. What they say is decided in
//! `admission`; here is what may come in, and how much of it.

use std::sync::Arc;

use crate::admission::review::{self, Endpoint};
use crate::model::json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;

use super::body;
use super::budget::Budget;
use super::limits::{Limits, REVIEW_BYTES, REVIEW_MEMORY, REVIEWS_IN_FLIGHT};
use super::respond;

/// What the handlers share.
struct Webhook {
    limits: Limits,
    budget: Budget,
}

/// The routes of the webhook's port.
pub fn webhook_router(limits: Limits) -> Router {
    let webhook = Arc::new(Webhook {
        limits: Limits {
            body: REVIEW_BYTES,
            ..limits
        },
        budget: Budget::new(REVIEWS_IN_FLIGHT),
    });
    Router::new()
        .route("/defaulting", post(defaulting))
        .route("/resource-validation", post(validation))
        .with_state(webhook)
}

async fn defaulting(State(webhook): State<Arc<Webhook>>, request: Request) -> Response<Body> {
    webhook.answer(Endpoint::Defaulting, request).await
}

async fn validation(State(webhook): State<Arc<Webhook>>, request: Request) -> Response<Body> {
    webhook.answer(Endpoint::Validation, request).await
}

impl Webhook {
    async fn answer(&self, endpoint: Endpoint, request: Request) -> Response<Body> {
        let (head, body) = request.into_parts();
        let received = body::read(&head.headers, body, &self.limits, &self.budget).await;
        let received = match received {
            Ok(received) => received,
            Err(reason) => return plain(respond::status(reason), reason.code()),
        };
        let review = match json::read(&received.bytes, REVIEW_MEMORY) {
            Ok(read) => read.value,
            Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        drop(received);
        // A large object takes milliseconds.
        let decided = tokio::task::spawn_blocking(move || review::answer(endpoint, &review));
        match decided.await {
            Ok(Ok(answer)) => {
                let json = [(CONTENT_TYPE, "application/json")];
                (json, answer.to_string()).into_response()
            }
            Ok(Err(error)) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    (status, format!("{text}\n")).into_response()
}
