//! Events and the deliveries that they cause.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::journal::seal::Seal;
use crate::journal::{JournalError, NewDelivery, NewEvent, Receipt};
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::verdict::DeliveryState;

use super::deferral::sealed;
use super::delivery::{json, state_and_reason};
use super::lanes::lane;

/// What is known of a delivery that came before.
struct Known {
    event: EventId,
    expired: bool,
    delivery: DeliveryId,
}

/// Records an event. Each delivery is looked up under the event's key first.
pub(super) fn insert(
    connection: &Connection,
    seal: &Seal,
    event: &NewEvent,
) -> Result<Vec<Receipt>, JournalError> {
    let mut rows = Rows::new(seal);
    let mut receipts = Vec::with_capacity(event.deliveries.len());
    for delivery in &event.deliveries {
        let known = known(connection, event, delivery)?;
        receipts.push(match known {
            // Its key may be forgotten while the event itself is kept.
            None if event.key.is_some()
                && is_recorded(connection, event.id, &delivery.trigger)? =>
            {
                rows.add(connection, event, delivery, Some(event.id))?
            }
            None => rows.add(connection, event, delivery, None)?,
            // The id stands for the delivery that came first.
            Some(known) if known.expired || delivery.rerun => {
                rows.add(connection, event, delivery, Some(known.event))?
            }
            Some(known) => {
                let (state, reason) = state_and_reason(connection, known.delivery)?;
                Receipt::Duplicate {
                    event: known.event,
                    state: state.unwrap_or(DeliveryState::Done),
                    reason,
                }
            }
        });
    }
    Ok(receipts)
}

/// Whether the trigger has a delivery of this event.
fn is_recorded(
    connection: &Connection,
    event: EventId,
    trigger: &TriggerId,
) -> Result<bool, JournalError> {
    let found = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM events e JOIN deliveries d ON d.event = e.id
                            WHERE e.event_id = ?1 AND d.trigger_id = ?2)",
        )?
        .query_row(params![event.0.as_bytes(), trigger.0], |row| row.get(0))?;
    Ok(found)
}

/// The rows of `events` that one request has caused so far: one for
/// deliveries of the event itself, one for those that are performed again.
struct Rows<'s> {
    first: Option<i64>,
    again: Option<i64>,
    seal: &'s Seal,
}

impl<'s> Rows<'s> {
    fn new(seal: &'s Seal) -> Self {
        Self {
            first: None,
            again: None,
            seal,
        }
    }

    fn add(
        &mut self,
        connection: &Connection,
        event: &NewEvent,
        delivery: &NewDelivery,
        replay_of: Option<EventId>,
    ) -> Result<Receipt, JournalError> {
        let (row, id) = match replay_of {
            None => (&mut self.first, event.id),
            Some(_) => (&mut self.again, event.rerun_id),
        };
        let replay_of = replay_of.or(event.replay_of);
        let row = match *row {
            Some(row) => row,
            None => *row.insert(insert_event(connection, event, id, replay_of)?),
        };
        let delivery_id = insert_delivery(connection, self.seal, event, row, delivery)?;
        if let Some(original) = event.replay_of {
            mark_replayed(connection, original, &delivery.trigger, id)?;
        }
        remember(connection, event, delivery, delivery_id, id)?;
        Ok(Receipt::New {
            id: delivery_id,
            event: id,
        })
    }
}

fn known(
    connection: &Connection,
    event: &NewEvent,
    delivery: &NewDelivery,
) -> Result<Option<Known>, JournalError> {
    let Some((key, _)) = &event.key else {
        return Ok(None);
    };
    let found = connection
        .prepare_cached(
            "SELECT event_id, expires_ms, delivery FROM dedupe WHERE key = ?1 AND trigger_id = ?2",
        )?
        .query_row(params![key.as_str(), delivery.trigger.0], |row| {
            Ok(Known {
                event: EventId(Uuid::from_bytes(row.get(0)?)),
                expired: row.get::<_, i64>(1)? <= event.accepted_ms,
                delivery: DeliveryId(row.get(2)?),
            })
        })
        .optional()?;
    Ok(found)
}

fn insert_event(
    connection: &Connection,
    event: &NewEvent,
    id: EventId,
    replay_of: Option<EventId>,
) -> Result<i64, JournalError> {
    let key = event.key.as_ref().and_then(|(key, _)| key.sender_and_id());
    let (sender, sender_id) = key.unzip();
    connection
        .prepare_cached(
            "INSERT INTO events (event_id, replay_of, listener_namespace, listener_name,
                                 received_ms, method, url, headers, body, proven, sender,
                                 sender_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            id.0.as_bytes(),
            replay_of.map(|id| *id.0.as_bytes()),
            event.listener.namespace,
            event.listener.name,
            event.received_ms,
            event.request.method,
            event.request.url,
            json(&event.request.headers)?,
            &event.request.body[..],
            json(&event.proven)?,
            sender,
            sender_id,
        ])?;
    Ok(connection.last_insert_rowid())
}

fn insert_delivery(
    connection: &Connection,
    seal: &Seal,
    event: &NewEvent,
    row: i64,
    delivery: &NewDelivery,
) -> Result<DeliveryId, JournalError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO revisions (revision, source) VALUES (?1, ?2)")?
        .execute(params![delivery.revision.0, delivery.source])?;
    let headers = delivery.unsealed.as_ref();
    let sealed = headers.map(|headers| sealed(seal, headers)).transpose()?;
    let rendered = delivery.rendered.as_deref();
    connection
        .prepare_cached(
            "INSERT INTO deliveries (event, trigger_id, revision, state, attempts, accepted_ms,
                                     due_ms, updated_ms, extensions, findings, resume,
                                     sealed_headers, params, manifests, lane, as_of)
             VALUES (?1, ?2, ?3, ?13, 0, ?4, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            row,
            delivery.trigger.0,
            delivery.revision.0,
            event.accepted_ms,
            json(&delivery.extensions)?,
            json(&delivery.findings)?,
            delivery
                .resume
                .and_then(|resume| i64::try_from(resume).ok()),
            sealed,
            rendered
                .map(|rendered| json(&rendered.params))
                .transpose()?,
            rendered
                .map(|rendered| json(&rendered.manifests))
                .transpose()?,
            lane(&event.listener, &delivery.trigger),
            rendered.and_then(|rendered| rendered.as_of.as_deref()),
            // Nobody holds what is replayed: it is leased like any other.
            match event.replay_of {
                None => DeliveryState::Running.as_str(),
                Some(_) => DeliveryState::Pending.as_str(),
            },
        ])?;
    Ok(DeliveryId(connection.last_insert_rowid()))
}

/// Notes on the deliveries of an event that another event stands for them now.
fn mark_replayed(
    connection: &Connection,
    original: EventId,
    trigger: &TriggerId,
    by: EventId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET replayed_by = ?3
             WHERE trigger_id = ?2 AND event IN (SELECT id FROM events WHERE event_id = ?1)",
        )?
        .execute(params![original.0.as_bytes(), trigger.0, by.0.as_bytes()])?;
    Ok(())
}

/// Keeps the key, so that the delivery is known when it comes again.
fn remember(
    connection: &Connection,
    event: &NewEvent,
    delivery: &NewDelivery,
    id: DeliveryId,
    event_id: EventId,
) -> Result<(), JournalError> {
    let Some((key, window_ms)) = &event.key else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO dedupe (key, trigger_id, delivery, event_id, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key, trigger_id) DO UPDATE
             SET delivery = ?3, event_id = ?4, expires_ms = ?5",
        )?
        .execute(params![
            key.as_str(),
            delivery.trigger.0,
            id.0,
            event_id.0.as_bytes(),
            event.accepted_ms.saturating_add(*window_ms),
        ])?;
    Ok(())
}
