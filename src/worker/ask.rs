//! Events that wait for the word of an interceptor elsewhere: each is asked
//! about until there is an answer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::catalog::Entry;
use crate::journal::{JournalError, NewDeferral};

use super::Worker;

/// Events that are asked about at once.
const AT_ONCE: usize = 16;

/// How long to wait before the second question, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Who is asked about, and up to where it is known who is to be.
pub(super) struct Asking {
    wanted: Notify,
    slots: Semaphore,
    newest: AtomicI64,
    about: Mutex<HashSet<i64>>,
    /// Events that somebody was asked about since the start.
    asked: Mutex<HashSet<i64>>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            wanted: Notify::new(),
            slots: Semaphore::new(AT_ONCE),
            newest: AtomicI64::new(0),
            about: Mutex::default(),
            asked: Mutex::default(),
        }
    }
}

impl Asking {
    /// Waits until a new event is to be asked about.
    pub(super) async fn is_wanted(&self) {
        self.wanted.notified().await;
    }

    /// The newest event that was looked at.
    pub(super) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Acquire)
    }

    /// An event was looked at.
    pub(super) fn has_seen(&self, id: i64) {
        self.newest.fetch_max(id, Ordering::AcqRel);
    }

    /// Whether an event is asked about.
    pub(super) fn has(&self, id: i64) -> bool {
        self.about.lock().is_ok_and(|about| about.contains(&id))
    }

    /// Whether somebody was asked about an event since the start.
    pub(super) fn has_asked(&self, id: i64) -> bool {
        self.asked.lock().is_ok_and(|asked| asked.contains(&id))
    }

    fn note_asked(&self, id: i64) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.insert(id);
        }
    }

    /// Forgets an event that does not wait any more.
    pub(super) fn forget(&self, id: i64) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.remove(&id);
        }
    }

    fn begin(&self, id: i64) -> bool {
        self.about.lock().is_ok_and(|mut about| about.insert(id))
    }

    fn end(&self, id: i64) {
        if let Ok(mut about) = self.about.lock() {
            about.remove(&id);
        }
    }
}

/// Ends the asking about an event, whatever becomes of it.
struct Ended<'a>(&'a Asking, i64);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl Worker {
    /// Tells that an event has come that somebody elsewhere has to be asked
    /// about.
    pub fn ask_soon(&self) {
        self.asking.wanted.notify_one();
    }

    /// Whether an event waits for the word of somebody elsewhere.
    pub(super) fn may_await(&self, waiting: &NewDeferral) -> bool {
        let snapshot = self.parts.catalog.snapshot();
        waiting.triggers.iter().any(|id| {
            let entry = snapshot.trigger(&waiting.listener, id);
            matches!(entry, Some(Entry::Ready(trigger)) if trigger.may_await())
        })
    }

    /// Asks about an event until there is an answer, unless that is being done.
    pub(super) fn ask(self: &Arc<Self>, id: i64, stop: &CancellationToken) {
        if !self.asking.begin(id) {
            return;
        }
        let (worker, stop) = (Arc::clone(self), stop.clone());
        self.tasks.spawn(async move {
            let _ended = Ended(&worker.asking, id);
            tokio::select! {
                () = stop.cancelled() => {}
                () = worker.keep_asking(id) => {}
            }
        });
    }

    async fn keep_asking(self: &Arc<Self>, id: i64) {
        let mut wait = FIRST_WAIT;
        loop {
            let Ok(slot) = self.asking.slots.acquire().await else {
                return;
            };
            match self.ask_once(id).await {
                Ok(true) => return self.asking.forget(id),
                Ok(false) => {}
                Err(error) => self.report("an event that waits", &error),
            }
            drop(slot);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Whether there is nothing left to ask about the event.
    async fn ask_once(self: &Arc<Self>, id: i64) -> Result<bool, JournalError> {
        // Nothing of it is held while nobody is asked.
        let next = self.journal().next_deferred(id - 1).await?;
        let Some(next) = next.filter(|next| next.id == id) else {
            return Ok(true);
        };
        let Ok(waiting) = next.waiting else {
            return Ok(true);
        };
        if !self.may_await(&waiting) {
            // What it waits for now is another matter.
            return Ok(true);
        }
        let decided = self.judge_again(id, &Arc::new(waiting)).await;
        self.asking.note_asked(id);
        if !decided? {
            return Ok(false);
        }
        // Some of its triggers may wait for somebody else.
        let next = self.journal().next_deferred(id - 1).await?;
        Ok(next.is_none_or(|next| next.id != id))
    }
}
