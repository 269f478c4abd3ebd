//! What a clock that was set back has parked.

use rusqlite::{Connection, params};

use crate::journal::JournalError;

/// Nobody looks at what is due sooner than this: it comes round by itself, and
/// in an outage there is much of it.
const SOON_MS: i64 = 10 * 60 * 1000;

/// How far the clock must have been set back: less than this is corrected all
/// the time.
const STEP_MS: i64 = 60 * 1000;

/// Deliveries whose time was laid down at a moment that is yet to come: the
/// clock was set back since. Each begins its wait anew. Gives how many.
pub(super) fn set_right(connection: &Connection, now_ms: i64) -> Result<usize, JournalError> {
    let changed = connection
        .prepare_cached(
            "UPDATE deliveries
             SET due_ms = ?1 + max(due_ms - updated_ms, 0), updated_ms = ?1
             WHERE state IN ('pending', 'retrying') AND due_ms > ?2 AND updated_ms > ?3",
        )?
        .execute(params![
            now_ms,
            now_ms.saturating_add(SOON_MS),
            now_ms.saturating_add(STEP_MS),
        ])?;
    Ok(changed)
}
