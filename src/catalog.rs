//! The configuration: from files to an immutable snapshot of compiled
//! triggers, swapped whole.
//!
//! In: texts of files. Out: a snapshot, and what is wrong with the texts. This
//! is the only module that knows how the stages' compiled parts make a
//! trigger.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::ids::{ListenerId, TriggerId};

pub mod cluster;
mod compile;
mod decode;
pub mod diagnostic;
pub mod files;
pub mod guard;
pub mod lease;
pub mod list_cluster;
mod load;
pub mod migrate;
pub mod objects;
mod permits;
mod refused;
mod resolve;
pub mod services;
mod snapshot;
mod source;
mod spelling;
pub mod status;
pub mod tekton;
pub mod watch_cluster;
pub mod watch_files;
mod yaml;

pub use compile::{Broken, Group, Stretch, Trigger, Way, recompile};
pub use load::{Loaded, Loader, SourceFile};
pub use permits::{Crossing, Permits};
pub use snapshot::{Bounds, Entry, Listener, Manner, Snapshot, TriggerBounds};
pub use source::{GroupSource, InterceptorSource, TriggerSource};

/// Deleted triggers that are remembered, so that their deliveries can be
/// cancelled. Of more than these, deliveries wait until they are given up.
const DELETED: usize = 10_000;

/// What is in force, and word of its changes.
#[derive(Debug)]
pub struct Catalog {
    snapshot: ArcSwap<Snapshot>,
    mistakes: ArcSwap<Vec<String>>,
    /// How long a trigger must have been away to count as deleted.
    deleted_after: Duration,
    /// Triggers that have gone away, and when.
    gone: Mutex<HashMap<(ListenerId, TriggerId), Instant>>,
    is_loaded: AtomicBool,
    changed: watch::Sender<u64>,
}

impl Catalog {
    /// A catalogue with nothing in it. Files that are copied, folders that are
    /// mounted and repositories that are checked out are away for a moment: a
    /// trigger counts as deleted after `deleted_after`.
    pub fn new(deleted_after: Duration) -> Self {
        Self {
            snapshot: ArcSwap::default(),
            mistakes: ArcSwap::default(),
            deleted_after,
            gone: Mutex::default(),
            is_loaded: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        }
    }

    /// What is in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What is wrong with the configuration.
    pub fn mistakes(&self) -> Arc<Vec<String>> {
        self.mistakes.load_full()
    }

    /// Puts another snapshot in force, with what is wrong with the
    /// configuration that it comes from. Also told of when only secrets have
    /// changed.
    pub fn replace(&self, snapshot: Arc<Snapshot>, mistakes: Vec<String>) {
        self.mistakes.store(Arc::new(mistakes));
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        let now: HashSet<_> = snapshot.trigger_ids().collect();
        if let Ok(mut gone) = self.gone.lock() {
            gone.retain(|id, _| !now.contains(id));
            let room = DELETED.saturating_sub(gone.len());
            // Where something could not be read, nobody can say that it is gone.
            let is_whole = |listener: &ListenerId| {
                let there = snapshot.listener(&listener.to_string());
                !snapshot.is_incomplete() && there.is_none_or(|there| !there.is_incomplete)
            };
            let missing = before
                .trigger_ids()
                .filter(|id| !now.contains(id) && is_whole(&id.0));
            let at = Instant::now();
            gone.extend(missing.take(room).map(|id| (id, at)));
        }
        self.is_loaded.store(true, Ordering::Release);
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// Whether anybody can say that a listener is not there: some configuration
    /// was read, and all of it.
    pub fn knows_of_absence(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire) && !self.snapshot.load().is_incomplete()
    }

    /// Tells that secrets have changed.
    pub fn secrets_changed(&self) {
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// Whether the trigger was in force since this process began, and has not
    /// been for a while.
    pub fn was_deleted(&self, listener: &ListenerId, trigger: &TriggerId) -> bool {
        let id = (listener.clone(), trigger.clone());
        let gone = self.gone.lock();
        gone.is_ok_and(|gone| {
            let since = gone.get(&id);
            since.is_some_and(|since| since.elapsed() >= self.deleted_after)
        })
    }

    /// Tells of every change from now on.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests;
