//! What every journal promises, whatever it is made of. Both test binaries
//! include this: one runs it on files, the other on NATS servers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use tripline::journal::history::History;
use tripline::journal::progress::{Happening, Progress, RetryPolicy};
use tripline::journal::{
    Attempt, HandBack, Journal, Leased, NewDelivery, NewEvent, Quota, Quotas, Receipt, Recorded,
    Request, Unlimited,
};
use tripline::model::headers::Headers;
use tripline::model::ids::{DeliveryId, DeliveryKey, EventId, ListenerId, Revision, TriggerId};
use tripline::model::verdict::{DeliveryState, Reason};
use uuid::Uuid;

mod deliveries;
mod history;
mod known;
mod waiting;

/// Where a journal is: what is opened there twice is one journal.
pub(crate) trait Place {
    /// Opens it.
    fn open_history(&self) -> Pin<Box<dyn Future<Output = Opened> + '_>>;

    /// Opens it, to have deliveries performed.
    fn open(&self) -> Pin<Box<dyn Future<Output = Arc<dyn Journal>> + '_>> {
        Box::pin(async { self.open_history().await.journal })
    }
}

/// A journal, seen from both sides.
pub(crate) struct Opened {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) history: Arc<dyn History>,
}

impl Opened {
    pub(crate) fn of<T: Journal + History + 'static>(journal: Arc<T>) -> Self {
        Self {
            journal: Arc::clone(&journal) as _,
            history: journal,
        }
    }
}

/// One promise. It gets a place of its own.
pub(crate) type Promise = fn(&dyn Place) -> Pin<Box<dyn Future<Output = ()> + '_>>;

/// All of them, by name.
pub(crate) const PROMISES: [(&str, Promise); 20] = [
    ("is_performed_once", |p| {
        Box::pin(deliveries::is_performed_once(p))
    }),
    ("outlives_whoever_had_it", |p| {
        Box::pin(deliveries::outlives_whoever_had_it(p))
    }),
    ("keeps_what_it_makes", |p| {
        Box::pin(deliveries::keeps_what_it_makes(p))
    }),
    ("is_tried_again_when_it_is_due", |p| {
        Box::pin(deliveries::is_tried_again_when_it_is_due(p))
    }),
    ("keeps_its_schedule_over_a_restart", |p| {
        Box::pin(deliveries::keeps_its_schedule_over_a_restart(p))
    }),
    ("remembers_how_far_it_has_come", |p| {
        Box::pin(deliveries::remembers_how_far_it_has_come(p))
    }),
    ("is_kept_whatever_its_size", |p| {
        Box::pin(deliveries::is_kept_whatever_its_size(p))
    }),
    ("is_counted_when_it_is_given_up", |p| {
        Box::pin(deliveries::is_counted_when_it_is_given_up(p))
    }),
    ("is_known_when_it_comes_again", |p| {
        Box::pin(known::is_known_when_it_comes_again(p))
    }),
    ("keeps_all_that_it_was_to_cause", |p| {
        Box::pin(known::keeps_all_that_it_was_to_cause(p))
    }),
    ("is_known_for_its_time", |p| {
        Box::pin(known::is_known_for_its_time(p))
    }),
    ("is_performed_again_where_that_is_wanted", |p| {
        Box::pin(known::is_performed_again_where_that_is_wanted(p))
    }),
    ("is_taken_once_by_whoever_sends_it", |p| {
        Box::pin(known::is_taken_once_by_whoever_sends_it(p))
    }),
    ("waits_and_is_settled", |p| {
        Box::pin(waiting::waits_and_is_settled(p))
    }),
    ("waits_within_its_quota", |p| {
        Box::pin(waiting::waits_within_its_quota(p))
    }),
    ("lists_what_was_accepted", |p| {
        Box::pin(history::lists_what_was_accepted(p))
    }),
    ("notes_what_was_replayed", |p| {
        Box::pin(history::notes_what_was_replayed(p))
    }),
    ("lets_people_retry_and_discard", |p| {
        Box::pin(history::lets_people_retry_and_discard(p))
    }),
    ("erases_payloads", |p| Box::pin(history::erases_payloads(p))),
    ("lets_what_was_given_up_wait_again", |p| {
        Box::pin(history::lets_what_was_given_up_wait_again(p))
    }),
];

const QUOTAS: Quotas = Quotas {
    verified: Quota {
        events: 100,
        bytes: 1 << 20,
    },
    unverified: Quota {
        events: 2,
        bytes: 1 << 20,
    },
};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn listener() -> ListenerId {
    ListenerId {
        namespace: "default".into(),
        name: "hook".into(),
    }
}

fn delivery(trigger: &str) -> NewDelivery {
    NewDelivery {
        trigger: TriggerId(trigger.into()),
        revision: Revision("r1".into()),
        source: "{\"a\":1}".into(),
        rerun: false,
        extensions: Map::from_iter([("x".into(), json!([1]))]),
        findings: Vec::new(),
        resume: None,
        unsealed: None,
        rendered: None,
    }
}

/// An event with a key that is known for a minute.
fn event(key: &str, at_ms: i64, triggers: &[&str]) -> NewEvent {
    let key = DeliveryKey::new(&listener(), "contract", "", key);
    let mut headers = Headers::new();
    headers.append("X-Event", "push");
    NewEvent {
        id: EventId::of_key(&key),
        rerun_id: EventId(Uuid::now_v7()),
        replay_of: None,
        proven: Vec::new(),
        listener: listener(),
        received_ms: at_ms,
        accepted_ms: at_ms,
        key: Some((key, 60_000)),
        request: Recorded {
            method: "POST".into(),
            url: "/a?b=c".into(),
            headers,
            body: "{\"n\":1}".into(),
        },
        deliveries: triggers.iter().map(|trigger| delivery(trigger)).collect(),
    }
}

/// Admits an event and lets go of it, so that anybody may lease it.
async fn accept(journal: &dyn Journal, event: NewEvent) -> Vec<Receipt> {
    let admitted = journal.admit(Some(event), vec![], false, QUOTAS).await;
    let receipts = admitted.unwrap().receipts;
    if !journal.is_shared() {
        let new = receipts.iter().filter_map(|receipt| match receipt {
            Receipt::New { id, .. } => Some(*id),
            Receipt::Duplicate { .. } => None,
        });
        journal.hand_back(back(new)).await.unwrap();
    }
    receipts
}

fn request(now_ms: i64, limit: usize) -> Request {
    Request {
        now_ms,
        limit,
        bytes: usize::MAX,
        portions: Arc::new(Unlimited),
        after: None,
    }
}

/// Deliveries that go back and may begin at once.
fn back(ids: impl IntoIterator<Item = DeliveryId>) -> Vec<HandBack> {
    let ids = ids.into_iter();
    ids.map(|id| HandBack {
        id,
        reason: Reason::AwaitsSlot,
        wait: Some(Duration::ZERO),
    })
    .collect()
}

/// Leases `count` deliveries, which must come.
async fn lease(journal: &dyn Journal, now_ms: i64, count: usize) -> Vec<Leased> {
    let mut leased = Vec::new();
    let all = async {
        while leased.len() < count {
            let more = journal
                .lease(request(now_ms, count - leased.len()))
                .await
                .unwrap();
            assert!(more.buried.is_empty(), "{:?}", more.buried);
            leased.extend(more.leased);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, all).await;
    assert!(came.is_ok(), "{} of {count} have come", leased.len());
    leased.sort_by(|a, b| a.trigger.0.cmp(&b.trigger.0));
    leased
}

/// Nothing comes, although there is time for it.
async fn nothing_comes(journal: &dyn Journal, now_ms: i64) {
    for _ in 0..20 {
        let lease = journal.lease(request(now_ms, 9)).await.unwrap();
        assert!(lease.leased.is_empty(), "{:?}", lease.leased);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn attempt(at_ms: i64) -> Attempt {
    Attempt {
        started_ms: at_ms,
        ended_ms: at_ms,
        reason: None,
        detail: None,
        acted: 0,
    }
}

/// Records what has happened to a delivery at a time.
async fn record(
    journal: &dyn Journal,
    leased: &Leased,
    happening: Happening,
    now_ms: i64,
) -> Progress {
    let policy = RetryPolicy::DEFAULT;
    let progress = leased.progress.after(happening, now_ms, &policy, 1.0);
    let recorded = journal.record(leased.id, attempt(now_ms), progress).await;
    recorded.unwrap();
    progress
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

fn new_id(receipt: &Receipt) -> DeliveryId {
    match receipt {
        Receipt::New { id, .. } => *id,
        Receipt::Duplicate { .. } => panic!("{receipt:?} is no new delivery"),
    }
}

/// Where the delivery stands that a receipt says was there before.
fn earlier(receipt: &Receipt) -> (DeliveryState, Option<Reason>) {
    match receipt {
        Receipt::New { .. } => panic!("{receipt:?} was not known"),
        Receipt::Duplicate { state, reason, .. } => (*state, *reason),
    }
}

/// Closes a journal; what comes after is another process.
async fn end(journal: Arc<dyn Journal>) {
    journal.close().await.unwrap();
}
