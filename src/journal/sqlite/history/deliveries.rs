//! Lists of deliveries.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use uuid::Uuid;

use crate::journal::JournalError;
use crate::journal::history::{DeliveryFilter, DeliverySummary, Page, Paging};
use crate::journal::sqlite::delivery::read_progress;
use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::verdict::DeliveryState;

use super::{Collecting, Place};

/// What a summary is read from.
pub(super) const SUMMARY: &str =
    "SELECT d.id, d.state, d.reason, d.attempts, d.accepted_ms, d.due_ms,
            d.tried_ms, d.unmended_ms,
            d.updated_ms, d.trigger_id, d.replayed_by, e.event_id, e.listener_namespace,
            e.listener_name
     FROM deliveries d JOIN events e ON e.id = d.event";

pub(super) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    page: &Paging,
) -> Result<Page<DeliverySummary>, JournalError> {
    let place = Place::of(page)?;
    // Dead ones are few among many, and have an index by when they died.
    let only_dead = filter.states == [DeliveryState::Dead];
    let (time, question) = match only_dead {
        true => (
            "d.updated_ms",
            format!(
                "{SUMMARY} WHERE d.state = 'dead' AND (d.updated_ms, d.id) < (?, ?)
                 AND d.updated_ms >= ? AND d.updated_ms < ?"
            ),
        ),
        false => (
            "d.id",
            format!(
                "{SUMMARY} WHERE (d.id, d.id) < (?, ?) AND d.accepted_ms >= ?
                 AND d.accepted_ms < ?"
            ),
        ),
    };
    let question = format!("{question} ORDER BY {time} DESC, d.id DESC");
    let mut statement = connection.prepare_cached(&question)?;
    let from_ms = filter.from_ms.unwrap_or(i64::MIN);
    let until_ms = filter.until_ms.unwrap_or(i64::MAX);
    let values = [place.0, place.1, from_ms, until_ms].map(Value::from);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut collecting = Collecting::new(page);
    while let Some(row) = rows.next()? {
        if collecting.is_over() {
            return Ok(collecting.page(true));
        }
        let delivery = summary(row)?;
        let id = delivery.id.0;
        let place = match only_dead {
            true => Place(delivery.updated_ms, id),
            false => Place(id, id),
        };
        let is_wanted = is_wanted(filter, &delivery);
        collecting.look(place, is_wanted.then_some(delivery));
    }
    Ok(collecting.page(false))
}

fn is_wanted(filter: &DeliveryFilter, delivery: &DeliverySummary) -> bool {
    let fits = |wanted: &Option<ListenerId>| {
        let wanted = wanted.as_ref();
        wanted.is_none_or(|wanted| *wanted == delivery.listener)
    };
    let trigger = filter.trigger.as_ref();
    fits(&filter.listener)
        && trigger.is_none_or(|trigger| *trigger == delivery.trigger)
        && (filter.states.is_empty() || filter.states.contains(&delivery.progress.state))
        && (filter.reason.is_none() || filter.reason == delivery.progress.reason)
        && !(filter.unreplayed && delivery.replayed_by.is_some())
}

/// The deliveries of a row of `events`.
pub(super) fn of_row(
    connection: &Connection,
    event: i64,
) -> Result<Vec<DeliverySummary>, JournalError> {
    let question = format!("{SUMMARY} WHERE d.event = ?1 ORDER BY d.id");
    let mut statement = connection.prepare_cached(&question)?;
    let mut rows = statement.query(params![event])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(row)?);
    }
    Ok(found)
}

pub(super) fn summary(row: &Row<'_>) -> Result<DeliverySummary, JournalError> {
    let id: i64 = row.get("id")?;
    let replayed_by: Option<[u8; 16]> = row.get("replayed_by")?;
    Ok(DeliverySummary {
        id: DeliveryId(id),
        event: EventId(Uuid::from_bytes(row.get("event_id")?)),
        listener: ListenerId {
            namespace: row.get("listener_namespace")?,
            name: row.get("listener_name")?,
        },
        trigger: TriggerId(row.get("trigger_id")?),
        progress: read_progress(id, row)?,
        updated_ms: row.get("updated_ms")?,
        replayed_by: replayed_by.map(|id| EventId(Uuid::from_bytes(id))),
    })
}
