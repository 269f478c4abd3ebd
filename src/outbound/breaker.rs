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
    /// Whether the address may be called now, else for how long it is still
    /// left alone. After a while of silence one call goes through, and what
    /// comes of it decides.
    pub fn permit(&self, address: u64, now: Instant) -> Result<(), Duration> {
        let Ok(mut known) = self.0.lock() else {
            return Ok(());
        };
        let Some(breaker) = known.get_mut(&address) else {
            return Ok(());
        };
        match breaker.since.map(|since| now.duration_since(since)) {
            Some(silence) if silence < ALONE => Err(ALONE - silence),
            Some(_) => {
                // Whoever asks may be gone before there is an answer.
                breaker.since = Some(now);
                Ok(())
            }
            None => Ok(()),
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
            assert_eq!(breakers.permit(1, start), Ok(()));
            breakers.note(1, false, start);
        }
        assert_eq!(breakers.permit(1, start), Err(ALONE));
        assert!(
            breakers.permit(2, start).is_ok(),
            "others are no worse for it"
        );
        let later = start + ALONE;
        assert!(breakers.permit(1, later).is_ok());
        assert!(breakers.permit(1, later).is_err(), "one call at a time");
        breakers.note(1, false, later);
        let rest = breakers.permit(1, later + ALONE / 3);
        assert_eq!(rest, Err(ALONE - ALONE / 3));
        let latest = later + ALONE;
        assert!(breakers.permit(1, latest).is_ok());
        breakers.note(1, true, latest);
        assert!(breakers.permit(1, latest).is_ok());
        assert!(breakers.permit(1, latest).is_ok());
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breakers.note(1, false, now);
            }
            assert!(breakers.permit(1, now).is_ok());
            breakers.note(1, true, now);
        }
    }
}
