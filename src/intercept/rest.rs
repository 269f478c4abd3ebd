//! The part of a chain that asks others, and all that comes after it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::{Finding, Stop};
use crate::model::headers::Headers;
use crate::model::verdict::Reason;

use super::calls::{CallError, Calls, OnFailure};
use super::step::{Interceptor, Step, has_body};
use super::{Chain, Surroundings};

/// What others are told of where the event is.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The event's id.
    pub event_id: &'a str,
    /// The trigger, as interceptors know it: `namespaces/NS/triggers/NAME`.
    pub trigger: &'a str,
    /// Whether nobody but those who are asked can say who sent the event: then
    /// nothing goes on without their answer.
    pub must_answer: bool,
}

/// What came of the rest of a chain.
#[derive(Debug)]
pub struct Rest {
    /// How it ended.
    pub end: End,
    /// Which of the trigger's interceptors came last.
    pub step: String,
    /// The extensions, those included that were there before.
    pub extensions: Map<String, Value>,
    /// One entry a step that ran.
    pub findings: Vec<Finding>,
}

/// How the rest of a chain ended.
#[derive(Debug)]
pub enum End {
    /// Nobody stopped the event.
    Matched,
    /// A webhook has put another event in its place.
    Replaced(Replacement),
    /// A webhook gave no answer, and the event goes on as it is.
    Skipped,
    /// Somebody stopped it.
    Stopped(Stop),
    /// Somebody gave no answer, and the chain cannot go on without.
    Unanswered {
        /// The reason to record.
        reason: Reason,
        /// Who, and why.
        detail: String,
        /// Whether asking again later may help.
        may_pass: bool,
        /// How much later, where whoever was asked says so.
        retry_after: Option<Duration>,
    },
}

/// What a webhook has put in the place of an event.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

/// Why a step does not let an event pass.
#[derive(Debug)]
pub(super) enum Halt {
    /// It does not want it.
    Stopped(Stop),
    /// It gave no answer.
    Unanswered(CallError),
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Self::Unanswered(error)
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl Chain {
    /// Runs the chain from step `from` on, with what came of the steps before.
    pub async fn go_on(
        &self,
        from: usize,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        placed: &Placed<'_>,
        calls: &dyn Calls,
        extensions: Map<String, Value>,
    ) -> Rest {
        let mut rest = Rest {
            end: End::Matched,
            step: String::new(),
            extensions,
            findings: Vec::new(),
        };
        for step in self.steps.iter().skip(from) {
            rest.step.clone_from(&step.name);
            let asked = step.ask(event, around, placed, calls, &mut rest.extensions);
            match asked.await {
                Ok(None) => rest.findings.push(Finding::passed(&step.name)),
                Ok(Some(replacement)) => {
                    rest.findings.push(Finding::passed(&step.name));
                    rest.end = End::Replaced(replacement);
                    return rest;
                }
                Err(Halt::Stopped(stop)) => {
                    let found = Finding::stopped(&step.name, stop.clone());
                    rest.findings.push(found);
                    rest.end = End::Stopped(stop);
                    return rest;
                }
                Err(Halt::Unanswered(error)) => {
                    let detail = format!("interceptor `{}`: {error}", step.name);
                    let mut found = Finding::passed(&step.name);
                    found.reason = Some(Reason::InterceptorUnavailable);
                    found.detail = Some(detail.clone());
                    rest.findings.push(found);
                    let policy = match step.interceptor.on_failure() {
                        OnFailure::Continue if placed.must_answer => OnFailure::Retry,
                        policy => policy,
                    };
                    if policy == OnFailure::Continue {
                        if matches!(step.interceptor, Interceptor::Webhook(_)) {
                            rest.end = End::Skipped;
                            return rest;
                        }
                        continue;
                    }
                    rest.end = End::Unanswered {
                        reason: match error.may_pass {
                            true => Reason::InterceptorUnavailable,
                            false => Reason::InterceptorFailed,
                        },
                        detail,
                        may_pass: error.may_pass && policy == OnFailure::Retry,
                        retry_after: error.retry_after,
                    };
                    return rest;
                }
            }
        }
        if !event.rule().is_open()
            && let Err(stop) = has_body(event)
        {
            rest.end = End::Stopped(stop);
        }
        rest
    }
}

impl Step {
    async fn ask(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        placed: &Placed<'_>,
        calls: &dyn Calls,
        extensions: &mut Map<String, Value>,
    ) -> Result<Option<Replacement>, Halt> {
        match &self.interceptor {
            Interceptor::Remote(remote) => remote.ask(event, placed, calls, extensions).await?,
            Interceptor::Webhook(webhook) => {
                return webhook.ask(event, calls, extensions).await.map(Some);
            }
            Interceptor::ChangedFiles(files) => {
                files.ask(event, around, calls, extensions).await?;
            }
            Interceptor::Owners(owners) => owners.ask(event, around, calls).await?,
            _ => self.decide(event, around, extensions)?,
        }
        Ok(None)
    }
}
