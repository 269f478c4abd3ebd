//! What is taken out of a journal is gone from its files.

use std::path::Path;

use super::history::{id, page};
use super::*;
use crate::journal::history::{Change, DeliveryFilter, Erasure, History};
use crate::model::finding::Finding;
use crate::model::headers::Headers;

/// Stands for personal data, wherever a request may have it.
const CANARY: &str = "canary";

/// An event with personal data everywhere, long enough for pages of its own.
fn personal(number: u128) -> NewEvent {
    let mut headers = Headers::new();
    headers.append("X-Name", "canary in a header");
    let mut new = event(number, Some(&number.to_string()), 10, &["t1"]);
    new.request = Recorded {
        method: "POST".into(),
        url: "/?name=canary".into(),
        headers,
        body: format!("{}canary", "x".repeat(20_000)).into(),
    };
    let delivery = &mut new.deliveries[0];
    delivery.extensions = Map::from_iter([("x".into(), json!("canary in an extension"))]);
    delivery.findings = vec![Finding {
        detail: Some("canary in a finding".into()),
        ..Finding::passed("verify")
    }];
    new
}

fn rendered() -> Arc<Rendered> {
    Arc::new(Rendered {
        as_of: None,
        params: vec![Param {
            name: "name".into(),
            value: "canary in a parameter".into(),
        }],
        manifests: vec![Manifest(json!({"data": "canary in a manifest"}))],
    })
}

/// How many of the folder's files have the canary.
fn holding(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes())
    };
    let holding = files.map(|file| file.path()).filter(has);
    holding.map(|path| path.display().to_string()).collect()
}

impl Fixture {
    /// An event with personal data that has come to its end.
    async fn ended(&self, new: NewEvent) -> DeliveryId {
        let delivery = new_id(&self.accept(new).await[0]);
        // What is replayed is held by nobody.
        self.lease(i64::MAX, 9).await;
        let committed = self.journal.commit(
            delivery,
            rendered(),
            vec![Finding {
                detail: Some("canary found later".into()),
                ..Finding::passed("ask")
            }],
        );
        committed.await.unwrap();
        self.end(delivery, Happening::Succeeded, 20).await;
        delivery
    }
}

#[tokio::test]
async fn an_erased_event_leaves_no_byte_of_its_payload_and_keeps_its_skeleton() {
    let fixture = Fixture::new();
    let delivery = fixture.ended(personal(1)).await;
    let replay = NewEvent {
        key: None,
        replay_of: Some(id(1)),
        ..personal(2)
    };
    fixture.ended(replay).await;
    fixture.ended(event(3, Some("3"), 10, &["t1"])).await;
    assert!(!holding(fixture.folder.path()).is_empty());

    // What is replayed has the same payload.
    let erased = fixture.journal.erase(id(1), false, 50).await.unwrap();
    let expected = Erasure::Erased {
        requests: 2,
        cancelled: vec![],
        waiting: 0,
    };
    assert_eq!(erased, expected);
    // The third event has a canary of its own.
    assert!(!holding(fixture.folder.path()).is_empty());
    fixture.journal.erase(id(3), false, 50).await.unwrap();
    assert_eq!(holding(fixture.folder.path()), Vec::<String>::new());

    let record = fixture.journal.event(id(1)).await.unwrap().unwrap();
    let request = &record.requests[0];
    assert_eq!(request.summary.erased_ms, Some(50));
    assert_eq!(request.summary.received_ms, 10);
    assert_eq!(request.summary.deliveries[0].id, delivery);
    assert_eq!(
        request.summary.deliveries[0].progress.state,
        DeliveryState::Done
    );
    assert_eq!(request.deliveries[0].rendered, None);
    // It is known when it comes again.
    let again = fixture.accept(personal(1)).await;
    assert!(matches!(again[0], Receipt::Duplicate { .. }), "{again:?}");
    let unknown = fixture.journal.erase(id(9), false, 50).await.unwrap();
    assert_eq!(unknown, Erasure::Unknown);
}

#[tokio::test]
async fn what_is_under_way_is_erased_by_force_alone_and_made_by_nobody() {
    let fixture = Fixture::new();
    let delivery = new_id(&fixture.accept(personal(1)).await[0]);
    let refused = fixture.journal.erase(id(1), false, 50).await.unwrap();
    let expected = Erasure::UnderWay {
        deliveries: vec![delivery],
        waiting: 0,
    };
    assert_eq!(refused, expected);
    let erased = fixture.journal.erase(id(1), true, 50).await.unwrap();
    let expected = Erasure::Erased {
        requests: 1,
        cancelled: vec![delivery],
        waiting: 0,
    };
    assert_eq!(erased, expected);
    // Whoever still works on it brings nothing of it back.
    let committed = fixture.journal.commit(delivery, rendered(), vec![]).await;
    assert!(
        matches!(committed, Err(JournalError::Over(_))),
        "{committed:?}"
    );
    let failed = Happening::FailedForNow(Reason::SinkUnavailable);
    fixture.end(delivery, failed, 60).await;
    let (summary, details) = fixture.journal.delivery(delivery).await.unwrap().unwrap();
    assert_eq!(summary.progress.state, DeliveryState::Cancelled);
    assert_eq!(summary.progress.reason, Some(Reason::Erased));
    assert!(details.attempts.is_empty());
    assert!(fixture.lease(i64::MAX, 9).await.is_empty());
    assert_eq!(holding(fixture.folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn old_payloads_are_forgotten_and_new_or_unfinished_ones_are_not() {
    let fixture = Fixture::new();
    fixture.ended(personal(1)).await;
    fixture.accept(personal(2)).await;
    let recent = NewEvent {
        received_ms: 1_000,
        ..personal(3)
    };
    fixture.ended(recent).await;
    let forget = || fixture.journal.forget_payloads(500, 2_000);
    assert_eq!(forget().await.unwrap(), 1);
    assert_eq!(forget().await.unwrap(), 0);
    let mut erased = Vec::new();
    for number in 1..=3 {
        let record = fixture.journal.event(id(number)).await.unwrap().unwrap();
        erased.push(record.requests[0].summary.erased_ms);
    }
    assert_eq!(erased, [Some(2_000), None, None]);
}

#[tokio::test]
async fn a_dead_delivery_is_put_away_and_a_retrying_one_can_be_hurried() {
    let fixture = Fixture::new();
    let receipts = fixture
        .accept(event(1, None, 10, &["dead", "retried"]))
        .await;
    let (dead, retried) = (new_id(&receipts[0]), new_id(&receipts[1]));
    fixture
        .end(dead, Happening::FailedForGood(Reason::NameTaken), 20)
        .await;
    let running = fixture.journal.discard(retried, 30).await.unwrap();
    assert_eq!(running, Change::NotNow(DeliveryState::Running));
    fixture
        .end(
            retried,
            Happening::FailedForNow(Reason::SinkUnavailable),
            20,
        )
        .await;
    assert!(fixture.lease(30, 9).await.is_empty());
    assert_eq!(
        fixture.journal.retry_now(retried, 30).await.unwrap(),
        Change::Made
    );
    assert_eq!(fixture.lease(30, 9).await.len(), 1);
    let hurried = fixture.journal.retry_now(dead, 30).await.unwrap();
    assert_eq!(hurried, Change::NotNow(DeliveryState::Dead));
    assert_eq!(
        fixture.journal.discard(dead, 40).await.unwrap(),
        Change::Made
    );
    let filter = DeliveryFilter {
        reason: Some(Reason::Discarded),
        ..DeliveryFilter::default()
    };
    let found = fixture
        .journal
        .deliveries(filter, page(9, None))
        .await
        .unwrap();
    assert_eq!(found.items[0].id, dead);
    assert_eq!(found.items[0].progress.state, DeliveryState::Cancelled);
    let unknown = fixture.journal.discard(DeliveryId(99), 40).await.unwrap();
    assert_eq!(unknown, Change::Unknown);
}
