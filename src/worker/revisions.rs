//! Triggers as they were when something matched them, compiled again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::catalog::{Trigger, TriggerSource, recompile};
use crate::journal::Leased;

/// Old triggers that are kept compiled: enough for the deliveries that are
/// left over when a configuration changes.
const KEPT: usize = 32;

/// The old triggers that were needed last.
#[derive(Default)]
pub(super) struct Revisions(Mutex<VecDeque<Arc<Trigger>>>);

impl Revisions {
    /// The trigger that a delivery was matched by, or why it cannot be had.
    pub(super) fn get(&self, leased: &Leased) -> Result<Arc<Trigger>, String> {
        if let Some(known) = self.find(leased) {
            return Ok(known);
        }
        let source = TriggerSource::from_json(&leased.source).map_err(|error| error.to_string())?;
        let trigger = recompile(source)?;
        if let Ok(mut kept) = self.0.lock() {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(Arc::clone(&trigger));
        }
        Ok(trigger)
    }

    fn find(&self, leased: &Leased) -> Option<Arc<Trigger>> {
        let kept = self.0.lock().ok()?;
        let same = |trigger: &&Arc<Trigger>| trigger.revision == leased.revision;
        kept.iter().find(same).cloned()
    }
}
