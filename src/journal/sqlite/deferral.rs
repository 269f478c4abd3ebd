//! Events that wait for their verification.

use rusqlite::{Connection, Row, params};

use crate::journal::seal::Seal;
use crate::journal::{Deferral, JournalError, NewDeferral, Quota};
use crate::model::event::RawEvent;
use crate::model::ids::{ListenerId, TriggerId};

use super::delivery::{json, unreadable};

/// Records an event, unless too much waits for its listener already.
pub(super) fn insert(
    connection: &Connection,
    seal: &Seal,
    event: &NewDeferral,
    quota: Quota,
) -> Result<(), JournalError> {
    let ListenerId { namespace, name } = &event.listener;
    let (events, bytes): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM deferrals
             WHERE listener_namespace = ?1 AND listener_name = ?2",
        )?
        .query_row(params![namespace, name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let body = &event.request.body;
    let within = |used: i64, more: usize, limit: usize| {
        usize::try_from(used).is_ok_and(|used| used.saturating_add(more) <= limit)
    };
    if !within(events, 1, quota.events) || !within(bytes, body.len(), quota.bytes) {
        return Err(JournalError::Quota);
    }
    let headers = json(&event.request.headers)?;
    let sealed = seal.seal(headers.as_bytes()).ok_or_else(|| {
        rusqlite::Error::ToSqlConversionFailure("the headers could not be sealed".into())
    })?;
    connection
        .prepare_cached(
            "INSERT INTO deferrals (listener_namespace, listener_name, triggers, received_ms,
                                    method, url, sealed_headers, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            namespace,
            name,
            json(&event.triggers)?,
            event.received_ms,
            event.request.method,
            event.request.url,
            sealed,
            &body[..],
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
        "SELECT id, listener_namespace, listener_name, triggers, received_ms, method, url,
                sealed_headers, body
         FROM deferrals WHERE id > ?1 ORDER BY id LIMIT 1",
    )?;
    let mut rows = statement.query(params![after])?;
    rows.next()?.map(|row| read(row, seal)).transpose()
}

fn read(row: &Row<'_>, seal: &Seal) -> Result<Deferral, JournalError> {
    let id: i64 = row.get("id")?;
    let sealed: Vec<u8> = row.get("sealed_headers")?;
    let headers = seal
        .unseal(&sealed)
        .ok_or_else(|| unreadable(id, "its headers were sealed with another key"))?;
    let parsed = |error: serde_json::Error| unreadable(id, &error.to_string());
    Ok(Deferral {
        id,
        event: NewDeferral {
            listener: ListenerId {
                namespace: row.get("listener_namespace")?,
                name: row.get("listener_name")?,
            },
            triggers: serde_json::from_str(&row.get::<_, String>("triggers")?).map_err(parsed)?,
            received_ms: row.get("received_ms")?,
            request: RawEvent {
                method: row.get("method")?,
                url: row.get("url")?,
                headers: serde_json::from_slice(&headers).map_err(parsed)?,
                body: row.get::<_, Vec<u8>>("body")?.into(),
            },
        },
    })
}

/// Keeps an event waiting for `waiting`, or ends its wait.
pub(super) fn settle(
    connection: &Connection,
    id: i64,
    waiting: &[TriggerId],
) -> Result<(), JournalError> {
    if waiting.is_empty() {
        connection
            .prepare_cached("DELETE FROM deferrals WHERE id = ?1")?
            .execute(params![id])?;
    } else {
        connection
            .prepare_cached("UPDATE deferrals SET triggers = ?2 WHERE id = ?1")?
            .execute(params![id, json(&waiting)?])?;
    }
    Ok(())
}
