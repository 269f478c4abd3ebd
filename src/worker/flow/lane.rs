//! Whose work something is.

use std::sync::Arc;

use crate::model::flow::Limits;
use crate::model::ids::{ListenerId, TriggerId};
use crate::model::verdict::Reason;

/// Whose work something is, and the limits that it is under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::worker) struct Lane {
    pub(in crate::worker) listener: ListenerId,
    pub(in crate::worker) trigger: TriggerId,
    /// The listener's limits.
    pub(in crate::worker) of_listener: Limits,
    /// The trigger's, and what they are counted under.
    pub(in crate::worker) of_trigger: Limits,
    pub(in crate::worker) meter: Arc<str>,
}

impl Lane {
    /// Work of a listener that no limit is for.
    pub(in crate::worker) fn unlimited(listener: ListenerId) -> Self {
        Self {
            listener,
            trigger: TriggerId(String::new()),
            of_listener: Limits::default(),
            of_trigger: Limits::default(),
            meter: Arc::from(""),
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.of_listener.is_any() || self.of_trigger.is_any()
    }

    /// What one waits for that others of its lane wait in front of.
    pub(super) fn waits_for(&self) -> Reason {
        let at_once = self.of_listener.concurrent.or(self.of_trigger.concurrent);
        match at_once {
            Some(_) => Reason::ConcurrencyLimited,
            None => Reason::RateLimited,
        }
    }

    pub(super) fn key(&self) -> LaneKey {
        (self.listener.clone(), self.trigger.clone())
    }

    /// Its meters and what they measure by.
    pub(super) fn meters(&self) -> impl Iterator<Item = (MeterKey, &Limits)> {
        let listener = (MeterKey::Listener(self.listener.clone()), &self.of_listener);
        let trigger = (MeterKey::Trigger(Arc::clone(&self.meter)), &self.of_trigger);
        [listener, trigger]
            .into_iter()
            .filter(|(_, limits)| limits.is_any())
    }
}

/// A trigger of a listener.
pub(super) type LaneKey = (ListenerId, TriggerId);

/// What a limit is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum MeterKey {
    Listener(ListenerId),
    Trigger(Arc<str>),
}
