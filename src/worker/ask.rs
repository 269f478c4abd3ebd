//! Events that wait for the word of an interceptor elsewhere: each is asked
//! about until there is an answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::catalog::Entry as Found;
use crate::journal::{JournalError, NewDeferral};
use crate::model::ids::ListenerId;

use super::Worker;
use super::deferred::Again;
use super::flow::{Capacity, Lane};
use super::turns::{Asked, Turn, Turns};

/// How long to wait before the second question, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Who is asked about, and up to where it is known who is to be.
pub(super) struct Asking {
    wanted: Notify,
    turns: Arc<Turns>,
    newest: AtomicI64,
    about: Mutex<HashMap<i64, About>>,
}

/// How far asking about an event has come.
#[derive(Clone, Copy, Debug, Default)]
struct About {
    /// Whether somebody has been asked since the start.
    is_asked: bool,
    /// Whether somebody is being asked now.
    is_asking: bool,
}

impl Asking {
    /// Asks about so many at once. What waits for its turn is bounded by the
    /// quotas of events that wait.
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            wanted: Notify::new(),
            turns: Turns::new(Capacity {
                slots: at_once,
                reserve: at_once,
                queue: usize::MAX / 2,
                bytes: usize::MAX,
            }),
            newest: AtomicI64::new(0),
            about: Mutex::default(),
        }
    }

    /// Waits for the turn to ask somebody for a listener: those that ask slow
    /// ones do not hold up the others.
    async fn turn(&self, listener: &ListenerId) -> Option<Turn> {
        match self.turns.ask(&Lane::unlimited(listener.clone()), false, 0) {
            Asked::Now(turn) => Some(turn),
            Asked::Later(turn) => turn.await.ok(),
            Asked::Back(_) => None,
        }
    }
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
        self.about.lock().is_ok_and(|about| about.contains_key(&id))
    }

    /// Whether somebody was asked about an event since the start, and nobody is
    /// at the moment.
    pub(super) fn has_heard(&self, id: i64) -> bool {
        let about = self.about.lock();
        about.is_ok_and(|about| {
            let about = about.get(&id);
            about.is_some_and(|about| about.is_asked && !about.is_asking)
        })
    }

    fn note(&self, id: i64, is_asking: bool) {
        if let Ok(mut about) = self.about.lock()
            && let Some(about) = about.get_mut(&id)
        {
            about.is_asked |= !is_asking;
            about.is_asking = is_asking;
        }
    }

    fn begin(&self, id: i64) -> bool {
        let about = self.about.lock();
        about.is_ok_and(|mut about| match about.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(About::default());
                true
            }
        })
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
            matches!(entry, Some(Found::Ready(trigger)) if trigger.may_await())
        })
    }

    /// Asks about an event until there is an answer, unless that is being done.
    pub(super) fn ask(self: &Arc<Self>, id: i64, listener: &ListenerId, stop: &CancellationToken) {
        if !self.asking.begin(id) {
            return;
        }
        let (worker, stop, listener) = (Arc::clone(self), stop.clone(), listener.clone());
        self.tasks.spawn(async move {
            let _ended = Ended(&worker.asking, id);
            tokio::select! {
                () = stop.cancelled() => {}
                () = worker.keep_asking(id, &listener) => {}
            }
        });
    }

    async fn keep_asking(self: &Arc<Self>, id: i64, listener: &ListenerId) {
        let mut wait = FIRST_WAIT;
        loop {
            let Some(turn) = self.asking.turn(listener).await else {
                return;
            };
            match self.ask_once(id).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => self.report("an event that waits", &error),
            }
            drop(turn);
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
        let waiting = Arc::new(waiting);
        if !self.may_await(&waiting) {
            // What it waits for now is another matter, and nobody has looked at
            // it while it was asked about.
            self.judge_again(id, &waiting).await?;
            return Ok(true);
        }
        self.asking.note(id, true);
        let again = self.judge_again(id, &waiting).await;
        self.asking.note(id, false);
        if again? != Again::Decided {
            return Ok(false);
        }
        // Some of its triggers may wait for somebody else.
        let next = self.journal().next_deferred(id - 1).await?;
        Ok(next.is_none_or(|next| next.id != id))
    }
}
