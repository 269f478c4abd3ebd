//! The wall clock, read in one place. Stages get the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds of Unix time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
