//! The accept lane with its journal: what is wanted is durable before anybody
//! is told so.

use std::sync::Arc;

use uuid::Uuid;

use crate::catalog::Listener;
use crate::journal::{Journal, JournalError, NewDeferral, Quota};
use crate::model::event::RawEvent;
use crate::model::ids::TriggerId;

use super::answer::Answer;
use super::judge::{Accepted, Held};

/// What became of an event that had waited for its verification.
pub struct Settled {
    /// What the triggers made of it now.
    pub accepted: Accepted,
    /// What is to be performed.
    pub held: Vec<Held>,
}

/// The accept lane with its journal.
pub struct Gate {
    journal: Arc<dyn Journal>,
    quota: Quota,
}

impl Gate {
    /// A lane that writes to `journal`; `quota` bounds what may wait for one
    /// listener without being verified.
    pub fn new(journal: Arc<dyn Journal>, quota: Quota) -> Self {
        Self { journal, quota }
    }

    /// Makes durable what the triggers want. Nothing that no trigger wants is
    /// written. Gives the deliveries that the caller now has to perform.
    pub async fn admit(
        &self,
        accepted: &mut Accepted,
        listener: &Listener,
        request: &RawEvent,
        now_ms: i64,
        rerun: Uuid,
    ) -> Result<Vec<Held>, JournalError> {
        let waiting = accepted.waiting();
        if !waiting.is_empty() {
            let deferral = NewDeferral {
                listener: listener.id.clone(),
                triggers: waiting,
                received_ms: now_ms,
                request: request.clone(),
            };
            match self.journal.defer(deferral, self.quota).await {
                // Others accept the event: it must not fail for a stranger's quota.
                Err(JournalError::Quota) if accepted.answer() == Answer::Accepted => {}
                other => other?,
            }
        }
        match accepted.new_event(listener, now_ms, rerun) {
            None => Ok(Vec::new()),
            Some(event) => {
                let receipts = self.journal.accept(event).await?;
                Ok(accepted.take_receipts(receipts, now_ms))
            }
        }
    }

    /// Looks again at an event that waits: of its triggers, those that can be
    /// decided now are, and what they want is made durable together with the
    /// end of the wait. It goes on waiting for the others, and for those that
    /// are `absent`.
    pub async fn settle(
        &self,
        id: i64,
        mut accepted: Accepted,
        listener: &Listener,
        received_ms: i64,
        absent: Vec<TriggerId>,
        rerun: Uuid,
    ) -> Result<Settled, JournalError> {
        let mut waiting = accepted.waiting();
        waiting.extend(absent);
        let event = accepted.new_event(listener, received_ms, rerun);
        let receipts = self.journal.settle(id, waiting, event).await?;
        let held = accepted.take_receipts(receipts, received_ms);
        Ok(Settled { accepted, held })
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }
}
