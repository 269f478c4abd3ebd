//! When a delivery is taken up again, whatever restarts and whatever the clock
//! says.

use super::*;

const FAILED: Happening = Happening::FailedForNow(Reason::ApiUnavailable);
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A delivery that was accepted at `at_ms` and has failed as often, and where it
/// stands.
async fn failed(fixture: &Fixture, at_ms: i64, times: u32) -> (DeliveryId, Progress) {
    let receipts = fixture.accept(event(1, None, at_ms, &["t1"])).await;
    let id = new_id(&receipts[0]);
    let mut progress = Progress::accepted(at_ms);
    for _ in 0..times {
        let now_ms = progress.due_ms;
        progress = progress.after(FAILED, now_ms, &RetryPolicy::DEFAULT, 1.0);
        let recorded = fixture.journal.record(id, attempt(now_ms), progress);
        recorded.await.unwrap();
    }
    (id, progress)
}

/// When the next delivery is due that is not due yet.
async fn next_due(fixture: &Fixture, now_ms: i64) -> Option<i64> {
    let lease = fixture.journal.lease(request(now_ms, 9)).await.unwrap();
    assert!(lease.leased.is_empty());
    lease.next_due_ms
}

#[tokio::test]
async fn a_restart_keeps_the_schedule_and_the_count_of_attempts() {
    let fixture = Fixture::new();
    let (_, progress) = failed(&fixture, 0, 5).await;
    assert_eq!(progress.due_ms, 31_000);
    let fixture = fixture.reopen().await;
    assert_eq!(next_due(&fixture, 30_999).await, Some(31_000));
    assert!(fixture.lease(30_999, 9).await.is_empty());
    let leased = fixture.lease(31_000, 9).await;
    assert_eq!(leased[0].progress, progress);
    assert!(!leased[0].is_unclear());
    // And so it does where the process ends in the midst of the next attempt.
    let fixture = fixture.reopen().await;
    let leased = fixture.lease(31_000, 9).await;
    let pending = Progress {
        state: DeliveryState::Pending,
        ..progress
    };
    assert_eq!(leased[0].progress, pending);
    assert!(leased[0].is_unclear());
    let next = pending.after(FAILED, 31_000, &RetryPolicy::DEFAULT, 1.0);
    assert_eq!((next.attempts, next.due_ms), (6, 63_000));
}

#[tokio::test]
async fn a_clock_that_is_set_back_parks_nothing() {
    let fixture = Fixture::new();
    let (_, progress) = failed(&fixture, 9 * DAY, 3).await;
    fixture.accept(event(2, None, 9 * DAY, &["t2"])).await;
    // What was taken when the process ended, and what waits.
    let fixture = fixture.reopen().await;
    let triggers = |leased: Vec<Leased>| -> Vec<String> {
        let triggers = leased.into_iter().map(|leased| leased.trigger.0);
        triggers.collect()
    };
    assert_eq!(triggers(fixture.lease(DAY, 9).await), ["t2"]);
    // The third wait begins anew.
    let due_ms = DAY + 4_000;
    assert_eq!(next_due(&fixture, due_ms - 1).await, Some(due_ms));
    assert!(fixture.lease(due_ms - 1, 9).await.is_empty());
    let leased = fixture.lease(due_ms, 9).await;
    assert_eq!(leased[0].progress, Progress { due_ms, ..progress });
}

#[tokio::test]
async fn a_long_wait_stays_as_long_where_the_clock_is_right() {
    let policy = RetryPolicy {
        first_wait: std::time::Duration::from_secs(3 * 60 * 60),
        longest_wait: std::time::Duration::from_secs(3 * 60 * 60),
        ..RetryPolicy::DEFAULT
    };
    let fixture = Fixture::new();
    let receipts = fixture.accept(event(1, None, 0, &["t1"])).await;
    let progress = Progress::accepted(0).after(FAILED, 0, &policy, 1.0);
    let recorded = fixture
        .journal
        .record(new_id(&receipts[0]), attempt(0), progress);
    recorded.await.unwrap();
    for now_ms in [0, 60_000, 1_000_000] {
        assert!(fixture.lease(now_ms, 9).await.is_empty());
        let due = next_due(&fixture, now_ms).await;
        assert_eq!(due, Some(progress.due_ms));
    }
}

#[tokio::test]
async fn how_many_resources_are_made_is_kept_and_never_less() {
    let fixture = Fixture::new();
    let (id, progress) = failed(&fixture, 0, 1).await;
    for (acted, expected) in [(0, 0), (3, 3), (1, 3)] {
        let attempt = Attempt {
            acted,
            ..attempt(0)
        };
        let recorded = fixture.journal.record(id, attempt, progress);
        recorded.await.unwrap();
        let leased = fixture.lease(progress.due_ms, 9).await;
        assert_eq!(leased[0].acted, expected);
    }
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.lease(progress.due_ms, 9).await[0].acted, 3);
}
