//! Deliveries that come again.

use futures_util::future::join_all;

use super::{
    DeliveryState, EventId, Happening, Place, QUOTAS, Receipt, accept, back, earlier, end, event,
    lease, new_id, nothing_comes, now_ms, record,
};

/// A delivery is known before, while and after it is performed; what is new
/// beside it is taken.
pub(super) async fn is_known_when_it_comes_again(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1"]);
    accept(&*journal, sent.clone()).await;
    let before = accept(&*journal, sent.clone()).await;
    // What it waits for is told by those who hold it until somebody leases it.
    assert_eq!(earlier(&before[0]).0, DeliveryState::Pending);
    let leased = lease(&*journal, now_ms(), 1).await;
    earlier(&accept(&*journal, sent.clone()).await[0]);
    record(&*journal, &leased[0], Happening::Succeeded, now_ms()).await;
    let after = accept(&*journal, sent.clone()).await;
    assert_eq!(earlier(&after[0]), (DeliveryState::Done, None));
    end(journal).await;
    let journal = place.open().await;
    let more = event("a", now_ms(), &["t1", "t2"]);
    let receipts = accept(&*journal, more).await;
    assert_eq!(earlier(&receipts[0]), (DeliveryState::Done, None));
    assert_eq!(
        new_id(&receipts[1]),
        lease(&*journal, now_ms(), 1).await[0].id
    );
    let views = journal.deliveries_of(sent.id).await.unwrap();
    let triggers: Vec<&str> = views.iter().map(|view| view.trigger.0.as_str()).collect();
    assert_eq!(triggers, ["t1", "t2"]);
    end(journal).await;
}

/// What an event was to cause stays known when only a part of it comes again.
pub(super) async fn keeps_all_that_it_was_to_cause(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1", "t2"]);
    accept(&*journal, sent.clone()).await;
    // Its trigger t2 does not want it any more.
    earlier(&accept(&*journal, event("a", now_ms(), &["t1"])).await[0]);
    let views = journal.deliveries_of(sent.id).await.unwrap();
    let triggers: Vec<&str> = views.iter().map(|view| view.trigger.0.as_str()).collect();
    assert_eq!(triggers, ["t1", "t2"]);
    end(journal).await;
}

/// After its time, it is performed again as an event of its own.
pub(super) async fn is_known_for_its_time(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1"]);
    accept(&*journal, sent.clone()).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    record(&*journal, &leased[0], Happening::Succeeded, now_ms()).await;
    let late = event("a", now_ms() + 120_000, &["t1"]);
    let again = accept(&*journal, late.clone()).await;
    new_id(&again[0]);
    let leased = lease(&*journal, now_ms() + 120_000, 1).await;
    assert_eq!(leased[0].event, late.rerun_id);
    assert_ne!(leased[0].event, sent.id);
    end(journal).await;
}

/// Whoever wants what comes again gets it again.
pub(super) async fn is_performed_again_where_that_is_wanted(place: &dyn Place) {
    let journal = place.open().await;
    let wanting = || {
        let mut sent = event("a", now_ms(), &["t1"]);
        sent.deliveries[0].rerun = true;
        sent
    };
    let first = wanting();
    accept(&*journal, first.clone()).await;
    // While the first one is under way, and when it is done.
    let second = wanting();
    new_id(&accept(&*journal, second.clone()).await[0]);
    let leased = lease(&*journal, now_ms(), 2).await;
    let mut events: Vec<EventId> = leased.iter().map(|leased| leased.event).collect();
    let mut expected = vec![first.id, second.rerun_id];
    events.sort();
    expected.sort();
    assert_eq!(events, expected);
    for leased in &leased {
        record(&*journal, leased, Happening::Succeeded, now_ms()).await;
    }
    let third = wanting();
    new_id(&accept(&*journal, third.clone()).await[0]);
    assert_eq!(lease(&*journal, now_ms(), 1).await[0].event, third.rerun_id);
    end(journal).await;
}

/// However often it is sent at once, it is taken once.
pub(super) async fn is_taken_once_by_whoever_sends_it(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1", "t2"]);
    let all = (0..20).map(|_| journal.admit(Some(sent.clone()), vec![], false, QUOTAS));
    let mut new = Vec::new();
    for admitted in join_all(all).await {
        for receipt in admitted.unwrap().receipts {
            if let Receipt::New { id, .. } = receipt {
                new.push(id);
            }
        }
    }
    assert_eq!(new.len(), 2, "{new:?}");
    if !journal.is_shared() {
        journal.hand_back(back(new)).await.unwrap();
    }
    lease(&*journal, now_ms(), 2).await;
    nothing_comes(&*journal, now_ms()).await;
    end(journal).await;
}
