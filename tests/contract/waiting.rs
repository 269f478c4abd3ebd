//! Events that wait until somebody can decide on them.

use tripline::journal::{Deferral, NewDeferral, Settlement};
use tripline::model::event::{BodyRule, RawEvent};

use super::{
    EventId, Headers, Journal, Place, QUOTAS, TriggerId, Uuid, back, end, event, lease, listener,
    new_id, now_ms,
};

pub(super) fn deferral(number: u128, verified: bool) -> NewDeferral {
    let mut headers = Headers::new();
    headers.append("Authorization", "Bearer canary");
    NewDeferral {
        event: EventId(Uuid::from_u128(number)),
        listener: listener(),
        triggers: vec![TriggerId("t1".into()), TriggerId("t2".into())],
        verified,
        proven: Vec::new(),
        received_ms: now_ms(),
        request: RawEvent {
            method: "POST".into(),
            url: "/".into(),
            headers,
            body: "{}".into(),
            rule: BodyRule::default(),
        },
    }
}

pub(super) async fn defer(journal: &dyn Journal, event: NewDeferral) -> bool {
    let admitted = journal.admit(None, vec![event], true, QUOTAS).await;
    admitted.unwrap().turned_away.is_empty()
}

pub(super) async fn next(journal: &dyn Journal, after: i64) -> Option<Deferral> {
    journal.next_deferred(after).await.unwrap()
}

/// An event waits, for whoever still has to decide on it, until nobody has.
pub(super) async fn waits_and_is_settled(place: &dyn Place) {
    let journal = place.open().await;
    assert!(next(&*journal, 0).await.is_none());
    for number in [1, 2] {
        assert!(defer(&*journal, deferral(number, true)).await);
    }
    end(journal).await;
    let journal = place.open().await;
    let first = next(&*journal, 0).await.unwrap();
    let second = next(&*journal, first.id).await.unwrap();
    assert!(next(&*journal, second.id).await.is_none());
    let waiting = first.waiting.unwrap();
    assert_eq!(waiting.event, EventId(Uuid::from_u128(1)));
    let kept = waiting.request.headers.get("Authorization");
    assert_eq!(kept, Some("Bearer canary"));
    // One of its triggers has decided, and wants it.
    let left = vec![TriggerId("t2".into())];
    let settlement = Settlement {
        waiting: left.clone(),
        events: vec![event("a", now_ms(), &["t1"])],
        ..Settlement::default()
    };
    let receipts = journal.settle(first.id, settlement).await.unwrap().unwrap();
    let id = new_id(&receipts[0]);
    if !journal.is_shared() {
        journal.hand_back(back([id])).await.unwrap();
    }
    assert_eq!(lease(&*journal, now_ms(), 1).await[0].id, id);
    let again = next(&*journal, 0).await.unwrap();
    assert_eq!(again.id, first.id, "its number stays");
    assert_eq!(again.waiting.unwrap().triggers, left);
    let ended = journal.settle(first.id, Settlement::default()).await;
    assert!(ended.unwrap().is_some());
    let ended = journal.settle(first.id, Settlement::default()).await;
    assert!(ended.unwrap().is_none(), "it does not wait any more");
    journal.give_up(second.id, now_ms()).await.unwrap();
    assert!(next(&*journal, 0).await.is_none());
    let counts = journal.counts().await.unwrap();
    assert_eq!((counts.deferred, counts.given_up), (0, 1));
    end(journal).await;
}

/// What strangers may send has a small quota of its own.
pub(super) async fn waits_within_its_quota(place: &dyn Place) {
    let journal = place.open().await;
    for (number, fits) in [(1, true), (2, true), (3, false)] {
        assert_eq!(defer(&*journal, deferral(number, false)).await, fits);
    }
    assert!(defer(&*journal, deferral(4, true)).await);
    let first = next(&*journal, 0).await.unwrap();
    let ended = journal.settle(first.id, Settlement::default()).await;
    assert!(ended.unwrap().is_some());
    assert!(defer(&*journal, deferral(5, false)).await);
    end(journal).await;
}
