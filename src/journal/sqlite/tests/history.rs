//! What a journal says of what it remembers.

use super::*;
use crate::journal::history::{
    DeliveryFilter, EventFilter, EventSummary, History, Page, Paging, SenderId,
};
use crate::model::event::Proven;
use crate::model::finding::Finding;
use crate::model::secret::SecretKeyRef;

pub(super) fn page(limit: usize, cursor: Option<String>) -> Paging {
    Paging { limit, cursor }
}

pub(super) fn id(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

impl Fixture {
    async fn events(&self, filter: EventFilter) -> Vec<u128> {
        let found = self.journal.events(filter, page(100, None)).await.unwrap();
        assert_eq!(found.next, None);
        numbers(&found)
    }

    /// Lets a delivery end; when it was accepted it was taken.
    pub(super) async fn end(&self, id: DeliveryId, happening: Happening, at_ms: i64) {
        let progress = Progress::accepted(1).after(happening, at_ms, &RetryPolicy::DEFAULT, 1.0);
        let attempt = Attempt {
            reason: progress.reason,
            detail: Some("it said canary".into()),
            ..attempt(at_ms)
        };
        self.journal.record(id, attempt, progress).await.unwrap();
    }
}

fn numbers(page: &Page<EventSummary>) -> Vec<u128> {
    page.items
        .iter()
        .map(|event| event.id.0.as_u128())
        .collect()
}

#[tokio::test]
async fn pages_hold_every_event_once_newest_first() {
    let fixture = Fixture::new();
    for number in 1..=7 {
        // Some come in the same millisecond.
        let at_ms = i64::try_from(number).unwrap() / 3;
        fixture.accept(event(number, None, at_ms, &["t"])).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let asked = fixture
            .journal
            .events(EventFilter::default(), page(3, cursor));
        let found = asked.await.unwrap();
        assert!(found.items.len() <= 3);
        seen.extend(numbers(&found));
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    let made_up = page(3, Some("nonsense".into()));
    let refused = fixture
        .journal
        .events(EventFilter::default(), made_up)
        .await;
    assert!(matches!(refused, Err(JournalError::Cursor)));
}

#[tokio::test]
async fn each_part_of_a_filter_leaves_out_what_it_does_not_mean() {
    let fixture = Fixture::new();
    let dead = fixture.accept(event(1, Some("a"), 10, &["t1"])).await;
    let died = Happening::FailedForGood(Reason::NameTaken);
    fixture.end(new_id(&dead[0]), died, 15).await;
    fixture.accept(event(2, Some("b"), 20, &["t1", "t2"])).await;
    let other = ListenerId {
        namespace: "other".into(),
        name: "somebody".into(),
    };
    let elsewhere = NewEvent {
        listener: other.clone(),
        replay_of: Some(id(2)),
        ..event(3, None, 30, &["t3"])
    };
    fixture.accept(elsewhere).await;
    let by = |set: &dyn Fn(&mut EventFilter)| {
        let mut filter = EventFilter::default();
        set(&mut filter);
        filter
    };
    let cases = [
        (by(&|_| {}), vec![3, 2, 1]),
        (by(&|f| f.listener = Some(other.clone())), vec![3]),
        (
            by(&|f| f.trigger = Some(TriggerId("t1".into()))),
            vec![2, 1],
        ),
        (by(&|f| f.states = vec![DeliveryState::Dead]), vec![1]),
        (by(&|f| f.reason = Some(Reason::NameTaken)), vec![1]),
        (by(&|f| f.reason = Some(Reason::Forbidden)), vec![]),
        (by(&|f| f.from_ms = Some(20)), vec![3, 2]),
        (by(&|f| f.until_ms = Some(20)), vec![1]),
        (by(&|f| f.sender = Some("somebody".into())), vec![2, 1]),
        (by(&|f| f.delivery_id = Some("b".into())), vec![2]),
        (by(&|f| f.replay_of = Some(id(2))), vec![3]),
    ];
    for (filter, expected) in cases {
        let said = format!("{filter:?}");
        assert_eq!(fixture.events(filter).await, expected, "{said}");
    }
}

#[tokio::test]
async fn a_record_has_all_that_was_written_down() {
    let fixture = Fixture::new();
    let proven = Proven {
        verifier: "somebody".into(),
        secret: SecretKeyRef {
            namespace: "default".into(),
            name: "hook".into(),
            key: "token".into(),
        },
    };
    let mut new = event(1, Some("a"), 10, &["t1"]);
    new.proven = vec![proven.clone()];
    new.deliveries[0].findings = vec![Finding::passed("verify")];
    new.deliveries[0].resume = Some(2);
    let delivery = new_id(&fixture.accept(new).await[0]);
    let rendered = Rendered {
        as_of: None,
        params: vec![Param {
            name: "p".into(),
            value: "v".into(),
        }],
        manifests: vec![Manifest(json!({"kind": "ConfigMap"}))],
    };
    let committed = fixture
        .journal
        .commit(delivery, Arc::new(rendered.clone()), vec![]);
    committed.await.unwrap();
    fixture.end(delivery, Happening::Succeeded, 12).await;

    let record = fixture.journal.event(id(1)).await.unwrap().unwrap();
    let [request] = &record.requests[..] else {
        panic!("{record:?} is not one request");
    };
    assert_eq!(request.proven, [proven]);
    assert_eq!(&request.request.body[..], b"{}");
    let sender = SenderId {
        sender: "somebody".into(),
        delivery: "a".into(),
    };
    assert_eq!(request.summary.sender, Some(sender));
    let (summary, details) = (&request.summary.deliveries[0], &request.deliveries[0]);
    assert_eq!(summary.progress.state, DeliveryState::Done);
    assert_eq!((details.resume, details.source.as_str()), (Some(2), "{}"));
    assert_eq!(details.findings, [Finding::passed("verify")]);
    assert_eq!(details.rendered, Some(rendered));
    assert_eq!(details.attempts.len(), 1);
    let (again, _) = fixture.journal.delivery(delivery).await.unwrap().unwrap();
    assert_eq!(&again, summary);
    assert!(fixture.journal.event(id(9)).await.unwrap().is_none());
    assert!(
        fixture
            .journal
            .delivery(DeliveryId(99))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_dead_delivery_that_was_replayed_is_no_open_one() {
    let fixture = Fixture::new();
    let receipts = fixture.accept(event(1, Some("a"), 10, &["t1", "t2"])).await;
    for (receipt, at_ms) in receipts.iter().zip([30, 20]) {
        let died = Happening::FailedForGood(Reason::NameTaken);
        fixture.end(new_id(receipt), died, at_ms).await;
    }
    let open = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        unreplayed: true,
        ..DeliveryFilter::default()
    };
    let triggers = async || {
        let asked = fixture.journal.deliveries(open.clone(), page(10, None));
        let found = asked.await.unwrap().items.into_iter();
        found.map(|delivery| delivery.trigger.0).collect::<Vec<_>>()
    };
    // Newest death first.
    assert_eq!(triggers().await, ["t1", "t2"]);
    let replay = NewEvent {
        replay_of: Some(id(1)),
        ..event(2, None, 40, &["t2"])
    };
    fixture.accept(replay).await;
    assert_eq!(triggers().await, ["t1"]);
    let all = DeliveryFilter {
        unreplayed: false,
        ..open.clone()
    };
    let found = fixture
        .journal
        .deliveries(all, page(10, None))
        .await
        .unwrap();
    assert_eq!(found.items[1].replayed_by, Some(id(2)));
    assert_eq!(found.items[1].progress.reason, Some(Reason::NameTaken));
}

#[tokio::test]
async fn what_is_known_before_it_is_accepted_is_committed_at_once() {
    let fixture = Fixture::new();
    let rendered = Rendered {
        as_of: None,
        params: vec![],
        manifests: vec![Manifest(json!({"kind": "ConfigMap"}))],
    };
    let mut new = event(1, None, 10, &["t1"]);
    new.deliveries[0].rendered = Some(Arc::new(rendered.clone()));
    let delivery = new_id(&fixture.accept(new).await[0]);
    fixture
        .journal
        .hand_back(vec![back(delivery)])
        .await
        .unwrap();
    let leased = fixture.lease(20, 1).await;
    assert_eq!(leased[0].rendered, Some(rendered));
}
