//! One event or delivery, with all that is recorded of it.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::console::admin::Admin;
use crate::journal::history::{EventFilter, Paging};
use crate::model::ids::{DeliveryId, EventId};

use super::error::{ApiError, respond};
use super::query::{self, Query};
use super::view::{self, Room};

/// Replays that are shown with an event.
const REPLAYS: usize = 50;

/// All requests of an event; what waits under its id; what replays it.
pub(super) async fn event(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let id = event_id(&id)?;
    let mut query = Query::new(raw.as_deref());
    let with_body = query.switch("body")?;
    query.end("body")?;
    let record = admin.history.event(id).await?;
    let waiting = waiting_under(&admin, id).await?;
    if record.is_none() && waiting.is_empty() {
        return Err(ApiError::not_found(format!("event {id}")));
    }
    let replays = EventFilter {
        replay_of: Some(id),
        ..EventFilter::default()
    };
    let paging = Paging {
        limit: REPLAYS,
        cursor: None,
    };
    let replays = admin.history.events(replays, paging).await?;
    let mut room = Room::new();
    let requests = record.iter().flat_map(|record| &record.requests);
    let requests = requests.map(|request| view::request(request, with_body, &mut room));
    let body = json!({
        "id": id,
        "requests": requests.collect::<Vec<_>>(),
        "waiting": waiting,
        "replays": replays.items.iter().map(|replay| replay.id).collect::<Vec<_>>(),
    });
    Ok(respond(StatusCode::OK, &body))
}

async fn waiting_under(admin: &Admin, id: EventId) -> Result<Vec<Value>, ApiError> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let paging = Paging { limit: 500, cursor };
        let page = admin.history.waiting(paging).await?;
        let of_event = page.items.iter().filter(|waiting| waiting.event == id);
        found.extend(of_event.map(view::waiting));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

/// One delivery.
pub(super) async fn delivery(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = delivery_id(&id)?;
    let found = admin.history.delivery(id).await?;
    let (summary, record) = found.ok_or_else(|| ApiError::not_found(format!("delivery {id}")))?;
    let body = view::delivery_in_full(&summary, &record, &mut Room::new());
    Ok(respond(StatusCode::OK, &body))
}

pub(super) fn event_id(text: &str) -> Result<EventId, ApiError> {
    query::event(text).map_err(|message| ApiError::parameter("id", message))
}

pub(super) fn delivery_id(text: &str) -> Result<DeliveryId, ApiError> {
    let id = text.parse().map(DeliveryId);
    id.map_err(|_| ApiError::parameter("id", format!("`{text}` is no number of a delivery")))
}
