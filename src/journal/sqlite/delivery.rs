//! Deliveries: taking them, what they make, what becomes of them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::journal::progress::Progress;
use crate::journal::seal::Seal;
use crate::journal::{
    Attempt, Buried, Counts, Cursor, DeliveryView, HandBack, JournalError, Lease, Leased, Recorded,
    Rendered, Request,
};
use crate::model::finding::Finding;
use crate::model::ids::{DeliveryId, EventId, ListenerId, Revision, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::deferral::unsealed;
use super::lanes;

/// Bytes of bodies after which a lease takes no more.
const LEASE_BYTES: usize = 16 * 1024 * 1024;

/// A value as text for a column.
pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A value back from a column.
pub(super) fn from_json<T: DeserializeOwned>(id: i64, text: &str) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| unreadable(id, &error.to_string()))
}

/// Whether an error says something about the database, and nothing about the
/// record that was read.
pub(super) fn is_of_the_disk(error: &JournalError) -> bool {
    matches!(
        error,
        JournalError::Write(rusqlite::Error::SqliteFailure(..))
    )
}

pub(super) fn unreadable(id: i64, message: &str) -> JournalError {
    JournalError::Record {
        id,
        message: message.to_owned(),
    }
}

/// What a process had taken when it ended is pending again. The sync of this
/// also covers a commit that the process had written and not synced: its
/// deliveries are among those, and whoever sends such an event again is told
/// that it is known.
pub(super) fn restart(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE deliveries SET state = 'pending' WHERE state = 'running'",
        [],
    )
}

pub(super) fn commit(
    connection: &Connection,
    id: DeliveryId,
    rendered: &Rendered,
    findings: &[Finding],
) -> Result<(), JournalError> {
    let changed = connection
        .prepare_cached(
            "UPDATE deliveries SET params = ?2, manifests = ?3, as_of = ?4, sealed_headers = NULL
             WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![
            id.0,
            json(&rendered.params)?,
            json(&rendered.manifests)?,
            rendered.as_of
        ])?;
    // Nothing may be made for one that was cancelled, and nothing of an erased
    // event may be written down again.
    if changed == 0 {
        return Err(JournalError::Over(id));
    }
    if !findings.is_empty() {
        let before: String = connection
            .prepare_cached("SELECT findings FROM deliveries WHERE id = ?1")?
            .query_row(params![id.0], |row| row.get(0))?;
        let before = before.trim_end_matches(']');
        let more = json(&findings)?;
        let comma = if before == "[" { "" } else { "," };
        connection
            .prepare_cached("UPDATE deliveries SET findings = ?2 WHERE id = ?1")?
            .execute(params![id.0, format!("{before}{comma}{}", &more[1..])])?;
    }
    Ok(())
}

pub(super) fn record(
    connection: &Connection,
    id: DeliveryId,
    attempt: &Attempt,
    progress: &Progress,
) -> Result<(), JournalError> {
    let acted = i64::try_from(attempt.acted).unwrap_or(i64::MAX);
    let changed = connection
        .prepare_cached(
            "UPDATE deliveries
             SET state = ?2, reason = ?3, attempts = ?4, due_ms = ?5, updated_ms = ?6,
                 acted = max(acted, ?8), tried_ms = ?9, unmended_ms = ?10,
                 sealed_headers = CASE WHEN ?7 THEN NULL ELSE sealed_headers END
             WHERE id = ?1 AND state NOT IN ('done', 'dead', 'cancelled')",
        )?
        .execute(params![
            id.0,
            progress.state.as_str(),
            progress.reason.map(Reason::code),
            progress.attempts,
            progress.due_ms,
            attempt.ended_ms,
            progress.state.is_final(),
            acted,
            progress.tried_ms,
            progress.unmended_ms,
        ])?;
    // It may have been cancelled, and its event erased, while somebody worked on it.
    if changed == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, number, started_ms, ended_ms, reason, detail, acted)
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6
             FROM attempts WHERE delivery = ?1",
        )?
        .execute(params![
            id.0,
            attempt.started_ms,
            attempt.ended_ms,
            attempt.reason.map(Reason::code),
            attempt.detail,
            acted,
        ])?;
    Ok(())
}

/// Gives deliveries back that may not begin now.
pub(super) fn hand_back(connection: &Connection, back: &[HandBack]) -> Result<(), JournalError> {
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET state = 'pending', reason = ?2 WHERE id = ?1 AND state = 'running'",
    )?;
    for back in back {
        statement.execute(params![back.id.0, back.reason.code()])?;
    }
    Ok(())
}

/// Takes what is due and may begin.
pub(super) fn lease(
    connection: &Connection,
    seal: &Seal,
    request: &Request,
) -> Result<Lease, JournalError> {
    let mut lease = Lease::default();
    let chosen = lanes::choose(connection, request, &mut lease)?;
    let mut statement = connection.prepare_cached(
        "SELECT d.id, d.state, d.reason, d.attempts, d.accepted_ms, d.due_ms, d.tried_ms,
                d.unmended_ms, d.acted, d.as_of, d.trigger_id, d.revision, r.source, d.extensions, d.params, d.manifests, d.resume, d.sealed_headers,
                e.event_id, e.listener_namespace, e.listener_name, e.method, e.url, e.headers,
                e.body
         FROM deliveries d JOIN events e ON e.id = d.event
                           JOIN revisions r ON r.revision = d.revision
         WHERE d.id = ?1",
    )?;
    let (mut bytes, mut before) = (0, None);
    for (id, lane) in chosen {
        if bytes >= request.bytes.min(LEASE_BYTES) {
            // The next lease begins with those that have got nothing.
            if before.as_ref() == Some(&lane) && !lease.left.contains(&lane) {
                lease.left.push(lane);
            }
            lease.resume = before.map(Cursor);
            break;
        }
        let mut rows = statement.query(params![id])?;
        let Some(row) = rows.next()? else {
            continue;
        };
        match read_leased(row, seal) {
            Ok(delivery) => {
                bytes += delivery.request.body.len();
                lease.leased.push(delivery);
            }
            Err(error) if is_of_the_disk(&error) => return Err(error),
            // One that cannot be read must not keep the others from being
            // performed.
            Err(error) => lease.buried.push(buried(row, &error)?),
        }
        before = Some(lane);
    }
    for buried in &lease.buried {
        bury(connection, buried, request.now_ms)?;
    }
    let mut take =
        connection.prepare_cached("UPDATE deliveries SET state = 'running' WHERE id = ?1")?;
    for delivery in &lease.leased {
        take.execute(params![delivery.id.0])?;
    }
    Ok(lease)
}

fn buried(row: &Row<'_>, error: &JournalError) -> Result<Buried, JournalError> {
    let event = row.get("event_id").unwrap_or_default();
    Ok(Buried {
        id: DeliveryId(row.get("id")?),
        event: EventId(Uuid::from_bytes(event)),
        trigger: TriggerId(row.get("trigger_id").unwrap_or_default()),
        message: error.to_string(),
    })
}

fn bury(connection: &Connection, buried: &Buried, now_ms: i64) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'dead', reason = ?2, updated_ms = ?3,
                                   sealed_headers = NULL
             WHERE id = ?1",
        )?
        .execute(params![
            buried.id.0,
            Reason::RecordUnreadable.code(),
            now_ms
        ])?;
    Ok(())
}

/// The deliveries of an event.
pub(super) fn of_event(
    connection: &Connection,
    event: EventId,
) -> Result<Vec<DeliveryView>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id, d.state, d.reason, d.attempts, d.accepted_ms, d.due_ms, d.tried_ms,
                d.unmended_ms, d.as_of, d.trigger_id, d.params, d.manifests
         FROM events e JOIN deliveries d ON d.event = e.id
         WHERE e.event_id = ?1 ORDER BY d.id",
    )?;
    let mut rows = statement.query(params![event.0.as_bytes()])?;
    let mut views = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get("id")?;
        views.push(DeliveryView {
            id: DeliveryId(id),
            trigger: TriggerId(row.get("trigger_id")?),
            progress: read_progress(id, row)?,
            rendered: read_rendered(id, row)?,
        });
    }
    Ok(views)
}

fn read_leased(row: &Row<'_>, seal: &Seal) -> Result<Leased, JournalError> {
    let id: i64 = row.get("id")?;
    let text = |column: &str| row.get::<_, String>(column);
    let resume: Option<i64> = row.get("resume")?;
    let sealed: Option<Vec<u8>> = row.get("sealed_headers")?;
    let headers = sealed.map(|sealed| unsealed(seal, id, &sealed));
    Ok(Leased {
        id: DeliveryId(id),
        progress: read_progress(id, row)?,
        event: EventId(Uuid::from_bytes(row.get("event_id")?)),
        listener: ListenerId {
            namespace: text("listener_namespace")?,
            name: text("listener_name")?,
        },
        request: Recorded {
            method: text("method")?,
            url: text("url")?,
            headers: from_json(id, &text("headers")?)?,
            body: row.get::<_, Vec<u8>>("body")?.into(),
        },
        trigger: TriggerId(text("trigger_id")?),
        revision: Revision(text("revision")?),
        source: text("source")?,
        extensions: from_json(id, &text("extensions")?)?,
        resume: resume.and_then(|resume| usize::try_from(resume).ok()),
        unsealed: headers.transpose()?,
        rendered: read_rendered(id, row)?,
        acted: usize::try_from(row.get::<_, i64>("acted")?).unwrap_or_default(),
    })
}

pub(super) fn read_progress(id: i64, row: &Row<'_>) -> Result<Progress, JournalError> {
    let state = DeliveryState::parse(&row.get::<_, String>("state")?);
    Ok(Progress {
        state: state.ok_or_else(|| unreadable(id, "the state is unknown"))?,
        reason: read_reason(row.get::<_, Option<String>>("reason")?.as_deref()),
        attempts: row.get("attempts")?,
        accepted_ms: row.get("accepted_ms")?,
        due_ms: row.get("due_ms")?,
        tried_ms: row.get("tried_ms")?,
        unmended_ms: row.get("unmended_ms")?,
    })
}

pub(super) fn read_rendered(id: i64, row: &Row<'_>) -> Result<Option<Rendered>, JournalError> {
    let (params, manifests): (Option<String>, Option<String>) =
        (row.get("params")?, row.get("manifests")?);
    let (Some(params), Some(manifests)) = (params, manifests) else {
        return Ok(None);
    };
    Ok(Some(Rendered {
        params: from_json(id, &params)?,
        manifests: from_json(id, &manifests)?,
        as_of: row.get("as_of")?,
    }))
}

pub(super) fn read_reason(code: Option<&str>) -> Option<Reason> {
    let code = code?;
    Reason::ALL
        .iter()
        .copied()
        .find(|reason| reason.code() == code)
}

/// Where a delivery stands; no state where it was removed since.
pub(super) fn state_and_reason(
    connection: &Connection,
    id: DeliveryId,
) -> Result<(Option<DeliveryState>, Option<Reason>), JournalError> {
    let found = connection
        .prepare_cached("SELECT state, reason FROM deliveries WHERE id = ?1")?
        .query_row(params![id.0], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    Ok(match found {
        Some((state, reason)) => (DeliveryState::parse(&state), read_reason(reason.as_deref())),
        None => (None, None),
    })
}

pub(super) fn counts(connection: &Connection) -> Result<Counts, JournalError> {
    // From indexes alone: the rows themselves are large, and may be many.
    let mut statement = connection.prepare_cached(
        "SELECT state, count(*) FROM deliveries INDEXED BY deliveries_ended
             WHERE state IN ('done', 'cancelled') GROUP BY state
         UNION ALL
         SELECT 'dead', count(*) FROM deliveries INDEXED BY deliveries_dead
             WHERE state = 'dead' HAVING count(*) > 0
         UNION ALL
         SELECT 'running', count(*) FROM deliveries INDEXED BY deliveries_running
             WHERE state = 'running' HAVING count(*) > 0
         UNION ALL
         SELECT state, count(*) FROM deliveries INDEXED BY deliveries_due
             WHERE state IN ('pending', 'retrying') GROUP BY state
         ORDER BY 1",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    let mut deliveries = Vec::new();
    for row in rows {
        let (state, count) = row?;
        if let Some(state) = DeliveryState::parse(&state) {
            deliveries.push((state, u64::try_from(count).unwrap_or_default()));
        }
    }
    let waiting = |condition: &str| -> Result<u64, JournalError> {
        let question =
            format!("SELECT count(DISTINCT event_id) FROM deferrals WHERE given_up_ms {condition}");
        let count: i64 = connection
            .prepare_cached(&question)?
            .query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    Ok(Counts {
        deliveries,
        deferred: waiting("IS NULL")?,
        given_up: waiting("IS NOT NULL")?,
    })
}
