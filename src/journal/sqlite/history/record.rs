//! All that is recorded of an event or a delivery.

use rusqlite::{Connection, Row, params};

use crate::journal::history::{DeliveryRecord, DeliverySummary, EventRecord, RequestRecord};
use crate::journal::sqlite::delivery::{from_json, read_reason, read_rendered};
use crate::journal::{Attempt, JournalError, Recorded};
use crate::model::ids::{DeliveryId, EventId, Revision};

use super::{deliveries, events};

/// All requests of an event.
pub(super) fn event(
    connection: &Connection,
    id: EventId,
) -> Result<Option<EventRecord>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, event_id, replay_of, listener_namespace, listener_name, received_ms, method,
                url, headers, body, proven
         FROM events WHERE event_id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query(params![id.0.as_bytes()])?;
    let mut requests = Vec::new();
    while let Some(row) = rows.next()? {
        requests.push(request(connection, row)?);
    }
    Ok((!requests.is_empty()).then_some(EventRecord { requests }))
}

fn request(connection: &Connection, row: &Row<'_>) -> Result<RequestRecord, JournalError> {
    let number: i64 = row.get("id")?;
    let summary = events::summary(connection, row)?;
    let deliveries = summary.deliveries.iter();
    let deliveries = deliveries.map(|delivery| details(connection, delivery.id));
    Ok(RequestRecord {
        deliveries: deliveries.collect::<Result<_, _>>()?,
        summary,
        request: Recorded {
            method: row.get("method")?,
            url: row.get("url")?,
            headers: from_json(number, &row.get::<_, String>("headers")?)?,
            body: row.get::<_, Vec<u8>>("body")?.into(),
        },
        proven: from_json(number, &row.get::<_, String>("proven")?)?,
    })
}

/// One delivery.
pub(super) fn delivery(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<(DeliverySummary, DeliveryRecord)>, JournalError> {
    let question = format!("{} WHERE d.id = ?1", deliveries::SUMMARY);
    let mut statement = connection.prepare_cached(&question)?;
    let mut rows = statement.query(params![id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some((deliveries::summary(row)?, details(connection, id)?)))
}

fn details(connection: &Connection, id: DeliveryId) -> Result<DeliveryRecord, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.revision, r.source, d.extensions, d.findings, d.resume, d.params, d.manifests,
                d.as_of
         FROM deliveries d JOIN revisions r ON r.revision = d.revision WHERE d.id = ?1",
    )?;
    let mut rows = statement.query(params![id.0])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let text = |column: &str| row.get::<_, String>(column);
    let resume: Option<i64> = row.get("resume")?;
    Ok(DeliveryRecord {
        revision: Revision(text("revision")?),
        source: text("source")?,
        extensions: from_json(id.0, &text("extensions")?)?,
        findings: from_json(id.0, &text("findings")?)?,
        resume: resume.and_then(|resume| usize::try_from(resume).ok()),
        rendered: read_rendered(id.0, row)?,
        attempts: attempts(connection, id)?,
    })
}

fn attempts(connection: &Connection, id: DeliveryId) -> Result<Vec<Attempt>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT started_ms, ended_ms, reason, detail FROM attempts WHERE delivery = ?1
         ORDER BY number",
    )?;
    let rows = statement.query_map(params![id.0], |row| {
        Ok(Attempt {
            started_ms: row.get(0)?,
            ended_ms: row.get(1)?,
            reason: read_reason(row.get::<_, Option<String>>(2)?.as_deref()),
            detail: row.get(3)?,
            // Only how far the last one came is kept, with the delivery.
            acted: 0,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
