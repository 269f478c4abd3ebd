//! Moves what was committed from the log into the database, off the way of
//! commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{JoinHandle, Thread};

use rusqlite::Connection;

use crate::failpoint::{self, Point};
use crate::journal::JournalError;

use super::damaged;

/// Pages in the log from which on they are moved in the background: 8 MiB.
const MOVE_FROM: i32 = 1024;

/// Pages from which on the writer itself moves them: 64 MiB. Under steady load
/// the log could grow for ever, because it can be begun anew only while no
/// commit goes on.
const MOVE_NOW_FROM: i32 = 8192;

/// The thread that moves the log.
pub(super) struct Checkpoints {
    stop: Arc<AtomicBool>,
    thread: Thread,
    handle: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// How the writer knows the size of the log and tells the thread.
pub(super) struct LogWatch {
    pages: Arc<AtomicI32>,
    told_at: i32,
    thread: Thread,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Self, JournalError> {
        let connection = Connection::open(database).map_err(|source| damaged(database, source))?;
        let settings = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;";
        connection
            .execute_batch(settings)
            .map_err(|source| damaged(database, source))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handle = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                loop {
                    std::thread::park();
                    if stopped.load(Ordering::Acquire) {
                        return;
                    }
                    failpoint::reach(Point::Checkpoint);
                    // What cannot be moved now is moved another time.
                    let _ = connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
                }
            })
            .map_err(|error| JournalError::Folder {
                path: database.to_owned(),
                message: error.to_string(),
            })?;
        Ok(Self {
            stop,
            thread: handle.thread().clone(),
            handle: std::sync::Mutex::new(Some(handle)),
        })
    }

    /// Watches the log that `connection` writes.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<LogWatch> {
        let pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut _, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(LogWatch {
            pages,
            told_at: 0,
            thread: self.thread.clone(),
        })
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.lock().ok().and_then(|mut handle| handle.take()) {
            let _ = handle.join();
        }
    }
}

impl LogWatch {
    /// Called by the writer between two transactions.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.told_at {
            // The log was begun anew.
            self.told_at = 0;
        }
        if pages >= MOVE_NOW_FROM {
            failpoint::reach(Point::Checkpoint);
            let _ = connection.execute_batch("PRAGMA wal_checkpoint(RESTART)");
            self.told_at = 0;
        } else if pages >= self.told_at + MOVE_FROM {
            self.told_at = pages;
            self.thread.unpark();
        }
    }
}
