//! How often and how long deliveries are tried where their triggers do not say
//! otherwise.

use std::time::Duration;

use serde::Deserialize;

use crate::model::retry::{LONGEST_AGE, RetryPolicy, check_waits};

use super::ConfigError;
use super::sections::span;

/// Retries.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryConfig {
    /// How often; as often as the time allows where nobody says.
    attempts: Option<u32>,
    /// How long.
    #[serde(deserialize_with = "span")]
    max_age: Duration,
    /// How long in a row where somebody would have to mend something first.
    #[serde(deserialize_with = "span")]
    short_max_age: Duration,
    /// The bound of the wait before the second attempt.
    #[serde(deserialize_with = "span")]
    first_wait: Duration,
    /// The longest wait.
    #[serde(deserialize_with = "span")]
    longest_wait: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let RetryPolicy {
            attempts,
            first_wait,
            longest_wait,
            give_up_after,
            give_up_soon_after,
        } = RetryPolicy::DEFAULT;
        Self {
            attempts,
            max_age: give_up_after,
            short_max_age: give_up_soon_after,
            first_wait,
            longest_wait,
        }
    }
}

impl RetryConfig {
    /// The policy, or which setting makes no sense.
    pub fn policy(&self) -> Result<RetryPolicy, ConfigError> {
        let invalid = |key, message: &str| {
            Err(ConfigError::Invalid {
                key,
                message: message.to_owned(),
            })
        };
        if self.attempts == Some(0) {
            return invalid(
                "retry.attempts",
                "must be at least 1; leave it out for as many as there is time for",
            );
        }
        for (key, age) in [
            ("retry.maxAge", self.max_age),
            ("retry.shortMaxAge", self.short_max_age),
        ] {
            if age.is_zero() || age > LONGEST_AGE {
                return invalid(key, "must be longer than nothing and at most a year");
            }
        }
        if let Err(message) = check_waits(self.first_wait, self.longest_wait) {
            return invalid("retry.firstWait, retry.longestWait", message);
        }
        Ok(RetryPolicy {
            attempts: self.attempts,
            first_wait: self.first_wait,
            longest_wait: self.longest_wait,
            give_up_after: self.max_age,
            give_up_soon_after: self.short_max_age,
        })
    }
}
