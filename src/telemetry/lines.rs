//! Lines that others can cause as often as they like: some a second are
//! written, and the others counted.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing::warn;

/// Lines that are written in a second.
const PER_SECOND: u32 = 100;

/// Decides which lines are written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Lines that were not.
    pub(super) left_out: Counter,
    second: Mutex<Option<Second>>,
}

#[derive(Debug)]
struct Second {
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl Lines {
    /// Writes a line, unless there have been too many in this second.
    pub(super) fn write(&self, line: impl FnOnce()) {
        match self.admit(Instant::now()) {
            Some(0) => line(),
            Some(left_out) => {
                warn!(left_out, "there were too many lines");
                line();
            }
            None => {
                self.left_out.inc();
            }
        }
    }

    /// Whether a line may be written at `now`, and how many were left out
    /// before it.
    fn admit(&self, now: Instant) -> Option<u64> {
        let Ok(mut second) = self.second.lock() else {
            return Some(0);
        };
        let second = second.get_or_insert(Second {
            began: now,
            lines: 0,
            left_out: 0,
        });
        let mut left_out = 0;
        if now.duration_since(second.began) >= Duration::from_secs(1) {
            left_out = std::mem::take(&mut second.left_out);
            (second.began, second.lines) = (now, 0);
        }
        if second.lines == PER_SECOND {
            second.left_out += 1;
            return None;
        }
        second.lines += 1;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_lines_the_first_are_written_and_the_others_counted() {
        let (lines, start) = (Lines::default(), Instant::now());
        for _ in 0..PER_SECOND {
            assert_eq!(lines.admit(start), Some(0));
        }
        assert_eq!(lines.admit(start), None);
        assert_eq!(lines.admit(start), None);
        let later = start + Duration::from_secs(1);
        assert_eq!(lines.admit(later), Some(2));
        assert_eq!(lines.admit(later), Some(0));
    }
}
