//! Leaves alone for a while who has not answered several times in a row.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures in a row after which somebody is left alone.
const FAILURES: u32 = 5;

/// For how long.
const ALONE: Duration = Duration::from_secs(30);

/// Addresses that are remembered.
const KNOWN: usize = 4096;

/// Who has not answered lately, by a number that stands for the address.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<u64, Breaker>>);

#[derive(Clone, Copy, Debug)]
struct Breaker {
    failures: u32,
    /// Since when somebody is left alone: the last failure, or the question
    /// that was let through to see whether that may end.
    since: Option<Instant>,
}

impl Breakers {
    /// Whether the address may be called now. After a while of silence one
    /// call goes through, and what comes of it decides.
    pub fn permit(&self, address: u64, now: Instant) -> bool {
        let Ok(mut known) = self.0.lock() else {
            return true;
        };
        let Some(breaker) = known.get_mut(&address) else {
            return true;
        };
        match breaker.since {
            None => true,
            Some(since) if now.duration_since(since) < ALONE => false,
            Some(_) => {
                // Whoever asks may be gone before there is an answer.
                breaker.since = Some(now);
                true
            }
        }
    }

    /// Takes note of what came of a call.
    pub fn note(&self, address: u64, answered: bool, now: Instant) {
        let Ok(mut known) = self.0.lock() else {
            return;
        };
        if answered {
            known.remove(&address);
            return;
        }
        if known.len() >= KNOWN && !known.contains_key(&address) {
            known.clear();
        }
        let breaker = known.entry(address).or_insert(Breaker {
            failures: 0,
            since: None,
        });
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURES {
            breaker.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_left_alone_and_then_tried_once() {
        let (breakers, start) = (Breakers::default(), Instant::now());
        for _ in 0..FAILURES {
            assert!(breakers.permit(1, start));
            breakers.note(1, false, start);
        }
        assert!(!breakers.permit(1, start));
        assert!(breakers.permit(2, start), "others are no worse for it");
        let later = start + ALONE;
        assert!(breakers.permit(1, later));
        assert!(!breakers.permit(1, later), "one call at a time");
        breakers.note(1, false, later);
        assert!(!breakers.permit(1, later + ALONE / 2));
        let latest = later + ALONE;
        assert!(breakers.permit(1, latest));
        breakers.note(1, true, latest);
        assert!(breakers.permit(1, latest));
        assert!(breakers.permit(1, latest));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breakers.note(1, false, now);
            }
            assert!(breakers.permit(1, now));
            breakers.note(1, true, now);
        }
    }
}
