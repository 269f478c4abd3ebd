//! The wall clock, read in one place. Stages get the time as an argument.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// By how much, in milliseconds, the clock may be put right without anybody
/// having to know.
const SLACK_MS: i64 = 10_000;

/// Milliseconds of Unix time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    #[cfg(debug_assertions)]
    let now = now.saturating_add(shift_ms());
    now
}

/// Milliseconds of Unix time by a clock that nobody puts forward or back: it
/// was right when it was first asked. For how long something has waited.
pub fn steady_ms() -> i64 {
    static START: OnceLock<(Instant, i64)> = OnceLock::new();
    let (start, start_ms) = START.get_or_init(|| (Instant::now(), unix_ms()));
    let passed = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
    start_ms.saturating_add(passed)
}

/// Notices that the wall clock was put back.
#[derive(Debug)]
pub struct PutBack {
    /// How far it was before the steady one.
    ahead_ms: AtomicI64,
}

impl PutBack {
    /// Looks at the clocks for the first time.
    pub fn watch() -> Self {
        Self {
            ahead_ms: AtomicI64::new(ahead_ms()),
        }
    }

    /// Whether it was put back since the last time that somebody asked.
    pub fn since_last(&self) -> bool {
        self.notice(ahead_ms())
    }

    fn notice(&self, ahead_ms: i64) -> bool {
        let before = self.ahead_ms.swap(ahead_ms, Ordering::Relaxed);
        before.saturating_sub(ahead_ms) > SLACK_MS
    }
}

fn ahead_ms() -> i64 {
    let steady = steady_ms();
    unix_ms().saturating_sub(steady)
}

/// By how much the crash suite has put the clock wrong: builds with debug
/// assertions read it from the file that `CRASH_CLOCK` names, each time.
#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "no setting: it is there for the crash suite alone"
)]
fn shift_ms() -> i64 {
    use std::path::PathBuf;
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("CRASH_CLOCK").map(PathBuf::from));
    let text = file
        .as_ref()
        .and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_begins_with_the_other_one() {
        let apart = unix_ms() - steady_ms();
        assert!(apart.abs() < SLACK_MS, "{apart}");
    }

    #[test]
    fn a_clock_that_is_put_back_is_noticed_once() {
        let clock = PutBack {
            ahead_ms: AtomicI64::new(0),
        };
        let day = 24 * 60 * 60 * 1_000;
        for (ahead_ms, noticed) in [
            (-50, false),
            (day, false),
            (day - SLACK_MS, false),
            (0, true),
            (0, false),
            (-day, true),
        ] {
            assert_eq!(clock.notice(ahead_ms), noticed, "{ahead_ms}");
        }
    }
}
