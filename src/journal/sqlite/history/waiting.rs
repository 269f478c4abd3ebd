//! Lists of events that wait.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::journal::JournalError;
use crate::journal::history::{Page, Paging, WaitingSummary};
use crate::journal::sqlite::delivery::from_json;
use crate::model::ids::{EventId, ListenerId};

use super::{Collecting, Place};

pub(super) fn list(
    connection: &Connection,
    page: &Paging,
) -> Result<Page<WaitingSummary>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, event_id, verified, listener_namespace, listener_name, triggers, received_ms,
                given_up_ms, length(body) AS body_bytes
         FROM deferrals WHERE id < ?1 ORDER BY id DESC",
    )?;
    let mut rows = statement.query(params![Place::of(page)?.1])?;
    let mut collecting = Collecting::new(page);
    while let Some(row) = rows.next()? {
        if collecting.is_over() {
            return Ok(collecting.page(true));
        }
        let id = row.get("id")?;
        collecting.look(Place(0, id), Some(summary(id, row)?));
    }
    Ok(collecting.page(false))
}

fn summary(id: i64, row: &Row<'_>) -> Result<WaitingSummary, JournalError> {
    let bytes: i64 = row.get("body_bytes")?;
    Ok(WaitingSummary {
        event: EventId(Uuid::from_bytes(row.get("event_id")?)),
        listener: ListenerId {
            namespace: row.get("listener_namespace")?,
            name: row.get("listener_name")?,
        },
        triggers: from_json(id, &row.get::<_, String>("triggers")?)?,
        verified: row.get("verified")?,
        received_ms: row.get("received_ms")?,
        given_up_ms: row.get("given_up_ms")?,
        body_bytes: usize::try_from(bytes).unwrap_or_default(),
    })
}
