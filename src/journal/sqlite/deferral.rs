//! Events that wait until somebody can decide on them.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::journal::seal::Seal;
use crate::journal::{Deferral, JournalError, Known, NewDeferral, Quotas};
use crate::model::event::{BodyRule, RawEvent};
use crate::model::headers::Headers;
use crate::model::ids::{EventId, ListenerId, TriggerId};

use super::delivery::{is_of_the_disk, json, unreadable};

/// Tells events for which there is room from those for which there is none.
pub(super) fn split<'a>(
    connection: &Connection,
    waiting: &'a [NewDeferral],
    quotas: Quotas,
) -> Result<(Vec<&'a NewDeferral>, Vec<&'a NewDeferral>), JournalError> {
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for event in waiting {
        match has_room(connection, event, quotas)? {
            true => fitting.push(event),
            false => others.push(event),
        }
    }
    Ok((fitting, others))
}

fn has_room(
    connection: &Connection,
    event: &NewDeferral,
    quotas: Quotas,
) -> Result<bool, JournalError> {
    let ListenerId { namespace, name } = &event.listener;
    let quota = if event.verified {
        quotas.verified
    } else {
        quotas.unverified
    };
    let (events, bytes): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM deferrals
             WHERE listener_namespace = ?1 AND listener_name = ?2 AND verified = ?3
             AND given_up_ms IS NULL",
        )?
        .query_row(params![namespace, name, event.verified], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let within = |used: i64, more: usize, limit: usize| {
        usize::try_from(used).is_ok_and(|used| used.saturating_add(more) <= limit)
    };
    let size = event.request.body.len();
    Ok(within(events, 1, quota.events) && within(bytes, size, quota.bytes))
}

/// Records an event.
pub(super) fn insert(
    connection: &Connection,
    seal: &Seal,
    event: &NewDeferral,
) -> Result<(), JournalError> {
    let sealed = sealed(seal, &event.request.headers)?;
    connection
        .prepare_cached(
            "INSERT INTO deferrals (event_id, verified, listener_namespace, listener_name,
                                    triggers, received_ms, method, url, sealed_headers, body,
                                    proven)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            event.event.0.as_bytes(),
            event.verified,
            event.listener.namespace,
            event.listener.name,
            json(&event.triggers)?,
            event.received_ms,
            event.request.method,
            event.request.url,
            sealed,
            &event.request.body[..],
            json(&event.proven)?,
        ])?;
    Ok(())
}

/// The oldest event after number `after` that waits.
pub(super) fn next(
    connection: &Connection,
    seal: &Seal,
    after: i64,
) -> Result<Option<Deferral>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, event_id, verified, listener_namespace, listener_name, triggers, received_ms,
                method, url, sealed_headers, body, proven
         FROM deferrals WHERE id > ?1 AND given_up_ms IS NULL ORDER BY id LIMIT 1",
    )?;
    let mut rows = statement.query(params![after])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let id: i64 = row.get("id")?;
    let event = EventId(Uuid::from_bytes(row.get("event_id").unwrap_or_default()));
    Ok(Some(Deferral {
        id,
        event,
        waiting: match read(row, event, seal) {
            Err(error) if is_of_the_disk(&error) => return Err(error),
            read => read.map_err(|error| error.to_string()),
        },
    }))
}

fn read(row: &Row<'_>, event: EventId, seal: &Seal) -> Result<NewDeferral, JournalError> {
    let id: i64 = row.get("id")?;
    let sealed: Vec<u8> = row.get("sealed_headers")?;
    let parsed = |error: serde_json::Error| unreadable(id, &error.to_string());
    Ok(NewDeferral {
        event,
        listener: ListenerId {
            namespace: row.get("listener_namespace")?,
            name: row.get("listener_name")?,
        },
        triggers: serde_json::from_str(&row.get::<_, String>("triggers")?).map_err(parsed)?,
        verified: row.get("verified")?,
        proven: serde_json::from_str(&row.get::<_, String>("proven")?).map_err(parsed)?,
        received_ms: row.get("received_ms")?,
        request: RawEvent {
            method: row.get("method")?,
            url: row.get("url")?,
            headers: unsealed(seal, id, &sealed)?,
            body: row.get::<_, Vec<u8>>("body")?.into(),
            // Whoever looks at it again knows the listener's.
            rule: BodyRule::default(),
        },
    })
}

/// Seals headers, which may carry credentials.
pub(super) fn sealed(seal: &Seal, headers: &Headers) -> rusqlite::Result<Vec<u8>> {
    let headers = json(headers)?;
    seal.seal(headers.as_bytes()).ok_or_else(|| {
        rusqlite::Error::ToSqlConversionFailure("the headers could not be sealed".into())
    })
}

/// Opens what [`sealed`] gave for record `id`.
pub(super) fn unsealed(seal: &Seal, id: i64, sealed: &[u8]) -> Result<Headers, JournalError> {
    let headers = seal.unseal(sealed);
    let headers =
        headers.ok_or_else(|| unreadable(id, "its headers were sealed with another key"))?;
    serde_json::from_slice(&headers).map_err(|error| unreadable(id, &error.to_string()))
}

/// Keeps an event waiting for `waiting`, or ends its wait. Whether it still
/// waited.
pub(super) fn settle(
    connection: &Connection,
    id: i64,
    waiting: &[TriggerId],
    known: Option<&Known>,
) -> Result<bool, JournalError> {
    let changed = if waiting.is_empty() {
        connection
            .prepare_cached("DELETE FROM deferrals WHERE id = ?1")?
            .execute(params![id])?
    } else {
        connection
            .prepare_cached("UPDATE deferrals SET triggers = ?2 WHERE id = ?1")?
            .execute(params![id, json(&waiting)?])?
    };
    if let Some(known) = known {
        connection
            .prepare_cached(
                "UPDATE deferrals SET verified = max(verified, ?2), proven = ?3 WHERE id = ?1",
            )?
            .execute(params![id, known.verified, json(&known.proven)?])?;
    }
    Ok(changed > 0)
}

/// Keeps a waiting event aside, for triggers for which its wait is over and
/// nobody has decided on it.
pub(super) fn set_aside(
    connection: &Connection,
    id: i64,
    triggers: &[TriggerId],
    now_ms: i64,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO deferrals (event_id, verified, listener_namespace, listener_name, triggers,
                                    received_ms, method, url, sealed_headers, body, proven,
                                    given_up_ms)
             SELECT event_id, verified, listener_namespace, listener_name, ?2,
                    received_ms, method, url, sealed_headers, body, proven, ?3
             FROM deferrals WHERE id = ?1",
        )?
        .execute(params![id, json(&triggers)?, now_ms])?;
    Ok(())
}

/// Ends the wait of an event that nobody has decided on, and keeps it.
pub(super) fn give_up(connection: &Connection, id: i64, now_ms: i64) -> Result<(), JournalError> {
    connection
        .prepare_cached("UPDATE deferrals SET given_up_ms = ?2 WHERE id = ?1")?
        .execute(params![id, now_ms])?;
    Ok(())
}
