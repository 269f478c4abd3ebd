//! Moves what was committed from the log into the database, off the way of
//! commits.
//!
//! A thread moves it while commits go on. Under steady load it is never quite
//! done, and the log can be begun anew only when all of it is moved. So once
//! the log is long and little of it is left to move, the writer moves that
//! little itself, between two commits. It never waits for whoever reads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};

use rusqlite::Connection;

use crate::failpoint::{self, Point};
use crate::journal::JournalError;

use super::cannot_open;

/// Pages in the log after which they are moved in the background: 4 MiB. Each
/// time costs a sync of the database; more at once would hold up the disk.
const MOVE_FROM: i32 = 512;

/// Pages from which on the writer itself moves what is left: 32 MiB.
const BEGIN_ANEW_FROM: i32 = 4096;

/// Pages that the writer may move between two commits: 2 MiB.
const LITTLE: i32 = 256;

/// Pages from which on the writer moves whatever there is, because the
/// background cannot keep up: 256 MiB.
const MOVE_ALL_FROM: i32 = 32 * 1024;

/// The thread that moves the log.
pub(super) struct Checkpoints {
    stop: Arc<AtomicBool>,
    moved: Arc<Moved>,
    thread: Thread,
    handle: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// How much of the log is moved: which log it is in the upper half, and how
/// many pages of it.
#[derive(Default)]
struct Moved(AtomicU64);

impl Moved {
    fn log(&self) -> u64 {
        self.0.load(Ordering::Acquire) >> 32
    }

    fn pages(&self) -> i32 {
        let pages = self.0.load(Ordering::Acquire) & u64::from(u32::MAX);
        i32::try_from(pages).unwrap_or(i32::MAX)
    }

    fn begin_anew(&self) {
        self.0.store((self.log() + 1) << 32, Ordering::Release);
    }

    /// Says nothing where the log has been begun anew since.
    fn note(&self, log: u64, pages: i32) {
        let pages = u64::try_from(pages).unwrap_or_default();
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| {
                (before >> 32 == log).then_some((log << 32) | pages)
            });
    }
}

/// Wakes the thread that moves the log.
pub(super) struct Waker(Thread);

impl Waker {
    pub(super) fn wake(&self) {
        self.0.unpark();
    }
}

/// How the writer knows the size of the log and tells the thread.
pub(super) struct LogWatch {
    pages: Arc<AtomicI32>,
    moved: Arc<Moved>,
    told_at: i32,
    tried_at: i32,
    thread: Thread,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Self, JournalError> {
        let connection =
            Connection::open(database).map_err(|source| cannot_open(database, source))?;
        let settings = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;";
        connection
            .execute_batch(settings)
            .map_err(|source| cannot_open(database, source))?;
        let stop = Arc::new(AtomicBool::new(false));
        let moved = Arc::new(Moved::default());
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&moved));
        let handle = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                loop {
                    std::thread::park();
                    if stopped.load(Ordering::Acquire) {
                        return;
                    }
                    failpoint::reach(Point::Checkpoint);
                    let log = noted.log();
                    // What cannot be moved now is moved another time.
                    if let Ok(pages) = move_log(&connection) {
                        noted.note(log, pages);
                    }
                }
            })
            .map_err(|error| JournalError::Folder {
                path: database.to_owned(),
                message: error.to_string(),
            })?;
        Ok(Self {
            stop,
            moved,
            thread: handle.thread().clone(),
            handle: std::sync::Mutex::new(Some(handle)),
        })
    }

    /// Whoever has made the database smaller wakes it with this.
    pub(super) fn waker(&self) -> Waker {
        Waker(self.thread.clone())
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
            moved: Arc::clone(&self.moved),
            told_at: 0,
            tried_at: 0,
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

/// Moves what no reader needs in the log and waits for nobody. How many of its
/// pages are moved now.
fn move_log(connection: &Connection) -> rusqlite::Result<i32> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
}

impl LogWatch {
    /// Called by the writer between two transactions.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.told_at {
            // The log was begun anew.
            self.moved.begin_anew();
            (self.told_at, self.tried_at) = (0, 0);
        }
        if self.is_nearly_moved(pages) {
            failpoint::reach(Point::Checkpoint);
            self.tried_at = pages;
            // With nothing left to move, the next commit begins it anew.
            let _ = move_log(connection);
        } else if pages >= self.told_at + MOVE_FROM {
            self.told_at = pages;
            self.thread.unpark();
        }
    }

    fn is_nearly_moved(&self, pages: i32) -> bool {
        let left = pages - self.moved.pages();
        let is_behind = pages >= MOVE_ALL_FROM && pages >= self.tried_at + MOVE_FROM;
        let is_due = pages >= BEGIN_ANEW_FROM && pages >= self.tried_at + LITTLE / 4;
        is_behind || (is_due && left <= LITTLE)
    }
}
