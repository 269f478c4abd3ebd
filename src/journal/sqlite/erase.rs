//! What people take out of the journal, and what becomes of deliveries by
//! their hand.
//!
//! `secure_delete` is on for the writer, so that what is overwritten or
//! removed leaves no bytes in the file; the log has them until it is emptied.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::journal::JournalError;
use crate::journal::history::{Change, Erasure};
use crate::journal::progress::{Happening, Progress, RetryPolicy};
use crate::model::ids::{DeliveryId, EventId};
use crate::model::verdict::{DeliveryState, Reason};

use super::delivery::read_progress;

/// Events whose payload is forgotten at once: deliveries that wait for the
/// writer must not wait long.
pub(super) const AT_ONCE: usize = 100;

/// How often it is tried to empty the log, and how long to wait in between.
const TRIES: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);

/// How long a connection waits for others: while it empties the log, and
/// otherwise.
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(5);

/// An event with all that has a copy of its payload: what it replays, and what
/// replays that.
const FAMILY: &str = "WITH RECURSIVE family (event_id) AS (
        SELECT ?1
        UNION SELECT e.replay_of FROM events e JOIN family f ON e.event_id = f.event_id
              WHERE e.replay_of IS NOT NULL
        UNION SELECT e.event_id FROM events e JOIN family f ON e.replay_of = f.event_id)";

/// Removes the payload of an event.
pub(super) fn erase(
    connection: &Connection,
    id: EventId,
    force: bool,
    now_ms: i64,
) -> Result<Erasure, JournalError> {
    let key = id.0.as_bytes().to_vec();
    let rows = numbers(
        connection,
        &format!("{FAMILY} SELECT id FROM events WHERE event_id IN (SELECT event_id FROM family)"),
        &key,
    )?;
    let waiting = numbers(
        connection,
        &format!(
            "{FAMILY} SELECT id FROM deferrals WHERE event_id IN (SELECT event_id FROM family)"
        ),
        &key,
    )?;
    if rows.is_empty() && waiting.is_empty() {
        return Ok(Erasure::Unknown);
    }
    let mut under_way = Vec::new();
    for row in &rows {
        let found = numbers(
            connection,
            "SELECT id FROM deliveries WHERE event = ?1
             AND state IN ('pending', 'running', 'retrying')",
            row,
        )?;
        under_way.extend(found.into_iter().map(DeliveryId));
    }
    let still_waiting = still_waiting(connection, &waiting)?;
    let is_over = under_way.is_empty() && still_waiting == 0;
    if !force && !is_over {
        return Ok(Erasure::UnderWay {
            deliveries: under_way,
            waiting: still_waiting,
        });
    }
    for delivery in &under_way {
        move_on(
            connection,
            *delivery,
            Happening::PutAway(Reason::Erased),
            now_ms,
        )?;
    }
    for row in &rows {
        erase_row(connection, *row, now_ms)?;
    }
    for number in &waiting {
        connection
            .prepare_cached("DELETE FROM deferrals WHERE id = ?1")?
            .execute(params![number])?;
    }
    Ok(Erasure::Erased {
        requests: rows.len(),
        cancelled: under_way,
        waiting: waiting.len(),
    })
}

fn still_waiting(connection: &Connection, numbers: &[i64]) -> Result<usize, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT count(*) FROM deferrals WHERE id = ?1 AND given_up_ms IS NULL")?;
    let mut count: i64 = 0;
    for number in numbers {
        count += statement.query_row(params![number], |row| row.get::<_, i64>(0))?;
    }
    Ok(usize::try_from(count).unwrap_or_default())
}

fn numbers(
    connection: &Connection,
    question: &str,
    of: impl rusqlite::ToSql,
) -> Result<Vec<i64>, JournalError> {
    let mut statement = connection.prepare_cached(question)?;
    let rows = statement.query_map(params![of], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Leaves the skeleton of one row: ids, states, times.
fn erase_row(connection: &Connection, row: i64, now_ms: i64) -> Result<(), JournalError> {
    for statement in [
        "UPDATE events SET url = '', headers = '{}', body = x'', proven = '[]',
                           erased_ms = coalesce(erased_ms, ?2) WHERE id = ?1",
        "UPDATE deliveries SET extensions = '{}', findings = '[]', params = NULL,
                               manifests = NULL, sealed_headers = NULL
         WHERE event = ?1 AND ?2 IS NOT NULL",
        // What a step said of the failure may have parts of the payload in it.
        "UPDATE attempts SET detail = NULL
         WHERE delivery IN (SELECT id FROM deliveries WHERE event = ?1) AND ?2 IS NOT NULL",
    ] {
        connection
            .prepare_cached(statement)?
            .execute(params![row, now_ms])?;
    }
    Ok(())
}

/// Moves what the log has into the database and empties the log. Waits for
/// those who read.
pub(super) fn empty_log(connection: &Connection) -> Result<(), JournalError> {
    // Commits wait as long as this waits for those who read.
    connection.busy_timeout(SHORT)?;
    let emptied = try_to_empty(connection);
    connection.busy_timeout(LONG)?;
    emptied
}

fn try_to_empty(connection: &Connection) -> Result<(), JournalError> {
    for _ in 0..TRIES {
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        std::thread::sleep(BETWEEN);
    }
    Err(JournalError::LogInUse)
}

/// Forgets the payload of what came before `before_ms` and has come to its
/// end.
pub(super) fn forget_payloads(
    connection: &Connection,
    before_ms: i64,
    now_ms: i64,
) -> Result<usize, JournalError> {
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT id FROM events e WHERE erased_ms IS NULL AND received_ms < ?1
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = e.id
                         AND state IN ('pending', 'running', 'retrying'))
         ORDER BY received_ms LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before_ms, limit], |row| row.get(0))?;
    let rows: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for row in &rows {
        erase_row(connection, *row, now_ms)?;
    }
    let given_up = connection
        .prepare_cached(
            "DELETE FROM deferrals WHERE id IN
                 (SELECT id FROM deferrals WHERE given_up_ms IS NOT NULL AND received_ms < ?1
                  LIMIT ?2)",
        )?
        .execute(params![before_ms, limit])?;
    Ok(rows.len() + given_up)
}

/// Gives a delivery up, or puts a dead one away.
pub(super) fn discard(
    connection: &Connection,
    id: DeliveryId,
    now_ms: i64,
) -> Result<Change, JournalError> {
    match state(connection, id)? {
        None => Ok(Change::Unknown),
        // Whoever has it may be about to make something.
        Some(state @ (DeliveryState::Running | DeliveryState::Done | DeliveryState::Cancelled)) => {
            Ok(Change::NotNow(state))
        }
        Some(DeliveryState::Pending | DeliveryState::Retrying | DeliveryState::Dead) => {
            move_on(
                connection,
                id,
                Happening::PutAway(Reason::Discarded),
                now_ms,
            )?;
            Ok(Change::Made)
        }
    }
}

/// Lets a delivery that waits for its next attempt be due.
pub(super) fn retry_now(
    connection: &Connection,
    id: DeliveryId,
    now_ms: i64,
) -> Result<Change, JournalError> {
    match state(connection, id)? {
        None => Ok(Change::Unknown),
        Some(DeliveryState::Retrying) => {
            connection
                .prepare_cached(
                    // The wait that is cut short was counted when it was laid
                    // down.
                    "UPDATE deliveries
                     SET tried_ms = max(tried_ms - max(due_ms - ?2, 0), 0),
                         unmended_ms = CASE WHEN unmended_ms > 0
                             THEN max(unmended_ms - max(due_ms - ?2, 0), 1) ELSE 0 END,
                         due_ms = ?2
                     WHERE id = ?1",
                )?
                .execute(params![id.0, now_ms])?;
            Ok(Change::Made)
        }
        Some(state) => Ok(Change::NotNow(state)),
    }
}

/// Lets what was given up wait again. It is as old as it is: where nobody can
/// decide on it this time either, it is given up once more.
pub(super) fn wait_again(connection: &Connection, id: EventId) -> Result<usize, JournalError> {
    // A new number: whoever has seen the old one takes it for decided.
    let waiting = connection
        .prepare_cached(
            "INSERT INTO deferrals (event_id, verified, listener_namespace, listener_name, triggers,
                                    received_ms, method, url, sealed_headers, body, proven)
             SELECT event_id, verified, listener_namespace, listener_name, triggers,
                    received_ms, method, url, sealed_headers, body, proven
             FROM deferrals WHERE event_id = ?1 AND given_up_ms IS NOT NULL",
        )?
        .execute(params![id.0.as_bytes()])?;
    connection
        .prepare_cached("DELETE FROM deferrals WHERE event_id = ?1 AND given_up_ms IS NOT NULL")?
        .execute(params![id.0.as_bytes()])?;
    Ok(waiting)
}

fn state(connection: &Connection, id: DeliveryId) -> Result<Option<DeliveryState>, JournalError> {
    let word: Option<String> = connection
        .prepare_cached("SELECT state FROM deliveries WHERE id = ?1")?
        .query_row(params![id.0], |row| row.get(0))
        .optional()?;
    Ok(word.as_deref().and_then(DeliveryState::parse))
}

/// Moves a delivery as the state machine has it.
fn move_on(
    connection: &Connection,
    id: DeliveryId,
    happening: Happening,
    now_ms: i64,
) -> Result<(), JournalError> {
    let progress: Progress = {
        let mut statement = connection.prepare_cached(
            "SELECT state, reason, attempts, accepted_ms, due_ms, tried_ms, unmended_ms
             FROM deliveries WHERE id = ?1",
        )?;
        let mut rows = statement.query(params![id.0])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        read_progress(id.0, row)?
    };
    let moved = progress.after(happening, now_ms, &RetryPolicy::DEFAULT, 0.0);
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, updated_ms = ?4,
                                   sealed_headers = NULL WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            moved.state.as_str(),
            moved.reason.map(Reason::code),
            now_ms
        ])?;
    Ok(())
}
