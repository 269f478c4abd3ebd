//! What records hold, and what they say of a delivery.

use super::*;
use crate::journal::progress::{Happening, RetryPolicy};

#[test]
fn a_record_comes_back_with_its_body() {
    let known = KnownDelivery {
        event: EventId(uuid::Uuid::from_u128(7)),
        expires_ms: 9,
    };
    let bytes = write_with(&known, b"{\"a\":1}").unwrap();
    let (head, body): (KnownDelivery, Bytes) = read_with(1, bytes.into()).unwrap();
    assert_eq!((head.event, head.expires_ms), (known.event, 9));
    assert_eq!(&body[..], b"{\"a\":1}");
}

#[test]
fn what_is_cut_short_is_told_and_nothing_panics() {
    let bytes = write_with(&Value::Null, b"body").unwrap();
    for length in 0..8 {
        let cut = Bytes::copy_from_slice(&bytes[..length]);
        assert!(read_with::<Value>(1, cut).is_err(), "{length}");
    }
}

#[test]
fn what_was_handed_over_again_unrecorded_is_pending_and_no_clock_parks_it() {
    let now_ms = 1_000_000_000;
    let attempt = Attempt {
        started_ms: now_ms,
        ended_ms: now_ms,
        reason: None,
        detail: None,
        acted: 2,
    };
    let failed = Happening::FailedForNow(Reason::ApiUnavailable);
    let progress = Progress::accepted(now_ms);
    let progress = progress.after(failed, now_ms, &RetryPolicy::DEFAULT, 1.0);
    let state = StateRecord::new(now_ms, None).after(&attempt, progress, 3);
    assert_eq!(state.progress_at(4), progress);
    assert_eq!(state.progress_at(5).state, DeliveryState::Pending);
    assert_eq!(state.acted, 2);
    assert!(state.is_early(now_ms) && state.is_early(now_ms - 1_000));
    assert!(!state.is_early(progress.due_ms) && !state.is_early(0));
}

#[test]
fn the_attempts_that_are_kept_are_bounded_and_the_first_is_among_them() {
    let attempt = |n: i64| Attempt {
        started_ms: n,
        ended_ms: n,
        reason: None,
        detail: None,
        acted: 0,
    };
    let progress = Progress::accepted(0);
    let state = (0..200).fold(StateRecord::new(0, None), |state, n| {
        state.after(&attempt(n), progress, n)
    });
    assert_eq!(state.attempts.len(), ATTEMPTS_KEPT);
    assert_eq!(state.attempts[0].started_ms, 0);
    assert_eq!(state.attempts[ATTEMPTS_KEPT - 1].started_ms, 199);
}
