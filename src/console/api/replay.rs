//! Performing events once more: one, some, or all that a filter means.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::console::admin::Admin;
use crate::journal::history::Paging;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::verdict::DeliveryState;
use crate::worker::replay::{Order, Outcome, Replayed};

use super::body;
use super::error::{ApiError, respond};
use super::query::{EVENTS, Query};
use super::show::event_id;

/// Events that one request replays, where nobody says, and at most.
const AT_ONCE: usize = 20;
const MOST: usize = 100;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct OneOrder {
    as_recorded: bool,
    dry_run: bool,
    triggers: Vec<TriggerId>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ManyOrder {
    as_recorded: bool,
    dry_run: bool,
    /// Events by id.
    events: Vec<EventId>,
    /// Deliveries by number: their triggers alone.
    deliveries: Vec<DeliveryId>,
    /// Events by what they are.
    filter: Option<Map<String, Value>>,
    /// Dead letters by what they are: their triggers alone.
    dead_letters: Option<Map<String, Value>>,
    /// Whether those are meant too that were replayed before.
    again: bool,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Events to be replayed, with those of their triggers that are meant, and
/// where the rest begins.
struct Selection {
    events: Vec<(EventId, Vec<TriggerId>)>,
    /// Events that a filter means and that were replayed before.
    skipped: usize,
    next: Option<String>,
}

/// Replays one event.
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let event = event_id(&id)?;
    let order: OneOrder = body::read(request).await?;
    let order = Order {
        event,
        triggers: order.triggers,
        as_recorded: order.as_recorded,
        dry_run: order.dry_run,
    };
    let replayed = admin.worker.replay(&order).await?;
    Ok(respond(StatusCode::OK, &view(event, &replayed)))
}

/// Replays several events, one after the other. Whoever breaks off has
/// replayed those before.
pub(super) async fn many(
    State(admin): State<Arc<Admin>>,
    request: Request,
) -> Result<Response, ApiError> {
    let order: ManyOrder = body::read(request).await?;
    let (as_recorded, dry_run) = (order.as_recorded, order.dry_run);
    let selection = select(&admin, order).await?;
    let mut results = Vec::with_capacity(selection.events.len());
    for (event, triggers) in selection.events {
        let order = Order {
            event,
            triggers,
            as_recorded,
            dry_run,
        };
        results.push(match admin.worker.replay(&order).await {
            Ok(replayed) => view(event, &replayed),
            // One that cannot be replayed does not keep the others from it.
            Err(error) => json!({ "event": event, "error": ApiError::from(error).as_value() }),
        });
    }
    let body = json!({
        "asRecorded": as_recorded,
        "dryRun": dry_run,
        "results": results,
        "skipped": selection.skipped,
        "next": selection.next,
    });
    Ok(respond(StatusCode::OK, &body))
}

async fn select(admin: &Admin, order: ManyOrder) -> Result<Selection, ApiError> {
    let ways = [
        !order.events.is_empty(),
        !order.deliveries.is_empty(),
        order.filter.is_some(),
        order.dead_letters.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() != 1 {
        let message =
            "say what is meant by exactly one of events, deliveries, filter and deadLetters";
        return Err(ApiError::parameter("the body", message));
    }
    let limit = order.limit.unwrap_or(AT_ONCE);
    if !(1..=MOST).contains(&limit) {
        let message = format!("`{limit}` is no number from 1 to {MOST}");
        return Err(ApiError::parameter("limit", message));
    }
    let paging = Paging {
        limit,
        cursor: order.cursor,
    };
    if let Some(filter) = order.filter {
        return by_filter(admin, members("filter", filter)?, paging, order.again).await;
    }
    if let Some(filter) = order.dead_letters {
        return dead_letters(admin, members("deadLetters", filter)?, paging, order.again).await;
    }
    for (name, count) in [
        ("events", order.events.len()),
        ("deliveries", order.deliveries.len()),
    ] {
        if count > MOST {
            let message = format!("{count} at once are too many; give {MOST} at most");
            return Err(ApiError::parameter(name, message));
        }
    }
    let mut events: Vec<_> = order
        .events
        .into_iter()
        .map(|id| (id, Vec::new()))
        .collect();
    for id in order.deliveries {
        let found = admin.history.delivery(id).await?;
        let (delivery, _) = found.ok_or_else(|| ApiError::not_found(format!("delivery {id}")))?;
        events.push((delivery.event, vec![delivery.trigger]));
    }
    Ok(Selection {
        events,
        skipped: 0,
        next: None,
    })
}

/// A filter's members as the parameters of lists are read.
fn members(name: &str, filter: Map<String, Value>) -> Result<Query, ApiError> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    };
    let members = filter.into_iter().map(|(key, value)| {
        let value = text(value);
        let value = value.ok_or_else(|| {
            ApiError::parameter(&format!("{name}.{key}"), "must be text, or a list of texts")
        });
        Ok((key, value?))
    });
    Ok(Query::of_object(members.collect::<Result<_, ApiError>>()?))
}

async fn by_filter(
    admin: &Admin,
    mut query: Query,
    paging: Paging,
    again: bool,
) -> Result<Selection, ApiError> {
    let filter = query.events()?;
    query.end(EVENTS)?;
    let replays_are_meant = filter.replay_of.is_some();
    let page = admin.history.events(filter, paging).await?;
    let (mut events, mut skipped) = (Vec::<(EventId, Vec<TriggerId>)>::new(), 0);
    for event in page.items {
        let is_replayed = event.deliveries.iter().any(|d| d.replayed_by.is_some());
        let is_replay = event.replay_of.is_some() && !replays_are_meant;
        if is_replay || is_replayed && !again {
            skipped += 1;
        } else if !events.iter().any(|(id, _)| *id == event.id) {
            events.push((event.id, Vec::new()));
        }
    }
    Ok(Selection {
        events,
        skipped,
        next: page.next,
    })
}

async fn dead_letters(
    admin: &Admin,
    mut query: Query,
    paging: Paging,
    again: bool,
) -> Result<Selection, ApiError> {
    let mut filter = query.deliveries()?;
    query.end("listener, trigger, reason, from and until")?;
    filter.states = vec![DeliveryState::Dead];
    filter.unreplayed = !again;
    let page = admin.history.deliveries(filter, paging).await?;
    let mut events = BTreeMap::<EventId, Vec<TriggerId>>::new();
    for delivery in page.items {
        let triggers = events.entry(delivery.event).or_default();
        if !triggers.contains(&delivery.trigger) {
            triggers.push(delivery.trigger);
        }
    }
    Ok(Selection {
        events: events.into_iter().collect(),
        skipped: 0,
        next: page.next,
    })
}

fn view(event: EventId, replayed: &Replayed) -> Value {
    json!({
        "event": event,
        "replay": replayed.event,
        "waitsAgain": replayed.waits_again,
        "triggers": replayed.triggers.iter().map(outcome).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "trigger": outcome.trigger,
        "fires": outcome.fires,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "recorded": outcome.is_recorded,
        "delivery": outcome.delivery,
    })
}
