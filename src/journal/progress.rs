//! How a delivery moves from state to state: one pure function.

use std::time::Duration;

use crate::model::verdict::{DeliveryState, Reason};

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
    /// An attempt failed for a reason that somebody may be about to mend.
    FailedForAWhile(Reason),
    /// An attempt failed for a reason that will not pass.
    FailedForGood(Reason),
    /// An interceptor does not want the event after all.
    NotWanted(Reason),
    /// Its trigger is gone.
    TriggerGone,
    /// A stopping worker, or a restarted process, gives it back.
    HandedBack,
    /// Somebody does not want it any more, dead or alive.
    PutAway(Reason),
}

/// How often and how long something is tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The longest wait before the second attempt; it doubles with each one.
    pub first_wait: Duration,
    /// The longest wait there is.
    pub longest_wait: Duration,
    /// How long after its acceptance a delivery is tried.
    pub give_up_after: Duration,
    /// The same where somebody would have to mend something first.
    pub give_up_soon_after: Duration,
}

impl RetryPolicy {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(5 * 60),
        give_up_after: Duration::from_secs(24 * 60 * 60),
        give_up_soon_after: Duration::from_secs(15 * 60),
    };

    /// The wait before the attempt after `attempts`: anything up to the bound,
    /// as `chance` (0 to 1) has it, so that what failed together is not
    /// retried together.
    fn wait_ms(&self, attempts: u32, chance: f64) -> i64 {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(20));
        let bound = self
            .first_wait
            .saturating_mul(doubled)
            .min(self.longest_wait);
        let wait = bound.mul_f64(chance.clamp(0.0, 1.0));
        i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
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
        }
    }

    /// Where the delivery stands after something has happened to it. Nothing
    /// happens to one that has come to its end, but that a dead one is put
    /// away.
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
        match happening {
            Happening::Taken => to(DeliveryState::Running, self.reason),
            Happening::HandedBack => Self {
                due_ms: now_ms,
                ..to(DeliveryState::Pending, self.reason)
            },
            Happening::NotWanted(reason) => Self {
                attempts: self.attempts.saturating_add(1),
                ..to(DeliveryState::Cancelled, Some(reason))
            },
            Happening::TriggerGone => to(DeliveryState::Cancelled, Some(Reason::TriggerDeleted)),
            Happening::PutAway(reason) => to(DeliveryState::Cancelled, Some(reason)),
            Happening::Succeeded => Self {
                attempts: self.attempts.saturating_add(1),
                ..to(DeliveryState::Done, None)
            },
            Happening::FailedForGood(reason) => Self {
                attempts: self.attempts.saturating_add(1),
                ..to(DeliveryState::Dead, Some(reason))
            },
            Happening::FailedForNow(reason) => {
                let exhausted = Reason::RetriesExhausted;
                self.retry(
                    reason,
                    now_ms,
                    policy,
                    chance,
                    (policy.give_up_after, exhausted),
                )
            }
            Happening::FailedForAWhile(reason) => self.retry(
                reason,
                now_ms,
                policy,
                chance,
                (policy.give_up_soon_after, reason),
            ),
        }
    }

    /// Tries again, or gives up where it is older than it may get, with the
    /// reason for that.
    fn retry(
        self,
        reason: Reason,
        now_ms: i64,
        policy: &RetryPolicy,
        chance: f64,
        (longest, at_last): (Duration, Reason),
    ) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let age_ms = now_ms.saturating_sub(self.accepted_ms);
        let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        if age_ms >= longest {
            return Self {
                state: DeliveryState::Dead,
                reason: Some(at_last),
                attempts,
                ..self
            };
        }
        Self {
            state: DeliveryState::Retrying,
            reason: Some(reason),
            attempts,
            due_ms: now_ms.saturating_add(policy.wait_ms(attempts, chance)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy::DEFAULT;

    fn after(happenings: &[Happening]) -> Progress {
        let start = Progress::accepted(1_000);
        happenings.iter().fold(start, |at, happening| {
            at.after(*happening, 1_000, &POLICY, 1.0)
        })
    }

    #[test]
    fn a_delivery_that_succeeds_is_done() {
        let done = after(&[Happening::Taken, Happening::Succeeded]);
        assert_eq!((done.state, done.attempts), (DeliveryState::Done, 1));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut progress = Progress::accepted(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let failed = Happening::FailedForNow(Reason::SinkUnavailable);
            progress = progress.after(failed, 0, &POLICY, 1.0);
            waits.push(progress.due_ms / 1_000);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(progress.state, DeliveryState::Retrying);
    }

    #[test]
    fn chance_shortens_a_wait_and_never_lengthens_it() {
        for (chance, expected) in [(0.0, 0), (0.5, 500), (1.0, 1_000), (7.0, 1_000)] {
            assert_eq!(POLICY.wait_ms(1, chance), expected);
        }
    }

    #[test]
    fn after_the_longest_time_a_delivery_is_dead() {
        let late = 24 * 60 * 60 * 1_000;
        let failed = Happening::FailedForNow(Reason::SinkUnavailable);
        let dead = Progress::accepted(0).after(failed, late, &POLICY, 1.0);
        assert_eq!(dead.state, DeliveryState::Dead);
        assert_eq!(dead.reason, Some(Reason::RetriesExhausted));
    }

    #[test]
    fn nothing_happens_to_what_has_come_to_its_end() {
        for end in [
            Happening::Succeeded,
            Happening::FailedForGood(Reason::NameTaken),
            Happening::TriggerGone,
        ] {
            let ended = after(&[end]);
            for happening in [
                Happening::Taken,
                Happening::HandedBack,
                Happening::Succeeded,
                Happening::FailedForNow(Reason::SinkUnavailable),
            ] {
                assert_eq!(ended.after(happening, 9, &POLICY, 1.0), ended);
            }
        }
    }

    #[test]
    fn what_is_dead_or_under_way_can_be_put_away_and_nothing_else() {
        let put_away = Happening::PutAway(Reason::Discarded);
        let died = Happening::FailedForGood(Reason::NameTaken);
        for before in [vec![], vec![Happening::Taken], vec![died]] {
            let away = after(&[before, vec![put_away]].concat());
            assert_eq!(away.state, DeliveryState::Cancelled);
            assert_eq!(away.reason, Some(Reason::Discarded));
        }
        let done = after(&[Happening::Succeeded]);
        assert_eq!(done.after(put_away, 9, &POLICY, 1.0), done);
    }

    #[test]
    fn what_is_handed_back_is_due_at_once() {
        let back = after(&[Happening::Taken]).after(Happening::HandedBack, 5_000, &POLICY, 1.0);
        assert_eq!((back.state, back.due_ms), (DeliveryState::Pending, 5_000));
    }
}
