//! How much of something may happen at once, and how often.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The largest count and the largest burst of a rate, and the most that may
/// run at once.
const LARGEST: u32 = 1_000_000;

/// What bounds the deliveries of a listener or of a trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many are performed at once.
    pub concurrent: Option<Concurrency>,
    /// How often one begins.
    pub rate: Option<Rate>,
}

impl Limits {
    /// Whether there is any limit.
    pub fn is_any(&self) -> bool {
        self.concurrent.is_some() || self.rate.is_some()
    }

    /// These, and `others` where these say nothing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            concurrent: self.concurrent.or(others.concurrent),
            rate: self.rate.or(others.rate),
        }
    }
}

/// How many may run at once: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(u32);

impl Concurrency {
    /// The number.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.trim().parse().ok().filter(|n| in_range(*n));
        parsed.map(Self).ok_or_else(|| {
            format!("`{text}` is no limit of what runs at once; write a number from 1 to {LARGEST}")
        })
    }
}

/// How often something may begin: evenly, or several at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time that one of them stands for.
    interval: Duration,
    /// How many may begin together after a pause.
    burst: u32,
}

impl Rate {
    /// The time that one of them stands for.
    pub fn interval(self) -> Duration {
        self.interval
    }

    /// How much sooner than evenly the last of a burst may begin.
    pub fn tolerance(self) -> Duration {
        self.interval.saturating_mul(self.burst.saturating_sub(1))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!(
                "`{text}` is no rate; write COUNT/UNIT such as 10/s, 100/m or 5/h (s, m, h, d), \
                 and `10/s burst 20` to let 20 begin at once after a pause"
            )
        })
    }
}

fn parse(text: &str) -> Option<Rate> {
    let mut words = text.split_whitespace();
    let (count, unit) = words.next()?.split_once('/')?;
    let count: u32 = count.parse().ok().filter(|n| in_range(*n))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let burst = match (words.next(), words.next(), words.next()) {
        (None, _, _) => count,
        (Some("burst"), Some(burst), None) => burst.parse().ok().filter(|n| in_range(*n))?,
        _ => return None,
    };
    // Rounded up, so that there is never one too many.
    let nanos = Duration::from_secs(seconds).as_nanos();
    let interval = nanos.div_ceil(u128::from(count));
    Some(Rate {
        interval: Duration::from_nanos(u64::try_from(interval).ok()?),
        burst,
    })
}

fn in_range(number: u32) -> bool {
    (1..=LARGEST).contains(&number)
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_a_unit_and_maybe_a_burst() {
        for (text, interval_ms, burst) in [
            ("10/s", 100, 10),
            ("100/m", 600, 100),
            ("1/h", 3_600_000, 1),
            (" 2/d  burst 5 ", 43_200_000, 5),
        ] {
            let rate: Rate = text.parse().unwrap();
            let expected = Duration::from_millis(interval_ms);
            assert_eq!((rate.interval, rate.burst), (expected, burst), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_named_with_what_would_be_one() {
        for text in [
            "",
            "10",
            "/s",
            "0/s",
            "1.5/s",
            "10/w",
            "10/s burst",
            "10/s burst 0",
            "-1/s",
            "1/s x 2",
            "10/s burst 2 3",
        ] {
            let error = Rate::from_str(text).unwrap_err();
            assert!(
                error.starts_with(&format!("`{text}` is no rate; write")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_limit_of_what_runs_at_once_is_at_least_one() {
        assert_eq!(Concurrency::from_str("1").unwrap().get(), 1);
        for text in ["0", "-1", "one", "", "1000001"] {
            let error = Concurrency::from_str(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn an_interval_is_never_too_short() {
        let rate: Rate = "3/s".parse().unwrap();
        assert!(rate.interval * 3 >= Duration::from_secs(1));
    }
}
