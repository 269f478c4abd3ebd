//! What has been accepted, on disk before the sender hears so.
//!
//! In: verified events with the triggers that matched them, events that wait
//! for their verification, and what becomes of deliveries. Out: receipts that
//! are durable, and the work that is left. A journal only persists: how a
//! delivery moves from state to state is the pure function in [`progress`].

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::event::{BodyRule, Proven, RawEvent};
use crate::model::finding::Finding;
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, DeliveryKey, EventId, ListenerId, Revision, TriggerId};
use crate::model::manifest::Manifest;
use crate::model::params::Params;
use crate::model::verdict::{DeliveryState, Reason};

pub mod jetstream;
pub mod history;
mod leasing;
pub mod progress;
mod leased;
mod seal;
pub mod sqlite;
pub mod upkeep;
mod waiting;

pub use leased::Leased;
pub use leasing::{Buried, Cursor, HandBack, Lease, Portion, Portions, Request, Unlimited};
use progress::Progress;
use upkeep::{KeptSince, Refusal, Room};
pub use waiting::{Deferral, Known, NewDeferral, Quota, Quotas, Settlement};

/// The future that a journal's methods return.
pub type Done<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// A durable record of deliveries.
pub trait Journal: Send + Sync {
    /// Whether whoever comes first leases what was admitted, here or in another
    /// gateway. Otherwise the caller of [`Journal::admit`] holds it.
    fn is_shared(&self) -> bool {
        false
    }

    /// What it survives, in a sentence.
    fn guarantee(&self) -> &'static str;

    /// Resolves when there is something to lease that nobody has asked for.
    fn arrived(&self) -> Done<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Records a request: the deliveries that it causes, and what of it has to
    /// wait, where `quotas` have room for that. Where not all of it has and the
    /// sender `may_retry`, what has to wait is not recorded at all. When this
    /// returns, all of it is durable. Deliveries that were recorded before under the same key are
    /// told from new ones.
    fn admit(
        &self,
        event: Option<NewEvent>,
        waiting: Vec<NewDeferral>,
        may_retry: bool,
        quotas: Quotas,
    ) -> Done<'_, Admitted>;

    /// Records what a delivery will make, before the first effect, and what
    /// its interceptors found that were asked after the answer. When this
    /// returns, it is durable.
    fn commit(
        &self,
        id: DeliveryId,
        rendered: Arc<Rendered>,
        findings: Vec<Finding>,
    ) -> Done<'_, ()>;

    /// Records an attempt and where the delivery stands after it.
    fn record(&self, id: DeliveryId, attempt: Attempt, progress: Progress) -> Done<'_, ()>;

    /// Takes deliveries that are due and that there is room for, and marks them
    /// as running: of every trigger the oldest, and no listener's only. One that
    /// cannot be read back is given up.
    fn lease(&self, request: Request) -> Done<'_, Lease>;

    /// Gives deliveries back that may not begin now, or that a stopping worker
    /// has not begun. That is no attempt.
    fn hand_back(&self, back: Vec<HandBack>) -> Done<'_, ()>;

    /// The oldest event after number `after` that waits.
    fn next_deferred(&self, after: i64) -> Done<'_, Option<Deferral>>;

    /// Records what became of a waiting event. Nothing where it does not wait
    /// any more.
    fn settle(&self, id: i64, settlement: Settlement) -> Done<'_, Option<Vec<Receipt>>>;

    /// Ends the wait of an event that nobody has decided on. It is kept for
    /// somebody to look at.
    fn give_up(&self, id: i64, now_ms: i64) -> Done<'_, ()>;

    /// The deliveries of an event, in the order in which they were accepted.
    fn deliveries_of(&self, event: EventId) -> Done<'_, Vec<DeliveryView>>;

    /// How many deliveries stand in each state, and how many events wait.
    fn counts(&self) -> Done<'_, Counts>;

    /// Forgets keys whose time is over at `now_ms`, and what was over before it
    /// had to be to be kept. A little at once: how much it was, 0 where nothing
    /// is left to forget.
    fn tidy(&self, now_ms: i64, kept: KeptSince) -> Done<'_, usize>;

    /// How large it is and whether it takes new events, as far as it knows.
    fn room(&self) -> Room {
        Room::default()
    }

    /// Whether it can be written now.
    fn check(&self) -> Done<'_, ()>;

    /// Writes down what can be written down and closes.
    fn close(&self) -> Done<'_, ()>;
}

/// An event to be recorded with its deliveries.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// The id for deliveries that are performed again: those stand for an
    /// event of their own.
    pub rerun_id: EventId,
    /// The event that it replays. Nobody holds the deliveries of such a one:
    /// they are leased like any other.
    pub replay_of: Option<EventId>,
    /// The listener that it came to.
    pub listener: ListenerId,
    /// Which secrets have proved who sent it.
    pub proven: Vec<Proven>,
    /// When it came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// When it was found to be wanted: later where it had to wait.
    pub accepted_ms: i64,
    /// What makes it the same event when it comes again, and for how long in
    /// milliseconds.
    pub key: Option<(DeliveryKey, i64)>,
    /// The request without its credentials.
    pub request: Recorded,
    /// Its deliveries.
    pub deliveries: Vec<NewDelivery>,
}

/// A request as it is recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// Path and query without the part that chose the listener.
    pub url: String,
    /// The headers, without credentials.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Recorded {
    /// The request, for a listener that reads bodies by `rule`.
    pub fn into_raw(self, rule: BodyRule) -> RawEvent {
        RawEvent {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body,
            rule,
        }
    }
}

/// One trigger that an event fires.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The trigger.
    pub trigger: TriggerId,
    /// The trigger as it was when it matched.
    pub revision: Revision,
    /// What the revision is the hash of.
    pub source: Arc<str>,
    /// Whether it is performed again when it comes again.
    pub rerun: bool,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// What each step found.
    pub findings: Vec<Finding>,
    /// Where its interceptors go on, where somebody else has to be asked.
    pub resume: Option<usize>,
    /// All headers, credentials included, where whoever is asked may need
    /// them. They are sealed before they are written, and forgotten once
    /// nobody has to be asked any more.
    pub unsealed: Option<Headers>,
    /// What it makes, where that is known already: it is committed at once.
    pub rendered: Option<Arc<Rendered>>,
}

/// What became of one delivery that was to be recorded, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is recorded, and the caller holds it.
    New {
        /// Its number.
        id: DeliveryId,
        /// The event that it stands for.
        event: EventId,
    },
    /// It was recorded before.
    Duplicate {
        /// The event that it stands for.
        event: EventId,
        /// Where that delivery stands.
        state: DeliveryState,
        /// Why, where there is a reason.
        reason: Option<Reason>,
    },
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// For each delivery, in order.
    pub receipts: Vec<Receipt>,
    /// Triggers for which there was no room to wait.
    pub turned_away: Vec<Vec<TriggerId>>,
}

/// What a delivery makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The parameters that bindings gave.
    pub params: Params,
    /// The resources.
    pub manifests: Vec<Manifest>,
    /// A moment before the first of them was made, as whoever makes them counts
    /// moments: from then on it can be looked up what has become of them.
    pub as_of: Option<String>,
}

/// One attempt to perform a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, in milliseconds of Unix time.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Why it failed, where it did.
    pub reason: Option<Reason>,
    /// The failure in a sentence.
    pub detail: Option<String>,
    /// How many of the delivery's resources, counted from the first, are where
    /// they belong after it. A journal keeps the most that it was told.
    pub acted: usize,
}

/// A delivery as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryView {
    /// Its number.
    pub id: DeliveryId,
    /// The trigger.
    pub trigger: TriggerId,
    /// Where it stands.
    pub progress: Progress,
    /// What it makes, where that is committed already.
    pub rendered: Option<Rendered>,
}

/// How much a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries by state.
    pub deliveries: Vec<(DeliveryState, u64)>,
    /// Events that wait until somebody can decide on them.
    pub deferred: u64,
    /// Events that have waited for too long, and are kept.
    pub given_up: u64,
}

/// Why a journal could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the data folder.
    #[error(
        "the data folder {0} is in use by another process; stop that one, or give this one a folder of its own with --data"
    )]
    InUse(PathBuf),
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {message}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The file is no journal, or a damaged one.
    #[error("the journal {path} is damaged or no journal: {source}; {}", upkeep::salvage_hint(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: rusqlite::Error,
    },
    /// The file cannot be read or written.
    #[error(
        "the journal {path} cannot be used: {source}; see that its disk has room and that it may be written"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: rusqlite::Error,
    },
    /// The file was written by a later version.
    #[error(
        "the journal {path} has format {found}, which is newer than {known}; run the version that wrote it"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: i64,
        /// The newest format that this version knows.
        known: i64,
    },
    /// More is waiting to be written than may wait.
    #[error("the journal cannot keep up")]
    Busy,
    /// The NATS server could not be asked, or refused.
    #[error("the NATS server of the journal: {0}")]
    Remote(String),
    /// Somebody else performs the delivery by now.
    #[error("another gateway has taken the delivery over")]
    Lost,
    /// What was sealed cannot be opened.
    #[error(
        "it was sealed by a gateway with another key; give all gateways of one journal the same seal key"
    )]
    OtherSeal,
    /// No new events are taken, so that what was accepted is safe.
    #[error("{0}")]
    Refused(Refusal),
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
    /// The write failed; nothing of it is on disk.
    #[error("the journal could not be written: {0}")]
    Write(#[from] rusqlite::Error),
    /// The delivery was cancelled while somebody worked on it.
    #[error("delivery {0} was cancelled meanwhile")]
    Over(DeliveryId),
    /// Whoever pages through a list has made the cursor up.
    #[error("the cursor is none that a page has given")]
    Cursor,
    /// The log could not be emptied, because somebody reads it.
    #[error(
        "the payload is erased, but the journal's log still has it because something reads the journal; erase it again to empty the log"
    )]
    LogInUse,
    /// A record cannot be read back.
    #[error("record {id} of the journal cannot be read: {message}")]
    Record {
        /// Number of the record.
        id: i64,
        /// What is wrong with it.
        message: String,
    },
}
