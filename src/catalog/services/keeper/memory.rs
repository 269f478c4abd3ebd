//! What is remembered of one listener while its Service is kept.

use std::time::{Duration, Instant};

/// How often somebody may set a Service back before Tripline leaves it to him,
/// and within which time.
const TAKEN_AT_MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(600);

/// How long it is left to him then.
const TRUCE: Duration = Duration::from_secs(600);

/// How long what somebody has set back stays at least.
const PAUSE: Duration = Duration::from_secs(2);

/// How long what was written may take until it is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    /// Since when every replica can know its port.
    pub has_port: Option<(u16, Instant)>,
    /// When the Service was changed.
    taken: Vec<Instant>,
    /// Until when the Service is left alone.
    truce: Option<Instant>,
    /// The version of the Service that was written last, and when.
    written: Option<(u64, Instant)>,
    /// When the Service was as it should be, and how everything was then.
    pub done: Option<Done>,
    /// When to look once more for slices that somebody was about to write.
    pub sweep_at: Option<Instant>,
}

/// What a Service led to when it was as it should be.
pub(super) struct Done {
    pub version: Option<String>,
    pub addresses: super::Addresses,
    pub port: u16,
    pub at: Instant,
}

impl Memory {
    /// Whether what was written last can still be on its way to us.
    pub(super) fn awaits(&self, seen: Option<u64>, now: Instant) -> bool {
        self.written.is_some_and(|(version, at)| {
            now < at + SEEN_WITHIN && seen.is_none_or(|seen| seen < version)
        })
    }

    pub(super) fn wrote(&mut self, version: Option<u64>, now: Instant) {
        self.written = version.map(|version| (version, now));
        self.done = None;
    }

    /// How long the Service is to be left as it is, before it is changed once
    /// more.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let last = self.taken.last()?;
        let over = *last + PAUSE;
        (now < over && *last <= now).then(|| over - now)
    }

    /// Whether the Service may be changed, again where somebody has set it back.
    /// If not, there is a truce from now on.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.taken.retain(|at| now < *at + WITHIN);
        if self.taken.len() >= TAKEN_AT_MOST {
            self.truce = Some(now + TRUCE);
            // After the truce once is enough to see that nothing has changed.
            self.taken.truncate(TAKEN_AT_MOST - 1);
            self.taken.fill(now + TRUCE);
            return false;
        }
        self.taken.push(now);
        true
    }

    /// What is left of the truce.
    pub(super) fn truce(&self, now: Instant) -> Option<Duration> {
        let until = self.truce.filter(|until| now < *until)?;
        Some(until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_insists_is_left_in_peace_for_a_while() {
        let mut memory = Memory::default();
        let mut now = Instant::now();
        for _ in 0..TAKEN_AT_MOST {
            assert!(memory.take(now));
            assert!(memory.pause(now).is_some());
            now += PAUSE;
            assert!(memory.pause(now).is_none());
        }
        assert!(memory.truce(now).is_none());
        assert!(!memory.take(now));
        assert_eq!(memory.truce(now), Some(TRUCE));
        now += TRUCE;
        assert!(memory.truce(now).is_none());
        assert!(memory.take(now), "once more");
        assert!(!memory.take(now), "and no more than that");
    }

    #[test]
    fn a_service_that_is_set_back_once_a_day_is_no_fight() {
        let mut memory = Memory::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            assert!(memory.take(now));
            now += Duration::from_secs(24 * 60 * 60);
        }
    }

    #[test]
    fn what_was_written_is_waited_for() {
        let mut memory = Memory::default();
        let now = Instant::now();
        assert!(!memory.awaits(Some(7), now));
        memory.wrote(Some(9), now);
        assert!(memory.awaits(Some(7), now) && memory.awaits(None, now));
        assert!(!memory.awaits(Some(9), now));
        assert!(!memory.awaits(Some(7), now + SEEN_WITHIN), "not for ever");
    }
}
