//! Events that wait.

use super::*;
use crate::model::event::BodyRule;

fn deferral(token: &str, body: &'static str) -> NewDeferral {
    let mut headers = Headers::new();
    headers.append("X-Gitlab-Token", token);
    NewDeferral {
        event: EventId(Uuid::from_u128(5)),
        listener: listener(),
        triggers: vec![TriggerId("t1".into()), TriggerId("t2".into())],
        verified: false,
        received_ms: 7,
        request: RawEvent {
            method: "POST".into(),
            url: "/x".into(),
            headers,
            body: body.into(),
            rule: BodyRule::default(),
        },
    }
}

#[tokio::test]
async fn credentials_of_a_waiting_event_are_unreadable_on_disk() {
    let fixture = Fixture::new();
    assert!(fixture.defer(deferral("canary-token", "{}")).await);
    let (_, waiting) = fixture.waiting().await.unwrap();
    assert_eq!(waiting.event.0.as_u128(), 5);
    let headers = waiting.request.headers;
    assert_eq!(headers.get("X-Gitlab-Token"), Some("canary-token"));
    for entry in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(12).any(|window| window == b"canary-token");
        assert!(!found, "{} holds the token", file.display());
    }
}

#[tokio::test]
async fn a_waiting_event_settles_into_deliveries() {
    let fixture = Fixture::new();
    assert!(fixture.defer(deferral("t", "{}")).await);
    let (id, _) = fixture.waiting().await.unwrap();
    let still = vec![TriggerId("t2".into())];
    let receipts = fixture
        .journal
        .settle(id, still.clone(), vec![event(1, Some("a"), 7, &["t1"])])
        .await
        .unwrap();
    assert_eq!(receipts.len(), 1);
    let (_, waiting) = fixture.waiting().await.unwrap();
    assert_eq!(waiting.triggers, still);
    fixture.journal.settle(id, vec![], vec![]).await.unwrap();
    assert!(fixture.waiting().await.is_none());
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_listener() {
    let fixture = Fixture::new();
    assert!(fixture.defer(deferral("t", "{}")).await);
    assert!(!fixture.defer(deferral("t", "123456789")).await);
    assert!(fixture.defer(deferral("t", "{}")).await);
    assert!(!fixture.defer(deferral("t", "{}")).await);
    // Strangers take nothing away from senders who are known.
    let known = |body| NewDeferral {
        verified: true,
        ..deferral("t", body)
    };
    for _ in 0..3 {
        assert!(fixture.defer(known("123456789")).await);
    }
    assert!(!fixture.defer(known("{}")).await);
    let mut elsewhere = deferral("t", "{}");
    elsewhere.listener.name = "elsewhere".into();
    assert!(fixture.defer(elsewhere).await);
}

#[tokio::test]
async fn a_request_is_recorded_although_a_part_of_it_may_not_wait() {
    let fixture = Fixture::new();
    let large = deferral("t", "123456789012");
    let admitted = fixture
        .journal
        .admit(Some(event(1, None, 0, &["t3"])), vec![large], QUOTAS)
        .await
        .unwrap();
    assert_eq!(admitted.receipts.len(), 1);
    let triggers = vec![TriggerId("t1".into()), TriggerId("t2".into())];
    assert_eq!(admitted.turned_away, [triggers]);
}
