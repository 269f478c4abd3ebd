//! What one limit has let begin, and what it lets begin next.

use std::time::Duration;

use crate::model::flow::Limits;

/// Counts for one limit. It keeps its place when the limit changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    running: usize,
    /// When the next one would begin if all began evenly.
    even: Duration,
}

impl Meter {
    /// How many may begin now.
    pub(super) fn free(&self, limits: &Limits, now: Duration) -> usize {
        let at_once = limits
            .concurrent
            .map_or(usize::MAX, |most| most.get().saturating_sub(self.running));
        at_once.min(self.tokens(limits, now))
    }

    /// How many the rate lets begin now.
    fn tokens(&self, limits: &Limits, now: Duration) -> usize {
        let Some(rate) = limits.rate else {
            return usize::MAX;
        };
        let early = now + rate.tolerance();
        let even = self.even_under(limits, now).max(now);
        match early.checked_sub(even) {
            None => 0,
            Some(ahead) => {
                let more = ahead.as_nanos() / rate.interval().as_nanos().max(1);
                usize::try_from(more)
                    .unwrap_or(usize::MAX)
                    .saturating_add(1)
            }
        }
    }

    /// Whether what runs already is all that may.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        limits
            .concurrent
            .is_some_and(|most| self.running >= most.get())
    }

    /// When the rate lets the next one begin, where that is not now.
    pub(super) fn next_token(&self, limits: &Limits, now: Duration) -> Option<Duration> {
        let rate = limits.rate.filter(|_| self.tokens(limits, now) == 0)?;
        Some(
            self.even_under(limits, now)
                .saturating_sub(rate.tolerance()),
        )
    }

    /// One begins.
    pub(super) fn begins(&mut self, limits: &Limits, now: Duration) {
        self.running += 1;
        if let Some(rate) = limits.rate {
            self.even = self.even_under(limits, now).max(now) + rate.interval();
        }
    }

    /// One has ended.
    pub(super) fn ends(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Whether forgetting it changes nothing.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.running == 0 && self.even <= now
    }

    /// A slower rate that held before must not be waited for.
    fn even_under(&self, limits: &Limits, now: Duration) -> Duration {
        let most = limits.rate.map_or(Duration::ZERO, |rate| {
            now + rate.tolerance() + rate.interval()
        });
        self.even.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate: &str) -> Limits {
        Limits {
            concurrent: None,
            rate: Some(rate.parse().unwrap()),
        }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn after_a_pause_a_burst_begins_and_then_one_after_the_other() {
        let limits = limits("10/s burst 3");
        let mut meter = Meter::default();
        assert_eq!(meter.free(&limits, ms(0)), 3);
        for left in [2, 1, 0] {
            meter.begins(&limits, ms(0));
            assert_eq!(meter.free(&limits, ms(0)), left);
        }
        assert_eq!(meter.next_token(&limits, ms(0)), Some(ms(100)));
        assert_eq!(meter.free(&limits, ms(99)), 0);
        assert_eq!(meter.free(&limits, ms(100)), 1);
        assert_eq!(meter.free(&limits, ms(250)), 2);
        assert_eq!(meter.free(&limits, ms(9_000)), 3);
    }

    #[test]
    fn a_rate_that_is_raised_holds_at_once() {
        let (slow, fast) = (limits("1/d"), limits("10/s"));
        let mut meter = Meter::default();
        meter.begins(&slow, ms(0));
        assert_eq!(meter.free(&slow, ms(10_000)), 0);
        assert_eq!(meter.next_token(&fast, ms(0)), Some(ms(100)));
    }
}
