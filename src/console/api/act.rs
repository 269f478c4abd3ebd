//! What is done to one event or delivery.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::clock::unix_ms;
use crate::console::admin::Admin;
use crate::journal::history::{Change, Erasure};
use crate::model::ids::DeliveryId;
use crate::telemetry::happening::{EventErased, Happening};

use super::body;
use super::error::{ApiError, respond};
use super::show::{delivery_id, event_id};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct EraseOrder {
    /// Deliveries that are under way are cancelled for it.
    force: bool,
}

/// An object without members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Removes the payload of an event.
pub(super) async fn erase(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = event_id(&id)?;
    let order: EraseOrder = body::read(request).await?;
    match admin.history.erase(id, order.force, unix_ms()).await? {
        Erasure::Unknown => Err(ApiError::not_found(format!("event {id}"))),
        Erasure::UnderWay {
            deliveries,
            waiting,
        } => {
            let numbers: Vec<String> = deliveries.iter().map(DeliveryId::to_string).collect();
            let mut what = Vec::new();
            if !numbers.is_empty() {
                what.push(format!("deliveries {} are under way", numbers.join(", ")));
            }
            if waiting > 0 {
                what.push("it waits for somebody to decide on it".to_owned());
            }
            let what = what.join(", and ");
            let message = format!("{what}; erase it by force to cancel that");
            Err(ApiError::conflict("under_way", message))
        }
        Erasure::Erased {
            requests,
            cancelled,
            waiting,
        } => {
            let event = id;
            EventErased {
                event,
                cancelled: cancelled.len(),
            }
            .emit(&admin.metrics);
            let body = json!({ "event": id, "requests": requests, "cancelled": cancelled,
                               "waiting": waiting });
            Ok(respond(StatusCode::OK, &body))
        }
    }
}

/// Gives a delivery up, or puts a dead one away.
pub(super) async fn discard(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = delivery_id(&id)?;
    let Nothing {} = body::read(request).await?;
    let change = admin.history.discard(id, unix_ms()).await?;
    told(id, change, "what is done or being done cannot be discarded")
}

/// Lets a delivery be tried at once.
pub(super) async fn retry(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = delivery_id(&id)?;
    let Nothing {} = body::read(request).await?;
    let change = admin.history.retry_now(id, unix_ms()).await?;
    admin.worker.look_for_due();
    told(
        id,
        change,
        "only one that waits for its next attempt can be tried at once; replay one that is dead",
    )
}

fn told(id: DeliveryId, change: Change, hint: &str) -> Result<Response, ApiError> {
    match change {
        Change::Made => Ok(respond(StatusCode::OK, &json!({ "delivery": id }))),
        Change::Unknown => Err(ApiError::not_found(format!("delivery {id}"))),
        Change::NotNow(state) => {
            let message = format!("delivery {id} is {state}; {hint}");
            Err(ApiError::conflict("wrong_state", message))
        }
    }
}
