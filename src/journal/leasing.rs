//! Taking work out of a journal, and giving it back.

use std::sync::Arc;
use std::time::Duration;

use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::verdict::Reason;

use super::Leased;

/// What a worker wants to work on.
#[derive(Clone)]
pub struct Request {
    /// The time, in milliseconds of Unix time: what is due by then.
    pub now_ms: i64,
    /// At most so many.
    pub limit: usize,
    /// Bytes of bodies after which it is enough.
    pub bytes: usize,
    /// How many of a trigger there is room for. A journal that cannot choose
    /// what it gives out need not ask: the worker gives back what may not
    /// begin.
    pub portions: Arc<dyn Portions>,
    /// Where the last lease has stopped, where it was not through.
    pub after: Option<Cursor>,
}

/// Says how many deliveries may begin.
pub trait Portions: Send + Sync {
    /// How many of a trigger, and of its listener altogether.
    fn of(&self, listener: &ListenerId, trigger: &TriggerId) -> Portion;
}

/// How many deliveries may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Of the listener altogether.
    pub listener: usize,
    /// Of the trigger.
    pub trigger: usize,
}

/// There is room for everything.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited;

impl Portions for Unlimited {
    fn of(&self, _: &ListenerId, _: &TriggerId) -> Portion {
        Portion {
            listener: usize::MAX,
            trigger: usize::MAX,
        }
    }
}

/// A place in a journal's round over all triggers that have something due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) (ListenerId, TriggerId));

/// What a worker gets to work on.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    /// Deliveries, of each trigger the oldest first.
    pub leased: Vec<Leased>,
    /// Deliveries that could not be read back.
    pub buried: Vec<Buried>,
    /// Triggers that have more that is due.
    pub left: Vec<(ListenerId, TriggerId)>,
    /// When the next delivery is due that is not due yet, as far as it was
    /// looked.
    pub next_due_ms: Option<i64>,
    /// Where to go on, where not all triggers were looked at.
    pub resume: Option<Cursor>,
}

impl Lease {
    /// Notes when something is due that is not due yet.
    pub(super) fn is_due_later(&mut self, due_ms: i64) {
        let next = self.next_due_ms.map_or(due_ms, |next| next.min(due_ms));
        self.next_due_ms = Some(next);
    }
}

/// A delivery that was given up because it cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buried {
    /// Its number.
    pub id: DeliveryId,
    /// The event, as far as that can be read.
    pub event: EventId,
    /// The trigger, as far as that can be read.
    pub trigger: TriggerId,
    /// What is wrong with it.
    pub message: String,
}

/// A delivery that goes back because it may not begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandBack {
    /// Its number.
    pub id: DeliveryId,
    /// What it waits for.
    pub reason: Reason,
    /// How long it cannot begin, where that is known. A hint for journals that
    /// cannot choose what they give out; others are told by [`Portions`].
    pub wait: Option<Duration>,
}
