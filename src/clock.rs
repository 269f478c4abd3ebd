//! The wall clock, read in one place. Stages get the time as an argument.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// When the clock was first read, and what it said.
static START: OnceLock<(Instant, i64)> = OnceLock::new();

/// Milliseconds of Unix time.
pub fn unix_ms() -> i64 {
    let now = wall_ms();
    START.get_or_init(|| (Instant::now(), now));
    now
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    #[cfg(debug_assertions)]
    let now = now.saturating_add(shift_ms());
    now
}

/// Milliseconds of Unix time by a clock that nobody puts forward or back: it
/// was right when this process first read one. For how long something has
/// waited.
pub fn steady_ms() -> i64 {
    let (start, start_ms) = START.get_or_init(|| (Instant::now(), wall_ms()));
    let passed = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
    start_ms.saturating_add(passed)
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
        assert!(apart.abs() < 10_000, "{apart}");
    }
}
