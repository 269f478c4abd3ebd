//! Events that wait until somebody can decide on them.

use crate::model::event::{Proven, RawEvent};
use crate::model::ids::{EventId, ListenerId, TriggerId};

use super::NewEvent;

/// An event that nobody can decide on yet.
#[derive(Clone, Debug)]
pub struct NewDeferral {
    /// The id that its sender was told.
    pub event: EventId,
    /// The listener.
    pub listener: ListenerId,
    /// The triggers for which it waits.
    pub triggers: Vec<TriggerId>,
    /// Whether they know who sent it.
    pub verified: bool,
    /// Which secrets have proved it.
    pub proven: Vec<Proven>,
    /// When it came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// The request, credentials included. They are sealed before they are
    /// written.
    pub request: RawEvent,
}

/// What became of a waiting event.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// The triggers for which it waits on.
    pub waiting: Vec<TriggerId>,
    /// What else is known by now of who sent it.
    pub known: Option<Known>,
    /// Those for which nobody can ever decide on it: it is kept for somebody to
    /// look at, and when that was, in milliseconds of Unix time.
    pub given_up: Option<(Vec<TriggerId>, i64)>,
    /// The deliveries that it caused after all.
    pub events: Vec<NewEvent>,
}

/// What is known of who sent a waiting event.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whether the triggers for which it waits know him.
    pub verified: bool,
    /// Which secrets have proved it.
    pub proven: Vec<Proven>,
}

/// How much may wait for one listener.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Of senders who are known.
    pub verified: Quota,
    /// Of senders who may be anybody.
    pub unverified: Quota,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Events.
    pub events: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub struct Deferral {
    /// Its number.
    pub id: i64,
    /// The id that its sender was told.
    pub event: EventId,
    /// All of it, or why it cannot be read back.
    pub waiting: Result<NewDeferral, String>,
}
