//! What the state machine promises, whatever happens and whatever the clock
//! says.

use proptest::prelude::*;

use super::*;

const POLICY: RetryPolicy = RetryPolicy::DEFAULT;
const DOWN: Happening = Happening::FailedForNow(Reason::SinkUnavailable);
const MENDABLE: Happening = Happening::FailedForAWhile(Reason::Forbidden);
const HOUR: i64 = 60 * 60 * 1000;

fn after(happenings: &[Happening]) -> Progress {
    let start = Progress::accepted(1_000);
    happenings.iter().fold(start, |at, happening| {
        at.after(*happening, 1_000, &POLICY, 1.0)
    })
}

/// Lets a delivery fail whenever it is due, each attempt taking `each_ms`,
/// until it is given up. Gives that moment, too.
fn until_dead(
    mut progress: Progress,
    happening: Happening,
    policy: &RetryPolicy,
    each_ms: i64,
) -> (Progress, i64) {
    loop {
        let now_ms = progress.due_ms + each_ms;
        progress = progress.after(happening, now_ms, policy, 0.5);
        if progress.state == DeliveryState::Dead {
            return (progress, now_ms);
        }
    }
}

#[test]
fn a_delivery_that_succeeds_is_done() {
    let done = after(&[Happening::Taken, Happening::Succeeded]);
    assert_eq!((done.state, done.attempts), (DeliveryState::Done, 1));
}

#[test]
fn a_delivery_is_tried_for_a_day_and_no_longer() {
    for each_ms in [0, 100, 30_000] {
        let (dead, at_ms) = until_dead(Progress::accepted(0), DOWN, &POLICY, each_ms);
        assert_eq!(dead.reason, Some(Reason::RetriesExhausted));
        // At the first attempt that ends after that.
        let longest = 300_000 + each_ms;
        assert!((24 * HOUR..24 * HOUR + longest).contains(&at_ms), "{at_ms}");
    }
}

#[test]
fn what_somebody_would_have_to_mend_is_tried_for_a_quarter_of_an_hour_in_a_row() {
    let (dead, at_ms) = until_dead(Progress::accepted(0), MENDABLE, &POLICY, 10);
    assert_eq!(dead.reason, Some(Reason::Forbidden));
    assert!((HOUR / 4..HOUR / 3).contains(&at_ms), "{at_ms}");
    // After an outage of hours, that time only begins.
    let mut progress = Progress::accepted(0);
    while progress.due_ms < 5 * HOUR {
        progress = progress.after(DOWN, progress.due_ms, &POLICY, 0.5);
    }
    let began_ms = progress.due_ms;
    let (dead, at_ms) = until_dead(progress, MENDABLE, &POLICY, 10);
    assert_eq!(dead.reason, Some(Reason::Forbidden));
    assert!(at_ms - began_ms >= HOUR / 4, "{}", at_ms - began_ms);
    // And so it does after each other failure in between.
    let mut progress = Progress::accepted(0);
    for _ in 0..50 {
        progress = progress.after(MENDABLE, progress.due_ms, &POLICY, 0.5);
        progress = progress.after(DOWN, progress.due_ms, &POLICY, 0.5);
    }
    assert_eq!(progress.state, DeliveryState::Retrying);
}

#[test]
fn a_number_of_attempts_is_kept_to() {
    let policy = RetryPolicy {
        attempts: Some(3),
        ..POLICY
    };
    for happening in [DOWN, MENDABLE] {
        let (dead, _) = until_dead(Progress::accepted(0), happening, &policy, 10);
        assert_eq!(dead.attempts, 3);
        assert_eq!(dead.reason, Some(Reason::RetriesExhausted));
    }
}

#[test]
fn what_could_not_be_tried_uses_no_attempt_up() {
    let policy = RetryPolicy {
        attempts: Some(1),
        ..POLICY
    };
    let missing = Happening::NotTried(Reason::TriggerMissing);
    let mut progress = Progress::accepted(0);
    let mut waits = Vec::new();
    for _ in 0..40 {
        let next = progress.after(missing, progress.due_ms, &policy, 1.0);
        waits.push(next.due_ms - progress.due_ms);
        progress = next;
    }
    assert_eq!(
        (progress.state, progress.attempts),
        (DeliveryState::Retrying, 0)
    );
    assert_eq!(waits[..4], [1_000, 1_000, 2_000, 4_000]);
    assert_eq!(waits[39], 300_000);
    let dead = progress.after(DOWN, progress.due_ms, &policy, 1.0);
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 1));
}

#[test]
fn who_is_told_to_wait_waits_as_long_and_a_little_longer() {
    let told = |wait| Happening::ToldToWait(Reason::ApiUnavailable, Duration::from_secs(wait));
    for (wait, chance, expected) in [(7, 0.0, 7), (7, 1.0, 8), (0, 1.0, 1), (86_400, 0.0, 300)] {
        let next = Progress::accepted(0).after(told(wait), 0, &POLICY, chance);
        assert_eq!(next.due_ms, expected * 1000, "{wait}");
    }
}

#[test]
fn a_clock_that_jumps_forward_gives_nothing_up_early() {
    // Accepted before the clock was set, in 1970.
    let mut progress = Progress::accepted(1_000);
    let now_ms = 1_800_000_000_000;
    for happening in [DOWN, MENDABLE] {
        progress = progress.after(happening, now_ms, &POLICY, 0.5);
        assert_eq!(progress.state, DeliveryState::Retrying);
    }
    let (_, at_ms) = until_dead(progress, DOWN, &POLICY, 10);
    assert!(at_ms - now_ms > 23 * HOUR, "{}", at_ms - now_ms);
}

#[test]
fn a_clock_that_is_set_back_parks_nothing_for_longer_than_a_wait() {
    let later = Progress::accepted(1_800_000_000_000).after(DOWN, 1_800_000_000_000, &POLICY, 1.0);
    let next = later.after(DOWN, 5_000, &POLICY, 1.0);
    assert_eq!(next.state, DeliveryState::Retrying);
    assert_eq!(next.due_ms, 7_000);
}

#[test]
fn what_is_handed_back_is_due_at_once() {
    let back = after(&[Happening::Taken]).after(Happening::HandedBack, 5_000, &POLICY, 1.0);
    assert_eq!((back.state, back.due_ms), (DeliveryState::Pending, 5_000));
}

fn happening() -> impl Strategy<Value = Happening> {
    let reason = Reason::ApiUnavailable;
    prop_oneof![
        3 => Just(Happening::Taken),
        1 => Just(Happening::Succeeded),
        8 => Just(DOWN),
        4 => any::<u64>().prop_map(move |s| Happening::ToldToWait(reason, Duration::from_secs(s))),
        8 => Just(MENDABLE),
        1 => Just(Happening::FailedForGood(Reason::NameTaken)),
        4 => Just(Happening::NotTried(Reason::TriggerMissing)),
        1 => Just(Happening::NotWanted(Reason::FilterFalse)),
        1 => Just(Happening::TriggerGone),
        3 => Just(Happening::HandedBack),
    ]
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    let seconds = |most: u64| (1..most).prop_map(Duration::from_secs);
    let times = (
        seconds(86_400),
        seconds(86_400),
        seconds(1 << 30),
        seconds(1 << 20),
    );
    (prop::option::of(1u32..9), times).prop_map(|(attempts, (first, longest, after, soon))| {
        RetryPolicy {
            attempts,
            first_wait: first,
            longest_wait: longest.max(first),
            give_up_after: after,
            give_up_soon_after: soon,
        }
    })
}

proptest! {
    /// Times are any at all: clocks jump.
    #[test]
    fn whatever_happens_a_delivery_moves_by_the_rules(
        accepted_ms in any::<i64>(),
        steps in prop::collection::vec((happening(), any::<i64>(), -0.5f64..1.5), 1..60),
        policy in policy(),
    ) {
        let mut at = Progress::accepted(accepted_ms);
        let longest = ms(policy.longest_wait.max(Duration::from_secs(300))).saturating_mul(2);
        let mut allowed_ms = 0i64;
        for (happening, now_ms, chance) in steps {
            let next = at.after(happening, now_ms, &policy, chance);
            if at.state.is_final() {
                prop_assert_eq!(next, at);
                continue;
            }
            prop_assert!((at.attempts..=at.attempts + 1).contains(&next.attempts));
            prop_assert_eq!(next.accepted_ms, at.accepted_ms);
            match next.state {
                DeliveryState::Retrying => {
                    prop_assert!(next.due_ms >= now_ms);
                    let wait_ms = next.due_ms.saturating_sub(now_ms);
                    prop_assert!(wait_ms <= longest);
                    prop_assert!(policy.attempts.is_none_or(|n| next.attempts < n) || matches!(happening, Happening::NotTried(_)));
                    prop_assert!(next.unmended_ms <= next.tried_ms + 60);
                    allowed_ms = allowed_ms.saturating_add(wait_ms + LATE_MS);
                }
                DeliveryState::Dead if next.reason == Some(Reason::RetriesExhausted) => {
                    // Never before all that was waited for is as much.
                    let is_last = policy.attempts == Some(next.attempts);
                    prop_assert!(is_last || allowed_ms + LATE_MS >= ms(policy.give_up_after));
                }
                DeliveryState::Pending => prop_assert_eq!(next.due_ms, now_ms),
                _ => prop_assert_eq!(next.due_ms, at.due_ms),
            }
            at = next;
        }
    }
}

#[test]
fn what_is_dead_or_under_way_can_be_put_away_and_nothing_else() {
    let put_away = Happening::PutAway(Reason::Discarded);
    let died = Happening::FailedForGood(Reason::NameTaken);
    for before in [vec![], vec![Happening::Taken], vec![died]] {
        let away = after(&[before, vec![put_away]].concat());
        assert_eq!(away.state, DeliveryState::Cancelled);
        assert_eq!(away.reason, Some(Reason::Discarded));
    }
    let done = after(&[Happening::Succeeded]);
    assert_eq!(done.after(put_away, 9, &POLICY, 1.0), done);
}
