//! Who gets what of that which is due.

use rusqlite::StatementStatus;

use crate::journal::{Portion, Portions, Unlimited};

use super::*;

pub(super) fn request(now_ms: i64, limit: usize) -> Request {
    Request {
        now_ms,
        limit,
        bytes: usize::MAX,
        portions: Arc::new(Unlimited),
        after: None,
    }
}

pub(super) fn back(id: DeliveryId) -> HandBack {
    HandBack {
        id,
        reason: Reason::AwaitsSlot,
        wait: None,
    }
}

/// Portions by the name of the listener and the trigger; others have none.
struct Named(Vec<(&'static str, &'static str, usize)>);

impl Portions for Named {
    fn of(&self, listener: &ListenerId, trigger: &TriggerId) -> Portion {
        let mut named = self.0.iter();
        let found = named.find(|(of, name, _)| listener.name == *of && trigger.0 == *name);
        Portion {
            listener: usize::MAX,
            trigger: found.map_or(0, |(_, _, room)| *room),
        }
    }
}

/// Accepts deliveries and gives them back, so that they are due.
async fn pending(fixture: &Fixture, first: u128, listener: &str, triggers: &[&str]) {
    let mut event = event(first, None, i64::try_from(first).unwrap(), triggers);
    event.listener.name = listener.into();
    let receipts = fixture.accept(event).await;
    let ids = receipts.iter().map(|receipt| back(new_id(receipt)));
    fixture.journal.hand_back(ids.collect()).await.unwrap();
}

/// Listener, trigger and time of acceptance of each.
fn named(lease: &Lease) -> Vec<(String, String, i64)> {
    let leased = lease.leased.iter();
    leased
        .map(|one| {
            let (listener, trigger) = (one.listener.name.clone(), one.trigger.0.clone());
            (listener, trigger, one.progress.accepted_ms)
        })
        .collect()
}

#[tokio::test]
async fn a_flood_in_front_of_another_listener_s_row_does_not_hide_it() {
    let fixture = Fixture::new();
    for number in 0..20 {
        pending(&fixture, number, "flood", &["t"]).await;
    }
    pending(&fixture, 99, "quiet", &["t"]).await;
    let lease = fixture.journal.lease(request(100, 4)).await.unwrap();
    let listeners: Vec<_> = named(&lease).into_iter().map(|(of, ..)| of).collect();
    assert_eq!(listeners, ["flood", "flood", "quiet"]);
}

#[tokio::test]
async fn what_may_not_begin_is_passed_over_and_told() {
    let fixture = Fixture::new();
    for number in 0..5 {
        pending(&fixture, number, "a", &["full", "one"]).await;
    }
    let asked = Request {
        portions: Arc::new(Named(vec![("a", "one", 1)])),
        ..request(100, 9)
    };
    let lease = fixture.journal.lease(asked.clone()).await.unwrap();
    assert_eq!(named(&lease), [("a".into(), "one".into(), 0)], "the oldest");
    let left: Vec<&str> = lease.left.iter().map(|(_, trigger)| &*trigger.0).collect();
    assert_eq!(left, ["full", "one"]);
    assert_eq!((lease.resume, lease.next_due_ms), (None, None));
    // The next one of its trigger, and why it waits.
    let lease = fixture.journal.lease(asked).await.unwrap();
    assert_eq!(named(&lease), [("a".into(), "one".into(), 1)]);
    assert_eq!(lease.leased[0].progress.reason, Some(Reason::AwaitsSlot));
    assert_eq!(lease.leased[0].progress.attempts, 0);
}

#[tokio::test]
async fn a_round_reaches_everybody_however_many_they_are() {
    let fixture = Fixture::new();
    for number in 0..300 {
        pending(&fixture, number, &format!("l{number:03}"), &["t", "u"]).await;
    }
    let (mut after, mut seen, mut leases) = (None, Vec::new(), 0);
    loop {
        let asked = Request {
            after,
            ..request(1_000, 50)
        };
        let lease = fixture.journal.lease(asked).await.unwrap();
        assert!(lease.leased.len() <= 50);
        seen.extend(named(&lease));
        leases += 1;
        after = lease.resume;
        if after.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(
        (seen.len(), leases),
        (600, 12),
        "the last one finds the end"
    );
}

#[tokio::test]
async fn large_bodies_end_a_lease_and_the_next_goes_on_behind() {
    let fixture = Fixture::new();
    for name in ["a", "b", "c"] {
        for number in 0..2 {
            let mut event = event(number, None, 0, &["t"]);
            event.listener.name = name.into();
            event.request.body = vec![b' '; 1000].into();
            let receipts = fixture.accept(event).await;
            let id = back(new_id(&receipts[0]));
            fixture.journal.hand_back(vec![id]).await.unwrap();
        }
    }
    let asked = |after| Request {
        bytes: 2_500,
        after,
        ..request(1, 60)
    };
    let first = fixture.journal.lease(asked(None)).await.unwrap();
    let names = |lease: &Lease| {
        named(lease)
            .into_iter()
            .map(|(of, ..)| of)
            .collect::<String>()
    };
    assert_eq!(names(&first), "aab");
    assert_eq!(first.left.len(), 1, "one of b");
    let second = fixture.journal.lease(asked(first.resume)).await.unwrap();
    assert_eq!((names(&second).as_str(), second.resume), ("cc", None));
}

#[tokio::test]
async fn the_next_time_is_that_of_what_may_begin_then() {
    let fixture = Fixture::new();
    pending(&fixture, 1, "a", &["full"]).await;
    pending(&fixture, 7_000, "b", &["t"]).await;
    let asked = Request {
        portions: Arc::new(Named(vec![])),
        ..request(100, 9)
    };
    let lease = fixture.journal.lease(asked).await.unwrap();
    assert_eq!((lease.leased.len(), lease.next_due_ms), (0, Some(7_000)));
}

/// What is looked at for one row behind a hundred thousand that may not begin.
#[test]
fn a_backlog_that_may_not_begin_costs_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let connection = open_connection(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO deliveries (event, trigger_id, revision, state, attempts, accepted_ms,
                                     due_ms, updated_ms, extensions, findings, lane)
             SELECT 1, 't', 'r', 'pending', 0, i, i, i, '{}', '[]',
                    'default' || char(10) || 'flood' || char(10) || 't' FROM n;
             INSERT INTO deliveries (event, trigger_id, revision, state, attempts, accepted_ms,
                                     due_ms, updated_ms, extensions, findings, lane)
             VALUES (1, 't', 'r', 'pending', 0, 200000, 200000, 0, '{}', '[]',
                     'default' || char(10) || 'quiet' || char(10) || 't')",
        )
        .unwrap();
    let asked = Request {
        portions: Arc::new(Named(vec![("quiet", "t", 1)])),
        ..request(300_000, 9)
    };
    let mut lease = Lease::default();
    let chosen = lanes::choose(&connection, &asked, &mut lease).unwrap();
    assert_eq!(chosen.len(), 1);
    let statement = connection.prepare_cached(lanes::NEXT_LANE).unwrap();
    let steps = statement.reset_status(StatementStatus::VmStep);
    assert!((1..1_000).contains(&steps), "{steps} steps");
}

#[tokio::test]
async fn what_is_due_later_behind_what_is_due_is_told() {
    let fixture = Fixture::new();
    pending(&fixture, 10, "one", &["t1"]).await;
    pending(&fixture, 20, "one", &["t1"]).await;
    let lease = fixture.journal.lease(request(15, 9)).await.unwrap();
    assert_eq!(lease.leased.len(), 1);
    assert_eq!(lease.next_due_ms, Some(20));
    assert!(lease.left.is_empty());
}
