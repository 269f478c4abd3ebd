//! The embedded journal: one SQLite file, one writer, group commit.
//!
//! Every write is a job for the writer thread, which takes all jobs that wait
//! into one transaction and answers them after its commit. In WAL mode with
//! `synchronous=FULL` a commit returns after the log was synced, so that an
//! answer means "on disk".

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::model::ids::{DeliveryId, EventId, TriggerId};

use super::progress::Progress;
use super::seal::Seal;
use super::{
    Attempt, Counts, Deferral, DeliveryView, Done, Journal, JournalError, Leased, NewDeferral,
    NewEvent, Quota, Receipt, Rendered,
};

mod checkpoint;
mod deferral;
mod delivery;
mod event;
mod folder;
mod schema;
mod writer;

use writer::Job;

/// Jobs that may wait for the writer. Beyond, the gateway answers 503.
const QUEUE: usize = 4096;

/// A journal in a file of its own.
pub struct SqliteJournal {
    jobs: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    seal: Arc<Seal>,
    writer: std::sync::Mutex<Option<JoinHandle<()>>>,
    checkpoints: checkpoint::Checkpoints,
    /// Held as long as the journal is open: one process a folder.
    _lock: File,
}

impl SqliteJournal {
    /// Opens the journal at `path`, or makes an empty one. Deliveries that a
    /// process had taken when it ended are pending again.
    ///
    /// Blocks on the disk.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let lock = folder::claim(folder)?;
        let seal = Seal::open(&folder.join("seal.key")).map_err(|error| JournalError::Folder {
            path: folder.to_owned(),
            message: error.to_string(),
        })?;
        let mut connection = open_connection(path)?;
        delivery::restart(&connection).map_err(|source| damaged(path, source))?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let checkpoints = checkpoint::Checkpoints::start(path)?;
        let log = checkpoints
            .watch(&mut connection)
            .map_err(|source| damaged(path, source))?;
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer::run(connection, queue, log))
            .map_err(|error| JournalError::Folder {
                path: folder.to_owned(),
                message: error.to_string(),
            })?;
        Ok(Self {
            jobs: std::sync::Mutex::new(Some(jobs)),
            seal: Arc::new(seal),
            writer: std::sync::Mutex::new(Some(writer)),
            checkpoints,
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
        let jobs = self.sender();
        Box::pin(async move {
            let job: Box<dyn Job> = Box::new(writer::Task::new(work, answer));
            jobs?.send(job).await.map_err(|_| JournalError::Closed)?;
            answered.await.map_err(|_| JournalError::Closed)?
        })
    }

    fn sender(&self) -> Result<mpsc::Sender<Box<dyn Job>>, JournalError> {
        let jobs = self.jobs.lock().map_err(|_| JournalError::Closed)?;
        jobs.clone().ok_or(JournalError::Closed)
    }

    /// As [`SqliteJournal::write`], for work that a caller outside waits for:
    /// where the queue is full it is refused at once.
    fn write_or_refuse<T, F>(&self, work: F) -> Done<'_, T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, JournalError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let jobs = self.sender();
        Box::pin(async move {
            let job: Box<dyn Job> = Box::new(writer::Task::new(work, answer));
            jobs?.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => JournalError::Busy,
                mpsc::error::TrySendError::Closed(_) => JournalError::Closed,
            })?;
            answered.await.map_err(|_| JournalError::Closed)?
        })
    }
}

impl Journal for SqliteJournal {
    fn accept(&self, event: NewEvent) -> Done<'_, Vec<Receipt>> {
        self.write_or_refuse(move |connection| event::insert(connection, &event))
    }

    fn commit(&self, id: DeliveryId, rendered: Arc<Rendered>) -> Done<'_, ()> {
        self.write(move |connection| delivery::commit(connection, id, &rendered))
    }

    fn record(&self, id: DeliveryId, attempt: Attempt, progress: Progress) -> Done<'_, ()> {
        self.write(move |connection| delivery::record(connection, id, &attempt, &progress))
    }

    fn lease(&self, now_ms: i64, limit: usize) -> Done<'_, Vec<Leased>> {
        self.write(move |connection| delivery::lease(connection, now_ms, limit))
    }

    fn next_due(&self) -> Done<'_, Option<i64>> {
        self.write(delivery::next_due)
    }

    fn hand_back(&self, ids: Vec<DeliveryId>) -> Done<'_, ()> {
        self.write(move |connection| delivery::hand_back(connection, &ids))
    }

    fn defer(&self, event: NewDeferral, quota: Quota) -> Done<'_, ()> {
        let seal = Arc::clone(&self.seal);
        self.write_or_refuse(move |connection| deferral::insert(connection, &seal, &event, quota))
    }

    fn next_deferred(&self, after: i64) -> Done<'_, Option<Deferral>> {
        let seal = Arc::clone(&self.seal);
        self.write(move |connection| deferral::next(connection, &seal, after))
    }

    fn settle(
        &self,
        id: i64,
        waiting: Vec<TriggerId>,
        event: Option<NewEvent>,
    ) -> Done<'_, Vec<Receipt>> {
        self.write(move |connection| {
            deferral::settle(connection, id, &waiting)?;
            match &event {
                Some(event) => event::insert(connection, event),
                None => Ok(Vec::new()),
            }
        })
    }

    fn deliveries_of(&self, event: EventId) -> Done<'_, Vec<DeliveryView>> {
        self.write(move |connection| delivery::of_event(connection, event))
    }

    fn counts(&self) -> Done<'_, Counts> {
        self.write(delivery::counts)
    }

    fn tidy(&self, now_ms: i64) -> Done<'_, usize> {
        self.write(move |connection| event::forget(connection, now_ms))
    }

    fn close(&self) -> Done<'_, ()> {
        Box::pin(async move {
            let take = |lock: &std::sync::Mutex<Option<JoinHandle<()>>>| {
                lock.lock().ok().and_then(|mut writer| writer.take())
            };
            if let Ok(mut jobs) = self.jobs.lock() {
                jobs.take();
            }
            let writer = take(&self.writer);
            let joined = tokio::task::spawn_blocking(move || writer.map(JoinHandle::join));
            joined.await.map_err(|_| JournalError::Closed)?;
            self.checkpoints.stop();
            Ok(())
        })
    }
}

fn open_connection(path: &Path) -> Result<Connection, JournalError> {
    let connection = Connection::open(path).map_err(|source| damaged(path, source))?;
    schema::prepare(&connection, path)?;
    Ok(connection)
}

fn damaged(path: &Path, source: rusqlite::Error) -> JournalError {
    JournalError::Damaged {
        path: PathBuf::from(path),
        source,
    }
}

#[cfg(test)]
mod tests;
