//! How a delivery moves from state to state: one pure function.
//!
//! No clock decides that a delivery is given up. What counts is for how long it
//! has been tried: the waits that were laid down for it, and how late its
//! attempts were, a little of that only. So a clock that jumps gives nothing up
//! early, and time in which nobody looked after a delivery hardly counts.

use std::time::Duration;

use crate::model::verdict::{DeliveryState, Reason};

pub use crate::model::retry::RetryPolicy;

/// How much of the time between when a delivery was due and the end of its
/// attempt counts as trying: more than an attempt takes, and less than a clock
/// jumps.
const LATE_MS: i64 = 10 * 60 * 1000;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: DeliveryState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// Attempts that were made.
    pub attempts: u32,
    /// When it was accepted, in milliseconds of Unix time.
    pub accepted_ms: i64,
    /// When it is to be taken up next, likewise.
    pub due_ms: i64,
    /// For how long it will have been tried by then, in milliseconds.
    pub tried_ms: i64,
    /// For how long of that, up to then and without a break, it will have
    /// failed for reasons that somebody may be about to mend.
    pub unmended_ms: i64,
}

/// What happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A worker takes it.
    Taken,
    /// Every resource is where it belongs.
    Succeeded,
    /// An attempt failed for a reason that may pass.
    FailedForNow(Reason),
    /// The same, and whoever refused it says when to come again.
    ToldToWait(Reason, Duration),
    /// An attempt failed for a reason that somebody may be about to mend.
    FailedForAWhile(Reason),
    /// An attempt failed for a reason that will not pass.
    FailedForGood(Reason),
    /// It could not even be tried: that is not the fault of whoever bounds the
    /// number of attempts.
    NotTried(Reason),
    /// An interceptor does not want the event after all.
    NotWanted(Reason),
    /// Its trigger is gone.
    TriggerGone,
    /// A stopping worker, or a restarted process, gives it back.
    HandedBack,
    /// Somebody does not want it any more, dead or alive.
    PutAway(Reason),
}

impl Happening {
    /// Why it happened, where there is a reason.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Taken | Self::Succeeded | Self::HandedBack => None,
            Self::TriggerGone => Some(Reason::TriggerDeleted),
            Self::FailedForNow(reason)
            | Self::ToldToWait(reason, _)
            | Self::FailedForAWhile(reason)
            | Self::FailedForGood(reason)
            | Self::NotTried(reason)
            | Self::NotWanted(reason)
            | Self::PutAway(reason) => Some(reason),
        }
    }
}

/// A failure that is no reason to give up at once.
#[derive(Clone, Copy)]
struct Setback {
    reason: Reason,
    /// Whether it counts as an attempt.
    is_attempt: bool,
    /// Whether somebody would have to mend something.
    is_mendable: bool,
    /// How long to wait at least.
    at_least: Duration,
}

impl Setback {
    fn new(reason: Reason) -> Self {
        Self {
            reason,
            is_attempt: true,
            is_mendable: false,
            at_least: Duration::ZERO,
        }
    }
}

impl Progress {
    /// A delivery that was just accepted.
    pub fn accepted(now_ms: i64) -> Self {
        Self {
            state: DeliveryState::Pending,
            reason: None,
            attempts: 0,
            accepted_ms: now_ms,
            due_ms: now_ms,
            tried_ms: 0,
            unmended_ms: 0,
        }
    }

    /// Where the delivery stands after something has happened to it. Nothing
    /// happens to one that has come to its end, but that a dead one is put
    /// away. `chance` (0 to 1) draws the wait.
    #[must_use]
    pub fn after(
        self,
        happening: Happening,
        now_ms: i64,
        policy: &RetryPolicy,
        chance: f64,
    ) -> Self {
        let is_put_away =
            self.state == DeliveryState::Dead && matches!(happening, Happening::PutAway(_));
        if self.state.is_final() && !is_put_away {
            return self;
        }
        let to = |state, reason| Self {
            state,
            reason,
            ..self
        };
        let attempted = |state, reason| Self {
            attempts: self.attempts.saturating_add(1),
            ..to(state, reason)
        };
        let setback = match happening {
            Happening::Taken => return to(DeliveryState::Running, self.reason),
            Happening::HandedBack => {
                return Self {
                    due_ms: now_ms,
                    ..to(DeliveryState::Pending, self.reason)
                };
            }
            Happening::PutAway(reason) => return to(DeliveryState::Cancelled, Some(reason)),
            Happening::TriggerGone => {
                return to(DeliveryState::Cancelled, Some(Reason::TriggerDeleted));
            }
            Happening::NotWanted(reason) => {
                return attempted(DeliveryState::Cancelled, Some(reason));
            }
            Happening::Succeeded => return attempted(DeliveryState::Done, None),
            Happening::FailedForGood(reason) => {
                return attempted(DeliveryState::Dead, Some(reason));
            }
            Happening::FailedForNow(reason) => Setback::new(reason),
            Happening::ToldToWait(reason, at_least) => Setback {
                at_least,
                ..Setback::new(reason)
            },
            Happening::FailedForAWhile(reason) => Setback {
                is_mendable: true,
                ..Setback::new(reason)
            },
            Happening::NotTried(reason) => Setback {
                is_attempt: false,
                ..Setback::new(reason)
            },
        };
        self.retry(setback, now_ms, policy, chance)
    }

    /// Tries again, or gives up where that was done often or long enough, with
    /// the reason for that.
    fn retry(self, setback: Setback, now_ms: i64, policy: &RetryPolicy, chance: f64) -> Self {
        let attempts = self.attempts.saturating_add(setback.is_attempt.into());
        let late_ms = now_ms.saturating_sub(self.due_ms).clamp(0, LATE_MS);
        let tried_ms = self.tried_ms.saturating_add(late_ms);
        // What failed otherwise until now has not waited for anybody.
        let unmended_ms = match setback.is_mendable && self.unmended_ms > 0 {
            true => self.unmended_ms.saturating_add(late_ms),
            false => 0,
        };
        let is_exhausted = setback.is_attempt && policy.attempts.is_some_and(|n| attempts >= n);
        let is_too_long = tried_ms >= ms(policy.give_up_after)
            || setback.is_mendable && unmended_ms >= ms(policy.give_up_soon_after);
        if is_exhausted || is_too_long {
            let reason = match setback.is_mendable && !is_exhausted {
                true => setback.reason,
                false => Reason::RetriesExhausted,
            };
            return Self {
                state: DeliveryState::Dead,
                reason: Some(reason),
                attempts,
                tried_ms,
                unmended_ms,
                ..self
            };
        }
        let drawn = match setback.is_attempt {
            true => policy.wait(attempts, chance),
            false => {
                let tried = Duration::from_millis(u64::try_from(tried_ms).unwrap_or_default());
                policy.wait_untried(tried, chance)
            }
        };
        let wait_ms = ms(policy.honoured(setback.at_least).saturating_add(drawn));
        Self {
            state: DeliveryState::Retrying,
            reason: Some(setback.reason),
            attempts,
            due_ms: now_ms.saturating_add(wait_ms),
            tried_ms: tried_ms.saturating_add(wait_ms),
            unmended_ms: match setback.is_mendable {
                // Never 0: it has begun.
                true => unmended_ms.saturating_add(wait_ms.max(1)),
                false => 0,
            },
            ..self
        }
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
