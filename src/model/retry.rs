//! How often and how long a delivery is tried, and what its trigger says of
//! that.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Shortest first wait that somebody may ask for: below it, a delivery that
/// fails would be tried without a break.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Longest wait that somebody may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time that somebody may have a delivery tried.
pub const LONGEST_AGE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long whoever refuses a request may have the next one wait, where the
/// policy itself has no longer wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often and how long something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often, where that is bounded.
    pub attempts: Option<u32>,
    /// The longest wait before the second attempt; it doubles with each one.
    pub first_wait: Duration,
    /// The longest wait there is.
    pub longest_wait: Duration,
    /// How long a delivery is tried.
    pub give_up_after: Duration,
    /// How long in a row where somebody would have to mend something first.
    pub give_up_soon_after: Duration,
}

impl RetryPolicy {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        attempts: None,
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(5 * 60),
        give_up_after: Duration::from_secs(24 * 60 * 60),
        give_up_soon_after: Duration::from_secs(15 * 60),
    };

    /// The policy with what a trigger says of it.
    #[must_use]
    pub fn with(&self, own: &RetryOverrides) -> Self {
        let (attempts, max_age) = (own.attempts.or(self.attempts), own.max_age);
        let (first, longest) = match own.backoff {
            None => (self.first_wait, self.longest_wait),
            Some(Backoff { first, longest }) => (
                first,
                longest.unwrap_or_else(|| self.longest_wait.max(first)),
            ),
        };
        let give_up_after = max_age.unwrap_or(self.give_up_after);
        Self {
            attempts,
            first_wait: first,
            longest_wait: longest,
            give_up_after,
            give_up_soon_after: self.give_up_soon_after.min(give_up_after),
        }
    }

    /// The wait before the attempt after `attempts`: anything up to the bound,
    /// as `chance` (0 to 1) has it, so that what failed together is not
    /// retried together.
    pub fn wait(&self, attempts: u32, chance: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(20));
        let bound = self.first_wait.saturating_mul(doubled);
        drawn(bound.min(self.longest_wait), chance)
    }

    /// The wait of a delivery that nobody could try, which is no attempt: by
    /// the time that it has been tried for, so that it grows all the same.
    pub fn wait_untried(&self, tried: Duration, chance: f64) -> Duration {
        let longest = self.longest_wait.max(self.first_wait);
        drawn(tried.clamp(self.first_wait, longest), chance)
    }

    /// How much of what somebody asks for is waited: what he says is honoured
    /// as far as a delivery is not parked by it.
    pub fn honoured(&self, retry_after: Duration) -> Duration {
        retry_after.min(self.longest_wait.max(LONGEST_RETRY_AFTER))
    }
}

fn drawn(bound: Duration, chance: f64) -> Duration {
    bound.mul_f64(chance.clamp(0.0, 1.0))
}

/// What a trigger says of how often and how long its deliveries are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryOverrides {
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// The waits between attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// The waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The longest wait before the second attempt.
    pub first: Duration,
    /// The longest wait there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<Duration>,
}

impl RetryOverrides {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How often something is tried: a number from 1.
pub fn parse_attempts(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is no number of attempts such as \"5\"")),
    }
}

/// How long something is tried.
pub fn parse_max_age(text: &str) -> Result<Duration, String> {
    match parse_time(text)? {
        age if age.is_zero() => Err(format!(
            "`{text}` is no time at all; to try once only, let there be one attempt"
        )),
        age if age > LONGEST_AGE => Err(format!("`{text}` is longer than a year")),
        age => Ok(age),
    }
}

/// The waits between attempts: `FIRST..LONGEST`, or `FIRST`.
pub fn parse_backoff(text: &str) -> Result<Backoff, String> {
    let (first, longest) = match text.split_once("..") {
        None => (text, None),
        Some((first, longest)) => (first, Some(longest)),
    };
    let backoff = Backoff {
        first: parse_time(first)?,
        longest: longest.map(parse_time).transpose()?,
    };
    check_waits(backoff.first, backoff.longest.unwrap_or(backoff.first))
        .map_err(|why| format!("`{text}`: {why}"))?;
    Ok(backoff)
}

/// Whether something may be tried again after such waits, or why not.
pub fn check_waits(first: Duration, longest: Duration) -> Result<(), &'static str> {
    match () {
        () if first < SHORTEST_WAIT => Err("the first wait is at least 100ms"),
        () if longest < first => Err("the longest wait is shorter than the first one"),
        () if longest > LONGEST_WAIT => Err("the longest wait is at most 24h"),
        () => Ok(()),
    }
}

/// A time such as `10s`, `5m` or `1h30m`.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let parsed: Result<SignedDuration, _> = text.trim().parse();
    let time = parsed.map_err(|_| format!("`{text}` is no time such as 10s, 5m or 1h30m"))?;
    Duration::try_from(time).map_err(|_| format!("`{text}` is negative"))
}

/// What a `Retry-After` header asks for: seconds, or a moment (RFC 9110,
/// 10.2.3), which is taken by the clock of whoever wrote it, as the response's
/// `Date` has it. Nothing where it is neither.
pub fn retry_after(header: &str, date: Option<&str>) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are bounded like any other wait.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let moment = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok();
    let (then, now) = (moment(header)?, moment(date?)?);
    let wait = then.timestamp().duration_since(now.timestamp());
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::DEFAULT;
        let waits = (1..=12).map(|attempts| policy.wait(attempts, 1.0).as_secs());
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300];
        assert_eq!(waits.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn chance_shortens_a_wait_and_never_lengthens_it() {
        for (chance, expected) in [(0.0, 0), (0.5, 500), (1.0, 1_000), (7.0, 1_000)] {
            assert_eq!(RetryPolicy::DEFAULT.wait(1, chance).as_millis(), expected);
        }
    }

    #[test]
    fn what_nobody_could_try_waits_longer_and_longer() {
        let policy = RetryPolicy::DEFAULT;
        for (tried, expected) in [(0, 1), (1, 1), (40, 40), (4_000, 300)] {
            let wait = policy.wait_untried(SECOND * tried, 1.0);
            assert_eq!(wait, SECOND * expected, "{tried}");
        }
    }

    #[test]
    fn a_trigger_s_own_policy_wins_key_by_key() {
        let policy = RetryPolicy::DEFAULT;
        assert_eq!(policy.with(&RetryOverrides::default()), policy);
        let own = RetryOverrides {
            attempts: Some(3),
            max_age: Some(SECOND * 60),
            backoff: Some(parse_backoff("10m").unwrap()),
        };
        let with = policy.with(&own);
        assert_eq!(with.attempts, Some(3));
        assert_eq!(with.give_up_after, SECOND * 60);
        assert_eq!(with.give_up_soon_after, SECOND * 60);
        assert_eq!(
            (with.first_wait, with.longest_wait),
            (SECOND * 600, SECOND * 600)
        );
        let kept = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<RetryOverrides>(&kept).unwrap(), own);
    }

    #[test]
    fn values_are_read_and_wrong_ones_say_what_would_be_right() {
        assert_eq!(parse_attempts("5"), Ok(5));
        assert_eq!(parse_max_age("1h30m"), Ok(SECOND * 5400));
        let backoff = parse_backoff("1s..5m").unwrap();
        assert_eq!(
            (backoff.first, backoff.longest),
            (SECOND, Some(SECOND * 300))
        );
        for text in ["0", "-1", "", "five", "1.5", "99999999999"] {
            assert!(parse_attempts(text).is_err(), "{text}");
        }
        for text in ["", "5", "0s", "-5m", "9000h", "1d", "soon"] {
            assert!(parse_max_age(text).is_err(), "{text}");
        }
        for text in ["", "..", "1s..", "..5m", "5m..1s", "0s..1m", "1s..25h"] {
            let error = parse_backoff(text).unwrap_err();
            assert!(error.starts_with('`'), "{text}: {error}");
        }
    }

    #[test]
    fn a_retry_after_is_a_number_of_seconds_or_a_date() {
        let date = Some("Wed, 21 Oct 2015 07:27:00 GMT");
        for (header, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:26:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = retry_after(header, date).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{header}");
        }
        let moment = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(moment, None), None);
        assert_eq!(retry_after("7", None), Some(SECOND * 7));
    }

    #[test]
    fn what_somebody_asks_for_is_bounded() {
        let policy = RetryPolicy::DEFAULT;
        assert_eq!(policy.honoured(SECOND), SECOND);
        assert_eq!(policy.honoured(Duration::MAX), SECOND * 300);
        let patient = RetryPolicy {
            longest_wait: SECOND * 3600,
            ..policy
        };
        assert_eq!(patient.honoured(Duration::MAX), SECOND * 3600);
    }
}
