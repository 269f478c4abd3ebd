//! Deliveries: each performed, kept and tried again as it should be.

use std::sync::Arc;

use serde_json::json;
use tripline::journal::Rendered;
use tripline::model::manifest::Manifest;

use super::{
    Attempt, DeliveryId, DeliveryState, Duration, Happening, Place, Reason, RetryPolicy, accept,
    attempt, back, earlier, end, event, lease, new_id, nothing_comes, now_ms, record,
};

/// What is accepted comes once, as it was, and never again once it is done.
pub(super) async fn is_performed_once(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1", "t2"]);
    let receipts = accept(&*journal, sent.clone()).await;
    let leased = lease(&*journal, now_ms(), 2).await;
    let ids: Vec<DeliveryId> = receipts.iter().map(new_id).collect();
    assert_eq!(leased.iter().map(|l| l.id).collect::<Vec<_>>(), ids);
    for (leased, trigger) in leased.iter().zip(["t1", "t2"]) {
        assert_eq!(leased.event, sent.id);
        assert_eq!(leased.trigger.0, trigger);
        assert_eq!(leased.listener, sent.listener);
        assert_eq!(leased.request.url, sent.request.url);
        assert_eq!(leased.request.headers, sent.request.headers);
        assert_eq!(leased.request.body, sent.request.body);
        assert_eq!(leased.extensions["x"], json!([1]));
        assert_eq!(leased.source, "{\"a\":1}");
        assert_eq!(leased.progress.accepted_ms, sent.accepted_ms);
        assert_eq!(leased.rendered, None);
    }
    nothing_comes(&*journal, now_ms()).await;
    for leased in &leased {
        record(&*journal, leased, Happening::Succeeded, now_ms()).await;
    }
    end(journal).await;
    let journal = place.open().await;
    nothing_comes(&*journal, now_ms() + 600_000).await;
    let views = journal.deliveries_of(sent.id).await.unwrap();
    let states: Vec<DeliveryState> = views.iter().map(|view| view.progress.state).collect();
    assert_eq!(states, [DeliveryState::Done; 2]);
    end(journal).await;
}

/// What somebody had begun when he ended is performed by the next.
pub(super) async fn outlives_whoever_had_it(place: &dyn Place) {
    let journal = place.open().await;
    accept(&*journal, event("a", now_ms(), &["t1"])).await;
    lease(&*journal, now_ms(), 1).await;
    end(journal).await;
    let journal = place.open().await;
    let again = lease(&*journal, now_ms(), 1).await;
    assert_eq!(again[0].trigger.0, "t1");
    journal.hand_back(back([again[0].id])).await.unwrap();
    let again = lease(&*journal, now_ms(), 1).await;
    record(&*journal, &again[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

fn rendered(text: &str) -> Arc<Rendered> {
    let manifest = json!({"kind": "ConfigMap", "data": {"text": text}});
    Arc::new(Rendered {
        params: Vec::new(),
        manifests: vec![Manifest(manifest)],
        as_of: Some("42".into()),
    })
}

/// What a delivery makes is rendered once.
pub(super) async fn keeps_what_it_makes(place: &dyn Place) {
    let journal = place.open().await;
    accept(&*journal, event("a", now_ms(), &["t1"])).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    let made = rendered("first");
    let committed = journal.commit(leased[0].id, Arc::clone(&made), Vec::new());
    committed.await.unwrap();
    end(journal).await;
    let journal = place.open().await;
    let leased = lease(&*journal, now_ms(), 1).await;
    assert_eq!(leased[0].rendered.as_ref(), Some(&*made));
    record(&*journal, &leased[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

const FAILED: Happening = Happening::FailedForNow(Reason::SinkUnavailable);

/// A delivery that failed comes again when it is due, and not before.
pub(super) async fn is_tried_again_when_it_is_due(place: &dyn Place) {
    let journal = place.open().await;
    accept(&*journal, event("a", now_ms(), &["t1"])).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    let progress = record(&*journal, &leased[0], FAILED, now_ms()).await;
    assert_eq!(progress.state, DeliveryState::Retrying);
    nothing_comes(&*journal, now_ms()).await;
    assert!(now_ms() < progress.due_ms, "there was time to look");
    let wait = u64::try_from(progress.due_ms - now_ms()).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let again = lease(&*journal, now_ms(), 1).await;
    assert_eq!(again[0].progress.attempts, 1);
    assert_eq!(again[0].progress.reason, Some(Reason::SinkUnavailable));
    record(&*journal, &again[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

/// Whoever starts anew makes nothing come sooner, and forgets no attempt.
pub(super) async fn keeps_its_schedule_over_a_restart(place: &dyn Place) {
    let journal = place.open().await;
    accept(&*journal, event("a", now_ms(), &["t1"])).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    let first = record(&*journal, &leased[0], FAILED, now_ms()).await;
    end(journal).await;
    let journal = place.open().await;
    nothing_comes(&*journal, now_ms()).await;
    assert!(now_ms() < first.due_ms, "there was time to look");
    let again = lease(&*journal, first.due_ms, 1).await;
    assert_eq!(again[0].progress.attempts, 1);
    assert_eq!(again[0].progress.due_ms, first.due_ms);
    record(&*journal, &again[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

/// How far an attempt has come is kept, and whether there was another one that
/// nobody knows the end of.
pub(super) async fn remembers_how_far_it_has_come(place: &dyn Place) {
    let journal = place.open().await;
    accept(&*journal, event("a", now_ms(), &["t1"])).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    let committed = journal.commit(leased[0].id, rendered("first"), Vec::new());
    committed.await.unwrap();
    let progress = leased[0]
        .progress
        .after(FAILED, now_ms(), &RetryPolicy::DEFAULT, 1.0);
    let attempt = Attempt {
        acted: 3,
        ..attempt(now_ms())
    };
    let recorded = journal.record(leased[0].id, attempt, progress);
    recorded.await.unwrap();
    end(journal).await;
    let journal = place.open().await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let again = lease(&*journal, progress.due_ms, 1).await;
    assert_eq!(again[0].progress, progress);
    assert_eq!(again[0].acted, 3);
    assert!(!again[0].is_unclear());
    end(journal).await;
    let journal = place.open().await;
    let again = lease(&*journal, progress.due_ms, 1).await;
    assert_eq!(again[0].progress.attempts, 1);
    assert_eq!(again[0].acted, 3);
    assert!(again[0].is_unclear());
    // One that came less far takes nothing back.
    record(&*journal, &again[0], FAILED, again[0].progress.due_ms).await;
    let last = lease(&*journal, now_ms() + 60_000, 1).await;
    assert_eq!(last[0].acted, 3);
    record(&*journal, &last[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

/// Neither what comes in nor what is made of it is bounded by what the journal
/// writes at once.
pub(super) async fn is_kept_whatever_its_size(place: &dyn Place) {
    let journal = place.open().await;
    let body: String = (0..500_000).map(|n| format!("{n:06} ")).collect();
    let mut large = event("a", now_ms(), &["t1"]);
    large.request.body = body.clone().into();
    accept(&*journal, large).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    assert!(
        leased[0].request.body == body.as_bytes(),
        "the body differs"
    );
    let made = rendered(&body);
    let committed = journal.commit(leased[0].id, Arc::clone(&made), Vec::new());
    committed.await.unwrap();
    journal.hand_back(back([leased[0].id])).await.unwrap();
    let again = lease(&*journal, now_ms(), 1).await;
    assert!(again[0].rendered.as_ref() == Some(&*made), "it differs");
    assert!(again[0].request.body == body.as_bytes(), "the body differs");
    record(&*journal, &again[0], Happening::Succeeded, now_ms()).await;
    end(journal).await;
}

/// What was given up is counted, and tells why to whoever sends it again.
pub(super) async fn is_counted_when_it_is_given_up(place: &dyn Place) {
    let journal = place.open().await;
    let sent = event("a", now_ms(), &["t1"]);
    accept(&*journal, sent.clone()).await;
    let leased = lease(&*journal, now_ms(), 1).await;
    let given_up = Happening::FailedForGood(Reason::NameTaken);
    record(&*journal, &leased[0], given_up, now_ms()).await;
    let counts = journal.counts().await.unwrap();
    let dead = counts.deliveries.iter();
    let dead: u64 = dead
        .filter(|(state, _)| *state == DeliveryState::Dead)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(dead, 1);
    let again = accept(&*journal, sent).await;
    let expected = (DeliveryState::Dead, Some(Reason::NameTaken));
    assert_eq!(earlier(&again[0]), expected);
    end(journal).await;
}
