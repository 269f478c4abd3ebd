//! Performs what was accepted.
//!
//! In: deliveries, handed over by the accept lane or leased from the journal.
//! Out: effects, and a record of each attempt. A delivery that was handed over
//! never touches the database to be read; whatever cannot be held in memory is
//! given back and leased when there is room. Events that wait for their
//! verification are looked at again whenever something has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::act::Action;
use crate::act::cluster::events::Notices;
use crate::catalog::Catalog;
use crate::clock::unix_ms;
use crate::failpoint::{self, Point};
use crate::intercept::calls::Calls;
use crate::journal::history::History;
use crate::journal::progress::RetryPolicy;
use crate::journal::upkeep::Retention;
use crate::journal::{Done, Journal, JournalError};
use crate::model::secret::Secrets;
use crate::pipeline::{Gate, Held};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{Happening, JournalFailed};

mod ask;
mod attempt;
mod caller;
mod deferred;
pub mod lifecycle;
pub mod replay;
mod revisions;
mod upkeep;

pub use caller::Caller;
use deferred::Look;
pub use lifecycle::Lifecycle;

/// Deliveries that are performed at once.
const SLOTS: usize = 64;

/// Deliveries that wait in memory for a slot.
const QUEUE: usize = 1024;

/// Bytes of bodies that leased deliveries may hold in memory, in units of
/// [`UNIT`]. Those that were handed over are within the ingress' own budget.
const LEASED_UNITS: u32 = 64 * 1024;

/// Bytes that one unit stands for.
const UNIT: usize = 1024;

/// How often it is looked whether something has waited, or is kept, for too
/// long, and whether something is due by another clock.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long to leave the journal alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What a held delivery keeps alive besides itself: its part of the budget for
/// bodies.
pub trait Kept: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> Kept for T {}

/// Performs deliveries.
pub struct Worker {
    parts: Parts,
    queue: mpsc::Sender<Queued>,
    wake: Notify,
    /// Somebody wants what waits to be judged.
    look: Notify,
    slots: Arc<Semaphore>,
    leased: Arc<Semaphore>,
    tasks: TaskTracker,
    revisions: revisions::Revisions,
    asking: ask::Asking,
}

/// What a worker is made of.
pub struct Parts {
    /// The accept lane, whose journal it works on.
    pub gate: Arc<Gate>,
    /// What that journal remembers.
    pub history: Arc<dyn History>,
    /// What is in force.
    pub catalog: Arc<Catalog>,
    /// The secrets that are known.
    pub secrets: Arc<dyn Secrets>,
    /// Where objects go.
    pub action: Arc<dyn Action>,
    /// Who asks interceptors elsewhere.
    pub calls: Arc<dyn Calls>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// How often something is tried.
    pub policy: RetryPolicy,
    /// How long an event may wait until somebody can decide on it.
    pub deferred_for: Duration,
    /// How long what is over is kept.
    pub retention: Retention,
    /// Tells those whom listeners name what becomes of events.
    pub lifecycle: Lifecycle,
    /// Who publishes what becomes of deliveries, in a cluster.
    pub notices: Option<Notices>,
}

struct Queued {
    held: Held,
    _kept: Arc<dyn Kept>,
}

/// The end of the queue that [`Worker::run`] works on.
pub struct Queue(mpsc::Receiver<Queued>);

impl Worker {
    /// A worker, and the queue that its [`Worker::run`] takes.
    pub fn new(parts: Parts) -> (Arc<Self>, Queue) {
        let (queue, queued) = mpsc::channel(QUEUE);
        let worker = Self {
            parts,
            queue,
            wake: Notify::new(),
            look: Notify::new(),
            slots: Arc::new(Semaphore::new(SLOTS)),
            leased: Arc::new(Semaphore::new(LEASED_UNITS as usize)),
            tasks: TaskTracker::new(),
            revisions: revisions::Revisions::default(),
            asking: ask::Asking::default(),
        };
        (Arc::new(worker), Queue(queued))
    }

    /// Tells those whom listeners name what becomes of events.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.parts.lifecycle
    }

    /// Takes deliveries over from the accept lane, and does not wait. `kept`
    /// lives as long as they do. Where there is no room, or memory is `tight`,
    /// they are given back to the journal and leased again later.
    pub fn take(self: &Arc<Self>, held: Vec<Held>, kept: impl Kept, tight: bool) {
        let kept: Arc<dyn Kept> = Arc::new(kept);
        let mut back = Vec::new();
        for held in held {
            let id = held.id;
            let queued = Queued {
                held,
                _kept: Arc::clone(&kept),
            };
            if tight || self.queue.try_send(queued).is_err() {
                back.push(id);
            }
        }
        if back.is_empty() {
            return;
        }
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            let journal = worker.journal();
            failpoint::reach(Point::HandBack);
            let what = "a delivery that is given back";
            worker
                .write_down(what, || journal.hand_back(back.clone()))
                .await;
            worker.wake.notify_one();
        });
    }

    /// Works until `stop`, then finishes what it has been given. Whoever cannot
    /// wait for that may drop the future: what is left is on disk.
    pub async fn run(self: &Arc<Self>, queue: Queue, stop: CancellationToken) {
        // Side by side: whatever the one waits for must not hold up the other.
        tokio::join!(
            self.perform(queue.0, &stop),
            self.look_after(&stop),
            self.keep_up(&stop)
        );
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Performs what is handed over and what is due.
    async fn perform(
        self: &Arc<Self>,
        mut queue: mpsc::Receiver<Queued>,
        stop: &CancellationToken,
    ) {
        let mut next_lease = Some(tokio::time::Instant::now());
        let journal = self.journal();
        loop {
            let due = async {
                match next_lease {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(queued) = queue.recv() => self.begin(queued, self.slot().await),
                () = due => next_lease = self.lease_due().await,
                () = self.wake.notified() => next_lease = self.lease_due().await,
                Ok(()) = journal.arrived() => next_lease = self.lease_due().await,
            }
        }
        queue.close();
        while let Some(queued) = queue.recv().await {
            self.begin(queued, self.slot().await);
        }
    }

    /// Looks after what waits and what is kept.
    async fn look_after(self: &Arc<Self>, stop: &CancellationToken) {
        let mut changed = self.parts.catalog.changed();
        changed.mark_changed();
        let mut look_again = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => self.look_at_deferred(Look::Judge, stop).await,
                () = self.look.notified() => self.look_at_deferred(Look::Judge, stop).await,
                () = self.asking.is_wanted() => self.look_at_deferred(Look::New, stop).await,
                _ = look_again.tick() => {
                    self.look_at_deferred(Look::OnlyAge, stop).await;
                }
            }
        }
    }

    /// Waits for a slot. The semaphore is never closed, so that there is one.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// Waits until a leased body of this size may be kept.
    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.clamp(1, LEASED_UNITS);
        Arc::clone(&self.leased)
            .acquire_many_owned(units)
            .await
            .ok()
    }

    fn begin(self: &Arc<Self>, queued: Queued, slot: Option<OwnedSemaphorePermit>) {
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            let Queued { held, _kept } = queued;
            worker.attempt_held(held).await;
            drop(slot);
        });
    }

    /// Leases some of what is due. Gives the time of the next look.
    async fn lease_due(self: &Arc<Self>) -> Option<tokio::time::Instant> {
        // Whoever took all slots would leave none for what comes in.
        let limit = self.slots.available_permits() / 2 + 1;
        let lease = match self.journal().lease(unix_ms(), limit).await {
            Ok(lease) => lease,
            Err(error) => {
                self.report("what is due", &error);
                return Some(tokio::time::Instant::now() + AFTER_FAILURE);
            }
        };
        if lease.leased.is_empty() && lease.buried.is_empty() {
            return self.next_due().await;
        }
        for buried in &lease.buried {
            self.emit_buried(buried);
        }
        for leased in lease.leased {
            let room = self.room(leased.request.body.len()).await;
            let (worker, slot) = (Arc::clone(self), self.slot().await);
            self.tasks.spawn(async move {
                worker.attempt_leased(leased).await;
                drop((slot, room));
            });
        }
        // There may be more; what was handed over has its turn before.
        Some(tokio::time::Instant::now())
    }

    async fn next_due(&self) -> Option<tokio::time::Instant> {
        match self.journal().next_due().await {
            Ok(None) => None,
            Ok(Some(due_ms)) => {
                let wait = u64::try_from(due_ms.saturating_sub(unix_ms())).unwrap_or_default();
                // The clock may be set in the meantime.
                let wait = Duration::from_millis(wait).min(LOOK_AGAIN);
                Some(tokio::time::Instant::now() + wait)
            }
            Err(error) => {
                self.report("when something is due", &error);
                Some(tokio::time::Instant::now() + AFTER_FAILURE)
            }
        }
    }

    /// Writes something down that nobody else will, however long the journal
    /// cannot be written. Once it is closed, the next start makes up for it.
    async fn write_down<'j>(&self, what: &'static str, write: impl Fn() -> Done<'j, ()>) {
        while let Err(error) = write().await {
            self.report(what, &error);
            if matches!(error, JournalError::Closed) {
                return;
            }
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.parts.gate.journal()
    }

    fn report(&self, what: &'static str, error: &JournalError) {
        JournalFailed { what, error }.emit(&self.parts.metrics);
    }
}
