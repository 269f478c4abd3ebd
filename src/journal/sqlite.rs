//! The embedded journal: one SQLite file, one writer, group commit.
//!
//! Every write is a job for the writer thread, which takes all jobs that wait
//! into one transaction and answers them after its commit. In WAL mode with
//! `synchronous=FULL` a commit returns after the log was synced, so that an
//! answer means "on disk". Questions that nobody's delivery waits for have a
//! connection of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::model::finding::Finding;
use crate::model::ids::{DeliveryId, EventId};

use super::progress::Progress;
use super::seal::Seal;
use super::upkeep::{Bounds, KeptSince, Room};
use super::{
    Admitted, Attempt, Counts, Deferral, DeliveryView, Done, HandBack, Journal, JournalError,
    Lease, NewDeferral, NewEvent, Quotas, Receipt, Rendered, Request, Settlement,
};

pub mod care;
mod checkpoint;
mod deferral;
mod delivery;
mod erase;
mod event;
mod folder;
mod history;
mod lanes;
mod retention;
mod room;
mod schedule;
mod schema;
mod upkeep;
mod writer;

use room::{Gauge, folder_of};
use writer::Job;

/// Jobs that may wait for the writer. Beyond, the gateway answers 503.
const QUEUE: usize = 4096;

/// A journal in a file of its own.
pub struct SqliteJournal {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// Whether nothing could be written the last time.
    failing: Arc<AtomicBool>,
    reader: Arc<Mutex<Option<Connection>>>,
    seal: Arc<Seal>,
    writer: Mutex<Option<JoinHandle<()>>>,
    checkpoints: checkpoint::Checkpoints,
    upkeep: upkeep::Keeper,
    gauge: Arc<Gauge>,
    /// Held as long as the journal is open: one process a folder.
    _lock: File,
}

impl SqliteJournal {
    /// Opens the journal at `path`, or makes an empty one. Deliveries that a
    /// process had taken when it ended are pending again.
    ///
    /// Blocks on the disk.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::open_within(path, Bounds::NONE)
    }

    /// As [`SqliteJournal::open`], for one that keeps itself within `bounds`.
    pub fn open_within(path: &Path, bounds: Bounds) -> Result<Self, JournalError> {
        let folder = folder_of(path);
        let lock = folder::claim(folder)?;
        let seal = Seal::open(&folder.join("seal.key")).map_err(|error| JournalError::Folder {
            path: folder.to_owned(),
            message: error.to_string(),
        })?;
        folder::make_private(path)?;
        let mut connection = open_connection(path)?;
        delivery::restart(&connection).map_err(|source| cannot_open(path, source))?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let checkpoints = checkpoint::Checkpoints::start(path)?;
        let log = checkpoints
            .watch(&mut connection)
            .map_err(|source| cannot_open(path, source))?;
        let reader = schema::open_reader(path)?;
        let failing = Arc::new(AtomicBool::new(false));
        let gauge = Arc::new(Gauge::new(path, bounds));
        let (told, watched) = (Arc::clone(&failing), Arc::clone(&gauge));
        let no_thread = |error: std::io::Error| JournalError::Folder {
            path: folder.to_owned(),
            message: error.to_string(),
        };
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer::run(connection, queue, log, &told, &watched))
            .map_err(no_thread)?;
        let upkeep = upkeep::Upkeep {
            jobs: jobs.downgrade(),
            gauge: Arc::clone(&gauge),
            log: checkpoints.waker(),
        };
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            failing,
            reader: Arc::new(Mutex::new(Some(reader))),
            seal: Arc::new(seal),
            writer: Mutex::new(Some(writer)),
            checkpoints,
            upkeep: upkeep.start().map_err(no_thread)?,
            gauge,
            _lock: lock,
        })
    }

    /// Runs `work` in the writer's next transaction.
    fn write<T, F>(&self, work: F) -> Done<'_, T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, JournalError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (jobs, gauge) = (self.sender(), &self.gauge);
        Box::pin(async move {
            let job: Box<dyn Job> = Box::new(writer::Task::new(work, answer));
            jobs?.send(job).await.map_err(|_| JournalError::Closed)?;
            let done = answered.await.map_err(|_| JournalError::Closed)?;
            done.map_err(|error| gauge.explain(error))
        })
    }

    fn sender(&self) -> Result<mpsc::Sender<Box<dyn Job>>, JournalError> {
        let jobs = self.jobs.lock().map_err(|_| JournalError::Closed)?;
        jobs.clone().ok_or(JournalError::Closed)
    }

    /// As [`SqliteJournal::write`], for work that a caller outside waits for:
    /// where the queue is full, or there is no room, it is refused at once.
    fn write_or_refuse<T, F>(&self, work: F) -> Done<'_, T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, JournalError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (jobs, gauge) = (self.sender(), &self.gauge);
        Box::pin(async move {
            if let Some(refusal) = gauge.refusal() {
                return Err(JournalError::Refused(refusal));
            }
            let job: Box<dyn Job> = Box::new(writer::Task::new(work, answer));
            jobs?.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => JournalError::Busy,
                mpsc::error::TrySendError::Closed(_) => JournalError::Closed,
            })?;
            let done = answered.await.map_err(|_| JournalError::Closed)?;
            done.map_err(|error| gauge.explain(error))
        })
    }
}

impl SqliteJournal {
    /// Asks something that no delivery waits for, beside the writer.
    fn read<T, F>(&self, question: F) -> Done<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    {
        let (reader, gauge) = (Arc::clone(&self.reader), &self.gauge);
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || {
                let reader = reader.lock().map_err(|_| JournalError::Closed)?;
                question(reader.as_ref().ok_or(JournalError::Closed)?)
            });
            let answer = asked.await.map_err(|_| JournalError::Closed)?;
            answer.map_err(|error| gauge.explain(error))
        })
    }
}

impl Journal for SqliteJournal {
    fn guarantee(&self) -> &'static str {
        "an accepted event is synced to this machine's disk"
    }

    fn admit(
        &self,
        event: Option<NewEvent>,
        waiting: Vec<NewDeferral>,
        may_retry: bool,
        quotas: Quotas,
    ) -> Done<'_, Admitted> {
        let seal = Arc::clone(&self.seal);
        self.write_or_refuse(move |connection| {
            let mut admitted = Admitted::default();
            if let Some(event) = &event {
                admitted.receipts = event::insert(connection, &seal, event)?;
            }
            let (fitting, turned_away): (Vec<_>, Vec<_>) =
                deferral::split(connection, &waiting, quotas)?;
            // Who is told to come again must not find half of it kept.
            if !may_retry || turned_away.is_empty() {
                for deferral in fitting {
                    deferral::insert(connection, &seal, deferral)?;
                }
            }
            let triggers = turned_away.into_iter().map(|d| d.triggers.clone());
            admitted.turned_away.extend(triggers);
            Ok(admitted)
        })
    }

    fn commit(
        &self,
        id: DeliveryId,
        rendered: Arc<Rendered>,
        findings: Vec<Finding>,
    ) -> Done<'_, ()> {
        self.write(move |connection| delivery::commit(connection, id, &rendered, &findings))
    }

    fn record(&self, id: DeliveryId, attempt: Attempt, progress: Progress) -> Done<'_, ()> {
        self.write(move |connection| delivery::record(connection, id, &attempt, &progress))
    }

    fn lease(&self, request: Request) -> Done<'_, Lease> {
        let seal = Arc::clone(&self.seal);
        self.write(move |connection| {
            let mut lease = delivery::lease(connection, &seal, &request)?;
            if lease.leased.is_empty() && schedule::set_right(connection, request.now_ms)? > 0 {
                let buried = std::mem::take(&mut lease.buried);
                lease = delivery::lease(connection, &seal, &request)?;
                lease.buried.extend(buried);
            }
            Ok(lease)
        })
    }

    fn hand_back(&self, back: Vec<HandBack>) -> Done<'_, ()> {
        self.write(move |connection| delivery::hand_back(connection, &back))
    }

    fn next_deferred(&self, after: i64) -> Done<'_, Option<Deferral>> {
        let seal = Arc::clone(&self.seal);
        self.write(move |connection| deferral::next(connection, &seal, after))
    }

    fn settle(&self, id: i64, settlement: Settlement) -> Done<'_, Option<Vec<Receipt>>> {
        let seal = Arc::clone(&self.seal);
        self.write(move |connection| {
            if let Some((triggers, now_ms)) = &settlement.given_up {
                deferral::set_aside(connection, id, triggers, *now_ms)?;
            }
            let Settlement { waiting, known, .. } = &settlement;
            if !deferral::settle(connection, id, waiting, known.as_ref())? {
                return Ok(None);
            }
            let mut receipts = Vec::new();
            for event in &settlement.events {
                receipts.append(&mut event::insert(connection, &seal, event)?);
            }
            Ok(Some(receipts))
        })
    }

    fn give_up(&self, id: i64, now_ms: i64) -> Done<'_, ()> {
        self.write(move |connection| deferral::give_up(connection, id, now_ms))
    }

    fn deliveries_of(&self, event: EventId) -> Done<'_, Vec<DeliveryView>> {
        self.read(move |connection| delivery::of_event(connection, event))
    }

    fn counts(&self) -> Done<'_, Counts> {
        self.read(delivery::counts)
    }

    fn tidy(&self, now_ms: i64, kept: KeptSince) -> Done<'_, usize> {
        self.write(move |connection| retention::forget(connection, now_ms, kept))
    }

    fn room(&self) -> Room {
        self.gauge.room()
    }

    fn check(&self) -> Done<'_, ()> {
        let failing = Arc::clone(&self.failing);
        let written = self.write_or_refuse(move |connection| {
            // Only a write says whether one can be made.
            if failing.load(Ordering::Acquire) {
                schema::touch(connection)?;
            }
            Ok(())
        });
        Box::pin(async move {
            match written.await {
                // It answers, if late.
                Err(JournalError::Busy) => Ok(()),
                written => written,
            }
        })
    }

    fn close(&self) -> Done<'_, ()> {
        Box::pin(async move {
            drop(take(&self.jobs));
            let (writer, reader) = (take(&self.writer), Arc::clone(&self.reader));
            let joined = tokio::task::spawn_blocking(move || {
                // The last connection to be closed empties the log.
                drop(take(&reader));
                writer.map(JoinHandle::join)
            });
            joined.await.map_err(|_| JournalError::Closed)?;
            self.checkpoints.stop();
            self.upkeep.stop();
            Ok(())
        })
    }
}

fn take<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().ok().and_then(|mut held| held.take())
}

fn open_connection(path: &Path) -> Result<Connection, JournalError> {
    let connection = Connection::open(path).map_err(|source| cannot_open(path, source))?;
    schema::prepare(&connection, path)?;
    Ok(connection)
}

/// What an error means that keeps a file from being used.
fn cannot_open(path: &Path, source: rusqlite::Error) -> JournalError {
    let path = PathBuf::from(path);
    match room::says_damaged(&source) {
        true => JournalError::Damaged { path, source },
        false => JournalError::Unusable { path, source },
    }
}

#[cfg(test)]
mod tests;
