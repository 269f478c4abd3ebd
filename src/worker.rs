//! Performs what was accepted.
//!
//! In: deliveries, handed over by the accept lane or leased from the journal.
//! Out: effects, and a record of each attempt. A delivery that was handed over
//! never touches the database to be read; whatever cannot be held in memory is
//! given back and leased when there is room. Events that wait for their
//! verification are looked at again whenever something has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::act::Action;
use crate::act::cluster::events::Notices;
use crate::catalog::Catalog;
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
mod flow;
mod lanes;
mod leasing;
pub mod lifecycle;
pub mod replay;
mod revisions;
mod turns;
mod upkeep;

pub use caller::Caller;
use deferred::Look;
use flow::Capacity;
pub use lanes::Flow;
use lanes::Lanes;
use leasing::Task;
pub use lifecycle::Lifecycle;
use turns::Turns;

/// Deliveries that wait in memory for a slot. More wait in the journal.
const QUEUE: usize = 1024;

/// Bytes of bodies that leased deliveries may hold in memory. Those that were
/// handed over are within the ingress' own budget.
const LEASED_BYTES: usize = 64 * 1024 * 1024;

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
    lanes: Arc<Lanes>,
    /// Somebody wants what waits to be judged.
    look: Notify,
    tasks: TaskTracker,
    /// Told when what has not begun is to go back.
    hurry: CancellationToken,
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
    /// How much is performed at once, and how often.
    pub flow: Flow,
    /// How long an event may wait until somebody can decide on it.
    pub deferred_for: Duration,
    /// How long what is over is kept.
    pub retention: Retention,
    /// Tells those whom listeners name what becomes of events.
    pub lifecycle: Lifecycle,
    /// Who publishes what becomes of deliveries, in a cluster.
    pub notices: Option<Notices>,
}

impl Worker {
    /// A worker.
    pub fn new(parts: Parts) -> Arc<Self> {
        let flow = parts.flow;
        // Twice as many, so that whoever has slow work leaves others theirs.
        let turns = Turns::new(Capacity {
            slots: flow.deliveries,
            reserve: flow.deliveries,
            queue: QUEUE,
            bytes: LEASED_BYTES,
        });
        let lanes = Lanes {
            catalog: Arc::clone(&parts.catalog),
            flow,
            turns,
        };
        Arc::new(Self {
            lanes: Arc::new(lanes),
            asking: ask::Asking::new(flow.questions),
            parts,
            tasks: TaskTracker::new(),
            hurry: CancellationToken::new(),
            look: Notify::new(),
            revisions: revisions::Revisions::default(),
        })
    }

    /// Tells those whom listeners name what becomes of events.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.parts.lifecycle
    }

    /// Takes deliveries over from the accept lane, and does not wait. `kept`
    /// lives as long as they do. What may not begin, or has no room to wait, is
    /// given back to the journal and leased when its turn comes; so is all of it
    /// where memory is `tight`.
    pub fn take(self: &Arc<Self>, held: Vec<Held>, kept: impl Kept, tight: bool) {
        let kept: Arc<dyn Kept> = Arc::new(kept);
        let mut back = Vec::new();
        for held in held {
            let task = Task::Held(held, Arc::clone(&kept));
            back.extend(match tight {
                true => Some(self.turn_away(&task)),
                false => self.give_turn(task),
            });
        }
        self.give_back(back);
    }

    /// Works until `stop`, then finishes what it has been given, and once there
    /// is a `hurry` gives back what has not begun. Whoever cannot wait for that
    /// may drop the future: what is left is on disk.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) {
        // Side by side: whatever the one waits for must not hold up the other.
        tokio::join!(
            self.perform(&stop),
            self.look_after(&stop),
            self.keep_up(&stop)
        );
        // Others need not wait until this one has come to it.
        if self.journal().is_shared() {
            self.hurry();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What has not begun is to go back to the journal.
    pub fn hurry(&self) {
        self.hurry.cancel();
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
