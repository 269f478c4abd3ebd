//! Events that wait.

use super::*;
use crate::model::event::{BodyRule, Proven};
use crate::model::secret::SecretKeyRef;

pub(super) fn deferral(token: &str, body: &'static str) -> NewDeferral {
    let mut headers = Headers::new();
    headers.append("X-Gitlab-Token", token);
    NewDeferral {
        event: EventId(Uuid::from_u128(5)),
        listener: listener(),
        triggers: vec![TriggerId("t1".into()), TriggerId("t2".into())],
        verified: false,
        proven: Vec::new(),
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
        .settle(
            id,
            Settlement {
                waiting: still.clone(),
                events: vec![event(1, Some("a"), 7, &["t1"])],
                ..Settlement::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(receipts.map(|all| all.len()), Some(1));
    let (_, waiting) = fixture.waiting().await.unwrap();
    assert_eq!(waiting.triggers, still);
    let over = |events| Settlement {
        events,
        ..Settlement::default()
    };
    let settled = fixture.journal.settle(id, over(vec![])).await.unwrap();
    assert_eq!(settled, Some(vec![]));
    assert!(fixture.waiting().await.is_none());
    // Whoever comes second has nothing left to decide.
    let late = over(vec![event(2, Some("b"), 7, &["t2"])]);
    assert_eq!(fixture.journal.settle(id, late).await.unwrap(), None);
    assert_eq!(fixture.lease(i64::MAX, 10).await.len(), 0);
}

#[tokio::test]
async fn what_nobody_can_decide_on_is_kept_while_the_rest_waits_on() {
    let fixture = Fixture::new();
    let proven = vec![Proven {
        verifier: "some".into(),
        secret: SecretKeyRef {
            namespace: "ci".into(),
            name: "hook".into(),
            key: "token".into(),
        },
    }];
    let event = NewDeferral {
        verified: true,
        proven: proven.clone(),
        ..deferral("t", "{}")
    };
    assert!(fixture.defer(event).await);
    let (id, _) = fixture.waiting().await.unwrap();
    let settlement = Settlement {
        waiting: vec![TriggerId("t2".into())],
        given_up: Some((vec![TriggerId("t1".into())], 9)),
        ..Settlement::default()
    };
    fixture.journal.settle(id, settlement).await.unwrap();
    let (_, waiting) = fixture.waiting().await.unwrap();
    assert_eq!(waiting.triggers, [TriggerId("t2".into())]);
    assert_eq!(waiting.proven, proven);
    let file = Connection::open(fixture.path()).unwrap();
    let kept: (String, i64) = file
        .query_row(
            "SELECT triggers, given_up_ms FROM deferrals WHERE given_up_ms IS NOT NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(kept, (r#"["t1"]"#.to_owned(), 9));
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
        proven: Vec::new(),
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
        .admit(Some(event(1, None, 0, &["t3"])), vec![large], false, QUOTAS)
        .await
        .unwrap();
    assert_eq!(admitted.receipts.len(), 1);
    let triggers = vec![TriggerId("t1".into()), TriggerId("t2".into())];
    assert_eq!(admitted.turned_away, [triggers]);
}

#[tokio::test]
async fn what_there_is_room_for_waits_unless_its_sender_comes_again() {
    for may_retry in [false, true] {
        let fixture = Fixture::new();
        let large = deferral("t", "123456789012");
        let known = NewDeferral {
            verified: true,
            ..deferral("t", "{}")
        };
        let both = vec![known, large];
        let admitted = fixture.journal.admit(None, both, may_retry, QUOTAS).await;
        assert_eq!(admitted.unwrap().turned_away.len(), 1);
        assert_eq!(fixture.waiting().await.is_none(), may_retry);
    }
}
