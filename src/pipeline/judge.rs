//! Verify and match: what every trigger of a listener makes of a request.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Entry, Listener, Trigger};
use crate::intercept::Surroundings;
use crate::journal::Receipt;
use crate::model::event::{Proof, RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::ids::{EventId, TriggerId};
use crate::model::secret::Secrets;
use crate::model::verdict::{Reason, Verdict};
use crate::verify::{self, Arrival, Verification};

use super::accepted::Accepted;

/// What one trigger made of an event.
#[derive(Debug)]
pub struct Judgement {
    /// The trigger's path in its listener.
    pub trigger: TriggerId,
    /// Its name.
    pub name: String,
    /// What it made of the event.
    pub verdict: Verdict,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// Whether the trigger knows who sent the event, or does not ask.
    pub verified: bool,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// What each step found.
    pub findings: Vec<Finding>,
    /// The trigger itself, where it works.
    pub compiled: Option<Arc<Trigger>>,
    /// What became of its delivery, once that is journaled.
    pub receipt: Option<Receipt>,
}

impl Judgement {
    fn of(entry: &Entry) -> Self {
        Self {
            trigger: entry.id().clone(),
            name: entry.name().to_owned(),
            verdict: Verdict::Matched,
            reason: None,
            verified: false,
            extensions: Map::new(),
            findings: Vec::new(),
            compiled: None,
            receipt: None,
        }
    }

    pub(super) fn stop(
        &mut self,
        step: &str,
        verdict: Verdict,
        reason: Reason,
        detail: Option<String>,
    ) {
        self.verdict = verdict;
        self.reason = Some(reason);
        let stop = Stop {
            verdict,
            reason,
            detail,
        };
        self.findings.push(Finding::stopped(step, stop));
    }

    /// A judgement without a trigger behind it.
    #[cfg(test)]
    pub(super) fn bare(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self {
            trigger: TriggerId(String::new()),
            name: String::new(),
            verdict,
            reason,
            verified: matches!(
                verdict,
                Verdict::Filtered | Verdict::Matched | Verdict::Failed
            ),
            extensions: Map::new(),
            findings: Vec::new(),
            compiled: None,
            receipt: None,
        }
    }
}

/// What judging an event takes besides the event.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// The secrets that are known now.
    pub secrets: &'a dyn Secrets,
    /// Becomes the event's id where its sender does not number deliveries.
    pub fresh: Uuid,
    /// Whether somebody will look at the explanations of what is filtered.
    pub explain: bool,
    /// Whether the triggers have verified the sender before, by the journal.
    pub recalled: bool,
}

/// Lets every trigger of the listener look at a request: verify, then match.
///
/// Pure computation: some ten microseconds, and more for megabytes.
pub fn judge(listener: &Listener, raw: RawEvent, circumstances: &Circumstances<'_>) -> Accepted {
    let mut arrival = Arrival::new(raw, circumstances.secrets);
    let mut verified = None;
    let judgements: Vec<Judgement> = listener
        .triggers
        .iter()
        .map(|entry| {
            let (judgement, event) = judge_one(entry, listener, &mut arrival, circumstances);
            if judgement.verified {
                verified = verified.take().or(event);
            }
            judgement
        })
        .collect();
    let any = |verdict| judgements.iter().any(|j: &Judgement| j.verdict == verdict);
    let identity = match &verified {
        Some(event) => verify::identify(&listener.id, event),
        // The answer carries the id that the event will have.
        None if any(Verdict::Deferred) => arrival.claimed_identity(&listener.id),
        None => None,
    };
    let event = verified.as_ref().filter(|_| any(Verdict::Matched));
    Accepted {
        event: match &identity {
            Some(identity) => EventId::of_key(&identity.key),
            None => EventId(circumstances.fresh),
        },
        headers: event.map(|event| verify::recordable(event, &listener.credential_headers).into()),
        request: any(Verdict::Deferred).then(|| arrival.request().clone()),
        judgements,
        is_incomplete: listener.is_incomplete,
        verified,
        identity,
    }
}

fn judge_one(
    entry: &Entry,
    listener: &Listener,
    arrival: &mut Arrival<'_>,
    circumstances: &Circumstances<'_>,
) -> (Judgement, Option<VerifiedEvent>) {
    let mut judgement = Judgement::of(entry);
    let verifiers = match entry {
        Entry::Ready(trigger) => trigger.verifiers.as_slice(),
        Entry::Broken(broken) => match &broken.verifiers {
            Some(verifiers) => verifiers.as_slice(),
            None => {
                judgement.stop("verify", Verdict::Deferred, Reason::BadConfig, None);
                return (judgement, None);
            }
        },
    };
    let verification = match circumstances.recalled {
        true => arrival.recalled(),
        false => arrival.verify(verifiers),
    };
    let event = match verification {
        Verification::Verified(event) => event,
        Verification::Refused(reason) => {
            judgement.stop("verify", Verdict::Refused, reason, None);
            return (judgement, None);
        }
        Verification::NotMine(reason) => {
            judgement.stop("verify", Verdict::NotMine, reason, None);
            return (judgement, None);
        }
        Verification::Deferred(reason, secret) => {
            let detail = Some(format!("waits for secret {secret}"));
            judgement.stop("verify", Verdict::Deferred, reason, detail);
            return (judgement, None);
        }
    };
    judgement.findings.push(Finding::passed("verify"));
    match entry {
        Entry::Broken(_) => {
            judgement.stop("match", Verdict::Deferred, Reason::BadConfig, None);
            // What would have said who sent it may be what is broken.
            judgement.verified = *event.proof() != Proof::NoVerifier;
        }
        Entry::Ready(trigger) => {
            let around = Surroundings {
                secrets: circumstances.secrets,
                namespace: &trigger.source.namespace,
                explain: circumstances.explain,
                withheld: &listener.credential_headers,
            };
            let outcome = trigger.chain.run(&event, &around);
            judgement.verdict = outcome.verdict;
            judgement.reason = outcome.reason;
            judgement.extensions = outcome.extensions;
            judgement.findings.extend(outcome.findings);
            judgement.compiled = Some(Arc::clone(trigger));
            // An expression may have to say who sent it, and be unable to.
            judgement.verified = !matches!(outcome.verdict, Verdict::Refused | Verdict::Deferred);
        }
    }
    (judgement, Some(event))
}
