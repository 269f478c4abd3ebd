//! What a worker gets to work on.

use serde_json::{Map, Value};

use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, ListenerId, Revision, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::progress::Progress;
use super::{Recorded, Rendered};

/// A delivery that somebody works on.
#[derive(Clone, Debug)]
pub struct Leased {
    /// Its number.
    pub id: DeliveryId,
    /// Where it stood when it was taken.
    pub progress: Progress,
    /// The event.
    pub event: EventId,
    /// The listener.
    pub listener: ListenerId,
    /// The request.
    pub request: Recorded,
    /// The trigger.
    pub trigger: TriggerId,
    /// The trigger as it was when it matched.
    pub revision: Revision,
    /// What the revision is the hash of.
    pub source: String,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// Where its interceptors go on, where somebody else has to be asked.
    pub resume: Option<usize>,
    /// All headers, where whoever is asked may need them.
    pub unsealed: Option<Headers>,
    /// What it makes, where that is committed already.
    pub rendered: Option<Rendered>,
    /// How many of its resources, counted from the first, are where they
    /// belong.
    pub acted: usize,
}

impl Leased {
    /// Whether an attempt may have done more than was recorded of it: the
    /// process that made it ended, or nobody knows what came of a request, or
    /// the last one did not come so far as to look. [`Progress`] is the one
    /// before this lease, so that one whose attempt was recorded is retrying.
    pub fn is_unclear(&self) -> bool {
        let Progress { state, reason, .. } = self.progress;
        let is_open = |reason| {
            let open = [
                Reason::OutcomeUnknown,
                Reason::Internal,
                Reason::TriggerMissing,
            ];
            open.contains(&reason)
        };
        state != DeliveryState::Retrying || reason.is_some_and(is_open)
    }
}
