//! The one writer: takes every job that waits into one transaction.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use crate::failpoint::{self, Point};
use crate::journal::JournalError;

use super::checkpoint::LogWatch;
use super::room::Gauge;

/// Jobs of one transaction. More would keep the first one waiting.
const JOBS_PER_COMMIT: usize = 512;

/// Something to do in a transaction. It may be run again when the transaction
/// around it fails because of another job.
pub(super) trait Job: Send {
    /// Does the work and keeps the result.
    fn run(&mut self, connection: &Connection) -> Outcome;
    /// Tells whoever asked: the result, once that is on disk, or the error
    /// that the work itself has met.
    fn answer(self: Box<Self>);
    /// Tells whoever asked that nothing of it is on disk.
    fn fail(self: Box<Self>, error: &rusqlite::Error);
}

/// What a job did to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something that may be committed.
    Fine,
    /// A part of something; it must not be committed.
    Failed,
}

/// A job made of a function.
pub(super) struct Task<T, F> {
    work: F,
    result: Option<Result<T, JournalError>>,
    caller: oneshot::Sender<Result<T, JournalError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, caller: oneshot::Sender<Result<T, JournalError>>) -> Self {
        Self {
            work,
            result: None,
            caller,
        }
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, JournalError> + Send,
{
    fn run(&mut self, connection: &Connection) -> Outcome {
        let result = (self.work)(connection);
        let outcome = match result {
            Err(JournalError::Write(_)) => Outcome::Failed,
            _ => Outcome::Fine,
        };
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // Whoever hung up does not need the answer.
            let _ = self.caller.send(result);
        }
    }

    fn fail(self: Box<Self>, error: &rusqlite::Error) {
        let error = match error {
            rusqlite::Error::SqliteFailure(code, message) => {
                rusqlite::Error::SqliteFailure(*code, message.clone())
            }
            other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
        };
        let _ = self.caller.send(Err(JournalError::Write(error)));
    }
}

/// Works until every sender is gone and the queue is empty.
pub(super) fn run(
    connection: Connection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    mut log: LogWatch,
    failing: &AtomicBool,
    gauge: &Gauge,
) {
    let mut batch = Vec::with_capacity(JOBS_PER_COMMIT);
    while let Some(first) = queue.blocking_recv() {
        batch.push(first);
        while batch.len() < JOBS_PER_COMMIT
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        // Jobs that have only read say nothing of the disk.
        if let Some(written) = commit(&connection, &mut batch) {
            failing.store(!written, Ordering::Release);
            gauge.look_at_disk();
        }
        log.after_commit(&connection);
    }
    // Leaves one file behind, and none that a reader would have to recover.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Why a transaction was not committed.
enum Aborted {
    /// One of the jobs failed; it knows why.
    ByJob,
    /// The database refused.
    ByDatabase(rusqlite::Error),
}

impl From<rusqlite::Error> for Aborted {
    fn from(error: rusqlite::Error) -> Self {
        Self::ByDatabase(error)
    }
}

/// Commits all jobs together; where that fails, each on its own, so that one
/// that cannot be written does not take the others with it. Whether something
/// was written; nothing where there was nothing to write.
fn commit(connection: &Connection, batch: &mut Vec<Box<dyn Job>>) -> Option<bool> {
    let mut written = None;
    let mut committed = |before: u64| {
        if connection.total_changes() != before {
            written = Some(true);
        }
    };
    let before = connection.total_changes();
    if transact(connection, batch).is_ok() {
        failpoint::reach(Point::AfterTransaction);
        committed(before);
        for job in batch.drain(..) {
            job.answer();
        }
        return written;
    }
    let mut refused = false;
    let mut broken = None;
    for mut job in batch.drain(..) {
        if let Some(error) = &broken {
            job.fail(error);
            continue;
        }
        let before = connection.total_changes();
        match transact(connection, std::slice::from_mut(&mut job)) {
            Ok(()) => {
                committed(before);
                job.answer();
            }
            Err(Aborted::ByJob) => job.answer(),
            Err(Aborted::ByDatabase(error)) => {
                refused = true;
                job.fail(&error);
                // One that is smaller may fit where one did not; a disk that
                // fails would keep all others waiting for the same.
                broken = is_of_the_device(&error).then_some(error);
            }
        }
    }
    written.or(refused.then_some(false))
}

/// Whether nothing at all can be written.
fn is_of_the_device(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly)
    )
}

fn transact(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Aborted> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let fine = batch
        .iter_mut()
        .all(|job| job.run(connection) == Outcome::Fine);
    let result = if fine {
        failpoint::reach(Point::InTransaction);
        connection.execute_batch("COMMIT").map_err(Aborted::from)
    } else {
        Err(Aborted::ByJob)
    };
    if result.is_err() && !connection.is_autocommit() {
        // An error here means that SQLite has rolled back by itself.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result
}
