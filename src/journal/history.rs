//! What a journal remembers: lists and records for people, and what they may
//! do to those.
//!
//! A page may hold fewer entries than were asked for, or none, and still have
//! a cursor: a journal looks at a bounded part of itself at once. Only a page
//! without a cursor is the last one.

use crate::model::event::Proven;
use crate::model::finding::Finding;
use crate::model::ids::{DeliveryId, EventId, ListenerId, Revision, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::progress::Progress;
use super::{Attempt, Done, Recorded, Rendered};

use serde_json::{Map, Value};

/// Looks back, and forgets what it is told to.
pub trait History: Send + Sync {
    /// Requests that were accepted, newest first.
    fn events(&self, filter: EventFilter, page: Paging) -> Done<'_, Page<EventSummary>>;

    /// All that is recorded of an event; nothing where it is not known.
    fn event(&self, id: EventId) -> Done<'_, Option<EventRecord>>;

    /// Deliveries, newest first: dead ones by when they were given up, others
    /// by when they were accepted.
    fn deliveries(&self, filter: DeliveryFilter, page: Paging) -> Done<'_, Page<DeliverySummary>>;

    /// One delivery, and the event that it belongs to.
    fn delivery(&self, id: DeliveryId) -> Done<'_, Option<(DeliverySummary, DeliveryRecord)>>;

    /// Events that wait until somebody can decide on them, newest first, those
    /// that were given up among them.
    fn waiting(&self, page: Paging) -> Done<'_, Page<WaitingSummary>>;

    /// Removes the payload of an event, of its deliveries and of what waits under
    /// its id; and of all that replays it or that it replays, for those have
    /// the same payload. What is left says that there was something. When this
    /// returns, the bytes are gone from where the journal keeps them. Where
    /// deliveries are under way nothing is done, unless they are to be
    /// cancelled (`force`).
    fn erase(&self, id: EventId, force: bool, now_ms: i64) -> Done<'_, Erasure>;

    /// Gives a delivery up that is under way, or puts a dead one away: it is
    /// cancelled from then on.
    fn discard(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change>;

    /// Lets a delivery that is to be retried be due at once.
    fn retry_now(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change>;

    /// Lets what was given up under this id wait again, under another number,
    /// so that somebody looks at it. How many there were.
    fn wait_again(&self, id: EventId) -> Done<'_, usize>;

    /// Forgets the payload of events that came before `before_ms` and are not
    /// under way any more. A little at once: how many those were.
    fn forget_payloads(&self, before_ms: i64, now_ms: i64) -> Done<'_, usize>;
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many entries at most.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; none where there is nothing more.
    pub next: Option<String>,
}

/// Which events are asked for. What is not said is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The listener.
    pub listener: Option<ListenerId>,
    /// One that fired this trigger.
    pub trigger: Option<TriggerId>,
    /// One with a delivery in one of these states.
    pub states: Vec<DeliveryState>,
    /// One with a delivery that has this reason.
    pub reason: Option<Reason>,
    /// Came at or after this, in milliseconds of Unix time.
    pub from_ms: Option<i64>,
    /// Came before this.
    pub until_ms: Option<i64>,
    /// Who sent it, as the table of senders calls him.
    pub sender: Option<String>,
    /// The id that its sender gave it.
    pub delivery_id: Option<String>,
    /// One that replays this event.
    pub replay_of: Option<EventId>,
}

impl EventFilter {
    /// Whether it asks for deliveries, and not for the event alone.
    pub fn asks_for_deliveries(&self) -> bool {
        self.trigger.is_some() || !self.states.is_empty() || self.reason.is_some()
    }
}

/// Which deliveries are asked for. What is not said is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// The listener.
    pub listener: Option<ListenerId>,
    /// The trigger.
    pub trigger: Option<TriggerId>,
    /// One of these states.
    pub states: Vec<DeliveryState>,
    /// The reason.
    pub reason: Option<Reason>,
    /// Accepted, or where only dead ones are asked for given up, at or after
    /// this, in milliseconds of Unix time.
    pub from_ms: Option<i64>,
    /// Before this.
    pub until_ms: Option<i64>,
    /// Without those that were replayed.
    pub unreplayed: bool,
}

/// A request in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSummary {
    /// The event.
    pub id: EventId,
    /// The event that it replays, or that was performed again.
    pub replay_of: Option<EventId>,
    /// The listener.
    pub listener: ListenerId,
    /// When it came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// Who sent it and which id he gave it, where that is known.
    pub sender: Option<SenderId>,
    /// When its payload was erased.
    pub erased_ms: Option<i64>,
    /// Its deliveries.
    pub deliveries: Vec<DeliverySummary>,
}

/// Who sent an event, and which id he gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderId {
    /// Who, as the table of senders calls him.
    pub sender: String,
    /// The id; a hash of the body where he gives none.
    pub delivery: String,
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySummary {
    /// Its number.
    pub id: DeliveryId,
    /// The event that it stands for.
    pub event: EventId,
    /// The listener.
    pub listener: ListenerId,
    /// The trigger.
    pub trigger: TriggerId,
    /// Where it stands.
    pub progress: Progress,
    /// When it came to where it stands, in milliseconds of Unix time.
    pub updated_ms: i64,
    /// The event that has replayed it last.
    pub replayed_by: Option<EventId>,
}

/// All that is recorded of an event.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// Its requests, oldest first: more than one where it came again and some
    /// trigger had not had it before.
    pub requests: Vec<RequestRecord>,
}

/// All that is recorded of a request.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// What a list says of it.
    pub summary: EventSummary,
    /// The request without its credentials; empty where it was erased.
    pub request: Recorded,
    /// Which secrets have proved who sent it.
    pub proven: Vec<Proven>,
    /// More of each of the deliveries, in the same order.
    pub deliveries: Vec<DeliveryRecord>,
}

/// What is recorded of a delivery besides its summary.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// The trigger as it was when it matched.
    pub revision: Revision,
    /// What the revision is the hash of.
    pub source: String,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// What each step found.
    pub findings: Vec<Finding>,
    /// Where its interceptors had to go on elsewhere.
    pub resume: Option<usize>,
    /// What it makes, where that is committed.
    pub rendered: Option<Rendered>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A waiting event in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingSummary {
    /// The id that its sender was told.
    pub event: EventId,
    /// The listener.
    pub listener: ListenerId,
    /// The triggers for which it waits.
    pub triggers: Vec<TriggerId>,
    /// Whether they know who sent it.
    pub verified: bool,
    /// When it came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// When nobody had decided on it for too long.
    pub given_up_ms: Option<i64>,
    /// Bytes of its body.
    pub body_bytes: usize,
}

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// There is no such event.
    Unknown,
    /// Something of it is under way, and nothing was done.
    UnderWay {
        /// Deliveries.
        deliveries: Vec<DeliveryId>,
        /// How often it waits for somebody to decide on it.
        waiting: usize,
    },
    /// The payload is gone.
    Erased {
        /// Requests whose payload is gone.
        requests: usize,
        /// Deliveries that were cancelled for it.
        cancelled: Vec<DeliveryId>,
        /// Events that waited under the id.
        waiting: usize,
    },
}

/// What became of a change to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Made,
    /// There is no such delivery.
    Unknown,
    /// The delivery is where that cannot be done.
    NotNow(DeliveryState),
}
