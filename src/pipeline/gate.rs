//! The accept lane with its journal: what is wanted is durable before anybody
//! is told so.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::catalog::Listener;
use crate::failpoint::{self, Point};
use crate::journal::{Journal, JournalError, NewEvent, Quotas, Receipt, Settlement};
use crate::model::ids::TriggerId;

use super::accepted::{Accepted, Held};

/// What became of an event that had waited for its verification.
pub struct Settled {
    /// What the triggers made of it now.
    pub accepted: Accepted,
    /// What is to be performed.
    pub held: Vec<Held>,
}

/// When an event is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// When it came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// When it is journaled as wanted: it is tried from then on.
    pub now_ms: i64,
    /// The id for deliveries that are performed again.
    pub rerun: Uuid,
}

impl Acceptance {
    /// An event that came just now.
    pub fn new(now_ms: i64) -> Self {
        Self {
            received_ms: now_ms,
            now_ms,
            rerun: Uuid::now_v7(),
        }
    }
}

/// How long a delivery is known when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// One that its sender has given an id.
    pub id: Duration,
    /// One that is recognised by its bytes alone: as long as its sender may be
    /// at sending it again.
    pub hash: Duration,
}

impl Windows {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        id: Duration::from_secs(7 * 24 * 60 * 60),
        hash: Duration::from_secs(60),
    };
}

/// The accept lane with its journal.
pub struct Gate {
    journal: Arc<dyn Journal>,
    quotas: Quotas,
    windows: Windows,
}

impl Gate {
    /// A lane that writes to `journal`; `quotas` bound what may wait for one
    /// listener.
    pub fn new(journal: Arc<dyn Journal>, quotas: Quotas) -> Self {
        Self {
            journal,
            quotas,
            windows: Windows::DEFAULT,
        }
    }

    /// The same lane, which knows deliveries for other times.
    #[must_use]
    pub fn remembering(self, windows: Windows) -> Self {
        Self { windows, ..self }
    }

    /// Makes durable what the triggers want, and what has to wait. Nothing
    /// that no trigger wants is written. Gives the deliveries that the caller
    /// now has to perform.
    pub async fn admit(
        &self,
        accepted: &mut Accepted,
        listener: &Listener,
        at: Acceptance,
    ) -> Result<Vec<Held>, JournalError> {
        // Nobody has put anything in the event's place before it is journaled.
        let event = accepted.new_events(listener, at, self.windows).pop();
        let waiting = accepted.deferrals(listener, at.received_ms);
        if event.is_none() && waiting.is_empty() {
            return Ok(Vec::new());
        }
        let may_retry = accepted.may_retry();
        failpoint::reach(Point::BeforeAppend);
        let admitted = self.journal.admit(event, waiting, may_retry, self.quotas);
        let admitted = admitted.await?;
        failpoint::reach(Point::AfterAppend);
        for triggers in admitted.turned_away {
            accepted.turn_away(&triggers);
        }
        let held = accepted.take_receipts(admitted.receipts, listener, at.now_ms);
        Ok(self.holds(held))
    }

    /// Makes an event durable that replays another one.
    pub async fn admit_replay(&self, event: NewEvent) -> Result<Vec<Receipt>, JournalError> {
        let admitted = self
            .journal
            .admit(Some(event), Vec::new(), false, self.quotas);
        Ok(admitted.await?.receipts)
    }

    /// Looks again at an event that waits: of its triggers, those that can be
    /// decided now are, and what they want is made durable together with the
    /// end of the wait. It goes on waiting for the others, and for those that
    /// are `absent`. Nothing where somebody else has ended its wait.
    pub async fn settle(
        &self,
        id: i64,
        mut accepted: Accepted,
        listener: &Listener,
        absent: Vec<TriggerId>,
        at: Acceptance,
    ) -> Result<Option<Settled>, JournalError> {
        let mut waiting = accepted.waiting();
        waiting.extend(absent);
        let abandoned = accepted.abandoned();
        let settlement = Settlement {
            waiting,
            known: accepted.known(),
            given_up: (!abandoned.is_empty()).then_some((abandoned, at.now_ms)),
            events: accepted.new_events(listener, at, self.windows),
        };
        failpoint::reach(Point::Settle);
        let Some(receipts) = self.journal.settle(id, settlement).await? else {
            return Ok(None);
        };
        failpoint::reach(Point::AfterSettle);
        let held = accepted.take_receipts(receipts, listener, at.now_ms);
        let held = self.holds(held);
        Ok(Some(Settled { accepted, held }))
    }

    /// What of it is in the hands of this process.
    fn holds(&self, held: Vec<Held>) -> Vec<Held> {
        if self.journal.is_shared() {
            return Vec::new();
        }
        held
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }
}
