//! The configuration: from files to an immutable snapshot of compiled
//! triggers, swapped whole.
//!
//! In: texts of files. Out: a snapshot, and what is wrong with the texts. This
//! is the only module that knows how the stages' compiled parts make a
//! trigger.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::ids::{ListenerId, TriggerId};

mod compile;
mod decode;
pub mod diagnostic;
pub mod files;
mod load;
pub mod objects;
mod resolve;
mod snapshot;
mod source;
pub mod watch_files;
mod yaml;

pub use compile::{Broken, Trigger, recompile};
pub use load::{Loaded, Loader, SourceFile};
pub use snapshot::{Entry, Listener, Snapshot};
pub use source::{InterceptorSource, TriggerSource};

/// Deleted triggers that are remembered, so that their deliveries can be
/// cancelled. Of more than these, deliveries wait until they are given up.
const DELETED: usize = 10_000;

/// What is in force, and word of its changes.
#[derive(Debug)]
pub struct Catalog {
    snapshot: ArcSwap<Snapshot>,
    deleted: Mutex<HashSet<(ListenerId, TriggerId)>>,
    changed: watch::Sender<u64>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::default(),
            deleted: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Catalog {
    /// What is in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another snapshot in force. Also told of when only secrets have
    /// changed.
    pub fn replace(&self, snapshot: Arc<Snapshot>) {
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        let now: HashSet<_> = snapshot.trigger_ids().collect();
        if let Ok(mut deleted) = self.deleted.lock() {
            deleted.retain(|id| !now.contains(id));
            let gone = before.trigger_ids().filter(|id| !now.contains(id));
            let room = DELETED.saturating_sub(deleted.len());
            deleted.extend(gone.take(room));
        }
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// Whether the trigger was in force since this process began, and is no
    /// longer.
    pub fn was_deleted(&self, listener: &ListenerId, trigger: &TriggerId) -> bool {
        let id = (listener.clone(), trigger.clone());
        self.deleted
            .lock()
            .is_ok_and(|deleted| deleted.contains(&id))
    }

    /// Tells of every change from now on.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests;
