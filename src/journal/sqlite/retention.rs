//! What is only kept for a time, or as long as there is room.

use rusqlite::{Connection, params};

use crate::journal::JournalError;
use crate::journal::upkeep::KeptSince;

/// Deliveries, and events that waited, that are forgotten at once. They have
/// bodies and manifests, and whoever waits for the writer must not wait long.
const AT_ONCE: i64 = 64;

/// Keys that are forgotten at once. They are small.
const KEYS_AT_ONCE: i64 = 256;

/// Deliveries that ended, oldest first.
const ENDED: &str = "SELECT id, event, revision FROM deliveries
     WHERE state IN ('done', 'cancelled') AND updated_ms < ?1 ORDER BY updated_ms LIMIT ?2";

/// Deliveries that were given up, oldest first.
const DEAD: &str = "SELECT id, event, revision FROM deliveries
     WHERE state = 'dead' AND updated_ms < ?1 ORDER BY updated_ms LIMIT ?2";

/// Forgets some keys whose time is over at `now_ms`, and some of what is not
/// kept since long enough ago, with all that only that needs. How much it was.
pub(super) fn forget(
    connection: &Connection,
    now_ms: i64,
    kept: KeptSince,
) -> Result<usize, JournalError> {
    let mut forgotten = forget_keys(connection, now_ms)?;
    for (which, since) in [(ENDED, kept.ended_ms), (DEAD, kept.dead_ms)] {
        if let Some(since) = since {
            forgotten += forget_deliveries(connection, which, since)?;
        }
    }
    // It looks at every event: only where there is nothing else left to do.
    if let Some(since) = kept.ended_ms.filter(|_| forgotten == 0) {
        forgotten += forget_lonely(connection, since)?;
    }
    if let Some(since) = kept.given_up_ms {
        forgotten += connection
            .prepare_cached(
                "DELETE FROM deferrals WHERE id IN
                     (SELECT id FROM deferrals
                      WHERE given_up_ms IS NOT NULL AND given_up_ms < ?1 LIMIT ?2)",
            )?
            .execute(params![since, AT_ONCE])?;
    }
    Ok(forgotten)
}

/// Forgets some of the deliveries that ended first, for the room that they
/// take up. Keys stay: they are kept by time alone.
pub(super) fn forget_oldest(connection: &Connection) -> Result<usize, JournalError> {
    forget_deliveries(connection, ENDED, i64::MAX)
}

/// Forgets events that have no deliveries: a salvaged journal may have some.
fn forget_lonely(connection: &Connection, before_ms: i64) -> Result<usize, JournalError> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM events WHERE id IN
                 (SELECT id FROM events WHERE received_ms < ?1
                  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.id) LIMIT ?2)",
        )?
        .execute(params![before_ms, AT_ONCE])?;
    Ok(forgotten)
}

fn forget_keys(connection: &Connection, now_ms: i64) -> Result<usize, JournalError> {
    let keys = connection
        .prepare_cached(
            "DELETE FROM dedupe WHERE (key, trigger_id) IN
                 (SELECT key, trigger_id FROM dedupe WHERE expires_ms <= ?1 LIMIT ?2)",
        )?
        .execute(params![now_ms, KEYS_AT_ONCE])?;
    Ok(keys)
}

fn forget_deliveries(
    connection: &Connection,
    which: &str,
    before_ms: i64,
) -> Result<usize, JournalError> {
    let over: Vec<(i64, i64, String)> = connection
        .prepare_cached(which)?
        .query_map(params![before_ms, AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (delivery, event, _) in &over {
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
    let mut revisions: Vec<&str> = over.iter().map(|(.., revision)| &**revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    for revision in revisions {
        connection
            .prepare_cached(
                "DELETE FROM revisions WHERE revision = ?1
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE revision = ?1)",
            )?
            .execute(params![revision])?;
    }
    Ok(over.len())
}
