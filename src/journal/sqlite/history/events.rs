//! Lists of events.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use uuid::Uuid;

use crate::journal::JournalError;
use crate::journal::history::{DeliverySummary, EventFilter, EventSummary, Page, Paging, SenderId};
use crate::model::ids::{EventId, ListenerId};

use super::{Collecting, Place, deliveries};

/// Columns that stand before the body: others are slow to get at.
const COLUMNS: &str = "id, event_id, replay_of, listener_namespace, listener_name, received_ms";

pub(super) fn list(
    connection: &Connection,
    filter: &EventFilter,
    page: &Paging,
) -> Result<Page<EventSummary>, JournalError> {
    let Place(received_ms, id) = Place::of(page)?;
    let mut question = format!("SELECT {COLUMNS} FROM events WHERE (received_ms, id) < (?, ?)");
    let mut values = vec![Value::from(received_ms), Value::from(id)];
    let mut also = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            question.push_str(" AND ");
            question.push_str(condition);
            values.push(value);
        }
    };
    also("received_ms >= ?", filter.from_ms.map(Value::from));
    also("received_ms < ?", filter.until_ms.map(Value::from));
    also("sender_id = ?", filter.delivery_id.clone().map(Value::from));
    let replay_of = filter.replay_of.map(|id| id.0.as_bytes().to_vec());
    also("replay_of = ?", replay_of.map(Value::from));
    question.push_str(" ORDER BY received_ms DESC, id DESC");
    let mut statement = connection.prepare_cached(&question)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut collecting = Collecting::new(page);
    while let Some(row) = rows.next()? {
        if collecting.is_over() {
            return Ok(collecting.page(true));
        }
        let place = Place(row.get("received_ms")?, row.get("id")?);
        collecting.look(place, wanted(connection, row, filter)?);
    }
    Ok(collecting.page(false))
}

/// The summary of a row, where it is wanted.
fn wanted(
    connection: &Connection,
    row: &Row<'_>,
    filter: &EventFilter,
) -> Result<Option<EventSummary>, JournalError> {
    let of_listener = |listener: &ListenerId| *listener == listener_of_row(row);
    if !filter.listener.as_ref().is_none_or(of_listener) {
        return Ok(None);
    }
    let summary = summary(connection, row)?;
    let fits = |delivery: &DeliverySummary| {
        let trigger = filter.trigger.as_ref();
        trigger.is_none_or(|trigger| *trigger == delivery.trigger)
            && (filter.states.is_empty() || filter.states.contains(&delivery.progress.state))
            && (filter.reason.is_none() || filter.reason == delivery.progress.reason)
    };
    let sender = summary.sender.as_ref().map(|sender| &sender.sender);
    let is_wanted = (!filter.asks_for_deliveries() || summary.deliveries.iter().any(fits))
        && (filter.sender.is_none() || filter.sender.as_ref() == sender);
    Ok(is_wanted.then_some(summary))
}

fn listener_of_row(row: &Row<'_>) -> ListenerId {
    ListenerId {
        namespace: row.get("listener_namespace").unwrap_or_default(),
        name: row.get("listener_name").unwrap_or_default(),
    }
}

/// What a list says of a row of `events`.
pub(super) fn summary(
    connection: &Connection,
    row: &Row<'_>,
) -> Result<EventSummary, JournalError> {
    let number: i64 = row.get("id")?;
    let (erased_ms, sender) = connection
        .prepare_cached("SELECT erased_ms, sender, sender_id FROM events WHERE id = ?1")?
        .query_row(params![number], |row| {
            let sender: (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            let sender = sender.0.zip(sender.1);
            let sender = sender.map(|(sender, delivery)| SenderId { sender, delivery });
            Ok((row.get(0)?, sender))
        })?;
    let replay_of: Option<[u8; 16]> = row.get("replay_of")?;
    Ok(EventSummary {
        id: EventId(Uuid::from_bytes(row.get("event_id")?)),
        replay_of: replay_of.map(|id| EventId(Uuid::from_bytes(id))),
        listener: listener_of_row(row),
        received_ms: row.get("received_ms")?,
        sender,
        erased_ms,
        deliveries: deliveries::of_row(connection, number)?,
    })
}
