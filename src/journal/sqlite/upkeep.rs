//! Keeps the file small while it is used: looks at its disk, forgets what has
//! ended where room is short, and gives unused pages back.
//!
//! All of it is done by the writer, in steps that share its transactions, so
//! that no commit waits long for one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::journal::JournalError;

use super::checkpoint::Waker;
use super::retention;
use super::room::Gauge;
use super::writer::{Job, Task};

/// How often the file and its disk are looked at while nothing is to be done.
const LOOK: Duration = Duration::from_secs(1);

/// Pages that go back to the file system in one step: half a MiB.
const PAGES_AT_ONCE: i64 = 64;

/// Unused pages that are kept, because they will be needed again: 8 MiB and an
/// eighth of the file.
const SPARE_PAGES: i64 = 1024;

/// The part of the file that may be unused.
const SPARE_PART: i64 = 8;

/// Looks after the file as long as the journal is open.
pub(super) struct Upkeep {
    /// Does not keep the writer from ending.
    pub(super) jobs: mpsc::WeakSender<Box<dyn Job>>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) log: Waker,
}

impl Upkeep {
    /// One look, and all steps that it finds to be done.
    pub(super) fn look(&self) {
        self.gauge.look_at_disk();
        let mut shrunk = false;
        while let Some(step) = self.step() {
            shrunk |= step == Step::Shrunk;
            if step == Step::Nothing {
                break;
            }
        }
        // The file ends where it should only when the log is moved into it.
        if shrunk {
            self.log.wake();
            self.gauge.look_at_disk();
        }
    }

    /// Nothing where the journal is closed or cannot be written now.
    fn step(&self) -> Option<Step> {
        let (answer, answered) = oneshot::channel();
        let gauge = Arc::clone(&self.gauge);
        let work = move |connection: &Connection| step(connection, &gauge);
        let job: Box<dyn Job> = Box::new(Task::new(work, answer));
        self.jobs.upgrade()?.blocking_send(job).ok()?;
        answered.blocking_recv().ok()?.ok()
    }
}

/// The thread that looks after the file.
pub(super) struct Keeper {
    stop: Arc<AtomicBool>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    pub(super) fn start(self) -> std::io::Result<Keeper> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handle = std::thread::Builder::new()
            .name("upkeep".into())
            .spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    self.look();
                    std::thread::park_timeout(LOOK);
                }
            })?;
        Ok(Keeper {
            stop,
            handle: Mutex::new(Some(handle)),
        })
    }
}

impl Keeper {
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = self.handle.lock().ok().and_then(|mut handle| handle.take()) {
            handle.thread().unpark();
            let _ = handle.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There was nothing to do.
    Nothing,
    /// Something was forgotten.
    Forgot,
    /// The file has become smaller.
    Shrunk,
}

/// Looks at the file and does a little.
pub(super) fn step(connection: &Connection, gauge: &Gauge) -> Result<Step, JournalError> {
    let (pages, unused) = measure(connection, gauge)?;
    if gauge.wants_room() {
        let forgotten = retention::forget_oldest(connection)?;
        measure(connection, gauge)?;
        gauge.note_forgotten(forgotten > 0);
        if forgotten > 0 {
            return Ok(Step::Forgot);
        }
    } else {
        gauge.note_forgotten(true);
    }
    let spare = match gauge.is_disk_tight() {
        true => 0,
        false => SPARE_PAGES + pages / SPARE_PART,
    };
    if unused <= spare {
        return Ok(Step::Nothing);
    }
    // One row for each page that goes.
    let mut statement =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    let (left, _) = measure(connection, gauge)?;
    // A file that was made without room for that never shrinks.
    Ok(if left < pages {
        Step::Shrunk
    } else {
        Step::Nothing
    })
}

/// Pages of the file, and those of them that nothing needs.
fn measure(connection: &Connection, gauge: &Gauge) -> Result<(i64, i64), JournalError> {
    let ask = |pragma: &str| -> rusqlite::Result<i64> {
        connection
            .prepare_cached(pragma)?
            .query_row([], |row| row.get(0))
    };
    let (pages, unused) = (ask("PRAGMA page_count")?, ask("PRAGMA freelist_count")?);
    let size = ask("PRAGMA page_size")?;
    let bytes = |pages: i64| u64::try_from(pages.saturating_mul(size)).unwrap_or_default();
    gauge.note_file(bytes(pages), bytes(unused));
    Ok((pages, unused))
}
