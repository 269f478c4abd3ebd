//! The rest of a way: interceptors elsewhere, and all that comes after them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::catalog::Way;
use crate::intercept::calls::Calls;
use crate::intercept::{End, Placed, Replacement, Surroundings};
use crate::model::event::{RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::secret::Secrets;
use crate::model::verdict::{Reason, Verdict};
use crate::verify::{Arrival, Verification};

/// What walking takes besides the event.
#[derive(Clone, Copy)]
pub(super) struct Walker<'a> {
    pub secrets: &'a dyn Secrets,
    pub calls: &'a dyn Calls,
    /// Namespace of the trigger, or of the listener for its groups.
    pub namespace: &'a str,
    pub placed: Placed<'a>,
    /// Whether a secret has proved who sent the event.
    pub is_verified: bool,
    pub received_ms: i64,
}

/// An event that has come to the end of a way.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// The event, where a webhook has put another one in its place.
    pub replaced: Option<VerifiedEvent>,
    pub extensions: Map<String, Value>,
    pub findings: Vec<Finding>,
}

/// Why an event has not come to the end of a way.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Halted {
    /// Somebody does not want it.
    #[error("interceptor `{step}`: {}", detail(.stop))]
    Stopped {
        /// Which of the interceptors.
        step: String,
        /// Why.
        stop: Stop,
    },
    /// Somebody gave no answer.
    #[error("{detail}")]
    Unanswered {
        /// The reason to record.
        reason: Reason,
        /// Who, and why.
        detail: String,
        /// Whether asking again may help.
        may_pass: bool,
        /// When, where whoever was asked says so.
        retry_after: Option<Duration>,
    },
}

fn detail(stop: &Stop) -> &str {
    let meaning = stop.reason.meaning();
    stop.detail.as_deref().unwrap_or(meaning)
}

impl Halted {
    /// The reason to record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Stopped { stop, .. } => stop.reason,
            Self::Unanswered { reason, .. } => *reason,
        }
    }
}

impl Walker<'_> {
    /// Takes an event along the way from step `resume` of its first stretch on.
    pub(super) async fn walk(
        &self,
        way: &Way,
        event: &VerifiedEvent,
        resume: usize,
        extensions: Map<String, Value>,
    ) -> Result<Arrived, Halted> {
        let mut arrived = Arrived {
            replaced: None,
            extensions,
            findings: Vec::new(),
        };
        let around = self.around();
        let mut later = way.later.iter();
        let (mut chain, mut from) = (&way.first.chain, resume);
        let (mut at, mut is_replaced) = (event.clone(), false);
        loop {
            let extensions = std::mem::take(&mut arrived.extensions);
            let rest = chain.go_on(from, &at, &around, &self.placed, self.calls, extensions);
            let rest = rest.await;
            arrived.extensions = rest.extensions;
            arrived.findings.extend(rest.findings);
            let raw = match rest.end {
                End::Matched => break,
                End::Replaced(replacement) => {
                    is_replaced = true;
                    replaced(&at, replacement)
                }
                End::Skipped => at.to_raw(),
                End::Stopped(stop) => {
                    let step = rest.step;
                    return Err(Halted::Stopped { step, stop });
                }
                End::Unanswered {
                    reason,
                    detail,
                    may_pass,
                    retry_after,
                } => {
                    return Err(Halted::Unanswered {
                        reason,
                        detail,
                        may_pass,
                        retry_after,
                    });
                }
            };
            let mut arrival = Arrival::new(raw, self.secrets, self.received_ms);
            let next = later.next();
            let verifiers = next.map_or(&[][..], |stretch| &stretch.verifiers);
            at = verified(arrival.verify(verifiers))?;
            let Some(stretch) = next else {
                break;
            };
            // What says who sent it comes first on this stretch, too.
            let extensions = std::mem::take(&mut arrived.extensions);
            let outcome = stretch.chain.run(&at, &around, extensions);
            arrived.extensions = outcome.extensions;
            arrived.findings.extend(outcome.findings);
            if outcome.verdict != Verdict::Matched {
                return Err(stopped(arrived.findings.pop()));
            }
            match outcome.rest {
                Some(rest) => (chain, from) = (&stretch.chain, rest),
                None => break,
            }
        }
        arrived.replaced = is_replaced.then_some(at);
        Ok(arrived)
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            secrets: self.secrets,
            namespace: self.namespace,
            explain: false,
            is_verified: self.is_verified,
            withheld: &[],
        }
    }
}

/// The event that a webhook has put in the place of another one.
fn replaced(event: &VerifiedEvent, by: Replacement) -> RawEvent {
    RawEvent {
        method: event.method().to_owned(),
        url: event.url().to_owned(),
        headers: by.headers,
        body: by.body,
        rule: event.rule().of_answers(),
    }
}

fn verified(verification: Verification) -> Result<VerifiedEvent, Halted> {
    let stop = match verification {
        Verification::Verified(event) => return Ok(event),
        Verification::Refused(reason) | Verification::NotMine(reason) => Stop {
            verdict: Verdict::Refused,
            reason,
            detail: None,
        },
        Verification::Deferred(reason, secret) => {
            Stop::deferred(reason, format!("waits for secret {secret}"))
        }
    };
    let step = "verify".to_owned();
    Err(Halted::Stopped { step, stop })
}

fn stopped(found: Option<Finding>) -> Halted {
    let found = found.unwrap_or_else(|| Finding::passed("match"));
    Halted::Stopped {
        step: found.step,
        stop: Stop {
            verdict: found.verdict,
            reason: found.reason.unwrap_or(Reason::FilterFalse),
            detail: found.detail,
        },
    }
}
