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

/// Who has not answered lately, by address.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Clone, Copy, Debug)]
struct Breaker {
    failures: u32,
    /// Since when somebody is left alone, and whether one question is under
    /// way to see whether that may end.
    since: Option<Instant>,
    is_tried: bool,
}

impl Breakers {
    /// Whether the address may be called now. After a while of silence one
    /// call goes through, and what comes of it decides.
    pub fn permit(&self, address: &str, now: Instant) -> bool {
        let Ok(mut known) = self.0.lock() else {
            return true;
        };
        let Some(breaker) = known.get_mut(address) else {
            return true;
        };
        match breaker.since {
            None => true,
            Some(since) if now.duration_since(since) < ALONE => false,
            Some(_) if breaker.is_tried => false,
            Some(_) => {
                breaker.is_tried = true;
                true
            }
        }
    }

    /// Takes note of what came of a call.
    pub fn note(&self, address: &str, answered: bool, now: Instant) {
        let Ok(mut known) = self.0.lock() else {
            return;
        };
        if answered {
            known.remove(address);
            return;
        }
        if known.len() >= KNOWN && !known.contains_key(address) {
            known.clear();
        }
        let breaker = known.entry(address.to_owned()).or_insert(Breaker {
            failures: 0,
            since: None,
            is_tried: false,
        });
        breaker.failures = breaker.failures.saturating_add(1);
        breaker.is_tried = false;
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
            assert!(breakers.permit("a", start));
            breakers.note("a", false, start);
        }
        assert!(!breakers.permit("a", start));
        assert!(breakers.permit("b", start), "others are no worse for it");
        let later = start + ALONE;
        assert!(breakers.permit("a", later));
        assert!(!breakers.permit("a", later), "one call at a time");
        breakers.note("a", false, later);
        assert!(!breakers.permit("a", later + ALONE / 2));
        let latest = later + ALONE;
        assert!(breakers.permit("a", latest));
        breakers.note("a", true, latest);
        assert!(breakers.permit("a", latest));
        assert!(breakers.permit("a", latest));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breakers.note("a", false, now);
            }
            assert!(breakers.permit("a", now));
            breakers.note("a", true, now);
        }
    }
}
