//! What is only kept for a time.

use rusqlite::{Connection, params};

use crate::journal::JournalError;

/// Rows that are forgotten at once: deliveries that wait for the writer must
/// not wait long.
const AT_ONCE: i64 = 500;

/// Forgets keys whose time is over at `now_ms`, and deliveries that ended well
/// or were cancelled before `ended_before_ms`, with all that only they need.
/// Those that were given up are kept for somebody to look at.
pub(super) fn forget(
    connection: &Connection,
    now_ms: i64,
    ended_before_ms: i64,
) -> Result<usize, JournalError> {
    let keys = connection
        .prepare_cached(
            "DELETE FROM dedupe WHERE (key, trigger_id) IN
                 (SELECT key, trigger_id FROM dedupe WHERE expires_ms <= ?1 LIMIT ?2)",
        )?
        .execute(params![now_ms, AT_ONCE])?;
    let ended: Vec<(i64, i64)> = connection
        .prepare_cached(
            "SELECT id, event FROM deliveries
             WHERE state IN ('done', 'cancelled') AND updated_ms < ?1 LIMIT ?2",
        )?
        .query_map(params![ended_before_ms, AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (delivery, event) in &ended {
        for (statement, id) in [
            ("DELETE FROM attempts WHERE delivery = ?1", delivery),
            ("DELETE FROM deliveries WHERE id = ?1", delivery),
            (
                "DELETE FROM events WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1)",
                event,
            ),
        ] {
            connection.prepare_cached(statement)?.execute(params![id])?;
        }
    }
    if !ended.is_empty() {
        connection
            .prepare_cached(
                "DELETE FROM revisions WHERE NOT EXISTS
                     (SELECT 1 FROM deliveries d WHERE d.revision = revisions.revision)",
            )?
            .execute([])?;
    }
    Ok(keys + ended.len())
}
