//! Verify and match: what every trigger of a listener makes of a request.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Entry, Listener, Trigger, Way};
use crate::intercept::Surroundings;
use crate::journal::Receipt;
use crate::model::event::{Proof, RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::headers::Headers;
use crate::model::ids::{EventId, TriggerId};
use crate::model::json;
use crate::model::secret::Secrets;
use crate::model::verdict::{Reason, Verdict};
use crate::verify::{Arrival, Verification, Verifier};

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
    /// Where its interceptors go on, where somebody else has to be asked.
    pub resume: Option<usize>,
    /// The event that it waits with for somebody else's answer.
    pub(super) pending: Option<Pending>,
    /// The event that a webhook has put in the place of the one that came.
    pub(super) replaced: Option<VerifiedEvent>,
    /// What became of its delivery, once that is journaled.
    pub receipt: Option<Receipt>,
}

/// An event on its way to somebody else who has to say whether it is wanted at
/// all.
#[derive(Debug)]
pub(super) struct Pending {
    pub event: VerifiedEvent,
    /// Whether it is still among the interceptors of the trigger's group.
    pub in_group: bool,
    /// Where it goes on.
    pub resume: usize,
}

impl Judgement {
    pub(super) fn new(trigger: TriggerId, name: String) -> Self {
        Self {
            trigger,
            name,
            verdict: Verdict::Matched,
            reason: None,
            verified: false,
            extensions: Map::new(),
            findings: Vec::new(),
            compiled: None,
            resume: None,
            pending: None,
            replaced: None,
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

    /// Takes over what came of a way. Whether the event passed it.
    pub(super) fn take(&mut self, passage: Passage) -> Option<VerifiedEvent> {
        self.verdict = passage.verdict;
        self.reason = passage.reason;
        self.extensions = passage.extensions;
        self.findings.extend(passage.findings);
        self.resume = passage.rest;
        // An expression may have to say who sent it, and be unable to.
        self.verified = passage.event.is_some()
            && !matches!(passage.verdict, Verdict::Refused | Verdict::Deferred);
        passage.event
    }

    /// Lets the event wait for somebody else's answer.
    fn wait(&mut self, event: VerifiedEvent, in_group: bool, resume: usize, verified: bool) {
        self.stop("match", Verdict::Deferred, Reason::AwaitsInterceptor, None);
        self.verified = verified;
        self.resume = None;
        self.pending = Some(Pending {
            event,
            in_group,
            resume,
        });
    }

    /// A judgement without a trigger behind it.
    #[cfg(test)]
    pub(super) fn bare(verdict: Verdict, reason: Option<Reason>) -> Self {
        let known = matches!(
            verdict,
            Verdict::Filtered | Verdict::Matched | Verdict::Failed
        );
        Self {
            verdict,
            reason,
            verified: known,
            ..Self::new(TriggerId(String::new()), String::new())
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
    /// When the event came, in milliseconds of Unix time.
    pub received_ms: i64,
    /// Whether somebody will look at the explanations of what is filtered.
    pub explain: bool,
    /// Whether the triggers have verified the sender before, by the journal.
    pub recalled: bool,
}

/// Lets every trigger of the listener look at a request: verify, then match.
///
/// Pure computation: some ten microseconds, and more for megabytes.
pub fn judge(listener: &Listener, raw: RawEvent, circumstances: &Circumstances<'_>) -> Accepted {
    let is_cloud_event = is_cloud_event(&raw.headers);
    let complaint = complaint(listener, &raw);
    let arrival = Arrival::new(raw, circumstances.secrets, circumstances.received_ms);
    let mut judging = Judging {
        listener,
        arrival,
        circumstances,
        groups: HashMap::new(),
    };
    let mut verified = None;
    let entries = listener.triggers.iter();
    let judgements: Vec<Judgement> = entries
        .map(|entry| {
            let (judgement, event) = judging.judge(entry);
            if judgement.verified {
                let pending = judgement.pending.as_ref();
                let event = event.or_else(|| pending.map(|pending| pending.event.clone()));
                verified = verified.take().or(event);
            }
            judgement
        })
        .collect();
    let claimed = judging.arrival.claimed_identity(&listener.id);
    let is_waiting = judgements.iter().any(|j| j.verdict == Verdict::Deferred);
    let mut accepted = Accepted {
        event: EventId(circumstances.fresh),
        headers: None,
        request: is_waiting.then(|| judging.arrival.request().clone()),
        judgements,
        is_incomplete: listener.is_incomplete,
        is_cloud_event,
        complaint,
        verified,
        identity: None,
    };
    accepted.identify(listener, circumstances.fresh, claimed);
    accepted
}

/// Whether a request is a CloudEvent, by its headers: one of a version that
/// there is, or a body that says so.
fn is_cloud_event(headers: &Headers) -> bool {
    let version = headers.get("Ce-Specversion");
    let content_type = headers.get("Content-Type").unwrap_or_default();
    version.is_some_and(|version| ["1.0", "0.3"].contains(&version))
        || content_type.starts_with("application/cloudevents")
}

/// What Tekton would say of a body. It reads it before anything else.
fn complaint(listener: &Listener, raw: &RawEvent) -> Option<String> {
    let is_asked = listener.manner.answers_as_tekton && raw.rule.validated;
    is_asked.then(|| json::complaint(&raw.body)).flatten()
}

struct Judging<'a, 's> {
    listener: &'a Listener,
    arrival: Arrival<'s>,
    circumstances: &'a Circumstances<'s>,
    /// What came of the groups' interceptors, which run once.
    groups: HashMap<usize, Passage>,
}

/// What came of a way as far as nobody else has to be asked.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub findings: Vec<Finding>,
    /// The event, where somebody has verified it or nobody asks.
    pub event: Option<VerifiedEvent>,
    /// Whether a secret has proved who sent it.
    pub is_proven: bool,
    pub extensions: Map<String, Value>,
    pub rest: Option<usize>,
}

impl Judging<'_, '_> {
    fn judge(&mut self, entry: &Entry) -> (Judgement, Option<VerifiedEvent>) {
        let mut judgement = Judgement::new(entry.id().clone(), entry.name().to_owned());
        let trigger = match entry {
            Entry::Ready(trigger) => trigger,
            Entry::Broken(broken) => {
                let Some(verifiers) = &broken.verifiers else {
                    judgement.stop("verify", Verdict::Deferred, Reason::BadConfig, None);
                    return (judgement, None);
                };
                let verification = verification(&mut self.arrival, verifiers, self.circumstances);
                let event = match verified(verification) {
                    Ok(event) => event,
                    Err(passage) => return (judgement_of(judgement, *passage), None),
                };
                judgement.findings.push(Finding::passed("verify"));
                judgement.stop("match", Verdict::Deferred, Reason::BadConfig, None);
                // What would have said who sent it may be what is broken.
                judgement.verified = *event.proof() != Proof::NoVerifier;
                return (judgement, Some(event));
            }
        };
        judgement.compiled = Some(Arc::clone(trigger));
        let (mut extensions, mut is_proven) = (Map::new(), false);
        if let Some(group) = &trigger.group {
            let source = &group.source;
            let passage = match self.groups.get(&source.index) {
                Some(known) => known.clone(),
                None => {
                    let passed = self.pass(&group.way, &source.namespace, Map::new(), false);
                    self.groups.insert(source.index, passed.clone());
                    passed
                }
            };
            if passage.verdict != Verdict::Matched {
                let event = judgement.take(passage);
                return (judgement, event);
            }
            is_proven = passage.is_proven;
            if let (Some(resume), Some(event)) = (passage.rest, &passage.event) {
                let verified = is_proven || group.way.authenticates();
                judgement.findings = passage.findings;
                judgement.extensions = passage.extensions;
                judgement.wait(event.clone(), true, resume, verified);
                return (judgement, None);
            }
            judgement.findings = passage.findings;
            extensions = passage.extensions;
        }
        let namespace = &trigger.source.namespace;
        let passage = self.pass(&trigger.way, namespace, extensions, is_proven);
        let event = judgement.take(passage);
        if let (Some(resume), Some(event)) = (judgement.resume, &event)
            && judgement.verdict == Verdict::Matched
            && trigger.is_authenticated_elsewhere()
        {
            judgement.wait(event.clone(), false, resume, false);
            return (judgement, None);
        }
        (judgement, event)
    }

    fn pass(
        &mut self,
        way: &Way,
        namespace: &str,
        extensions: Map<String, Value>,
        is_proven: bool,
    ) -> Passage {
        let before = (extensions, is_proven);
        pass(
            &mut self.arrival,
            way,
            (self.listener, namespace),
            before,
            self.circumstances,
        )
    }
}

fn judgement_of(mut judgement: Judgement, passage: Passage) -> Judgement {
    judgement.take(passage);
    judgement
}

fn verification(
    arrival: &mut Arrival<'_>,
    verifiers: &[Verifier],
    circumstances: &Circumstances<'_>,
) -> Verification {
    match circumstances.recalled {
        true => arrival.recalled(),
        false => arrival.verify(verifiers),
    }
}

/// The event, or the passage that ends before it begins.
fn verified(verification: Verification) -> Result<VerifiedEvent, Box<Passage>> {
    let (verdict, reason, detail) = match verification {
        Verification::Verified(event) => return Ok(event),
        Verification::Refused(reason) => (Verdict::Refused, reason, None),
        Verification::NotMine(reason) => (Verdict::NotMine, reason, None),
        Verification::Deferred(reason, secret) => {
            let detail = format!("waits for secret {secret}");
            (Verdict::Deferred, reason, Some(detail))
        }
    };
    let stop = Stop {
        verdict,
        reason,
        detail,
    };
    Err(Box::new(Passage {
        verdict,
        reason: Some(reason),
        findings: vec![Finding::stopped("verify", stop)],
        event: None,
        is_proven: false,
        extensions: Map::new(),
        rest: None,
    }))
}

/// Takes an event along a way as far as nobody else has to be asked.
pub(super) fn pass(
    arrival: &mut Arrival<'_>,
    way: &Way,
    (listener, namespace): (&Listener, &str),
    (extensions, was_proven): (Map<String, Value>, bool),
    circumstances: &Circumstances<'_>,
) -> Passage {
    let verification = verification(arrival, &way.first.verifiers, circumstances);
    let event = match verified(verification) {
        Ok(event) => event,
        Err(passage) => return *passage,
    };
    let is_proven = was_proven || *event.proof() != Proof::NoVerifier;
    let around = Surroundings {
        secrets: circumstances.secrets,
        namespace,
        explain: circumstances.explain,
        is_verified: is_proven,
        withheld: &listener.credential_headers,
    };
    let outcome = way.first.chain.run(&event, &around, extensions);
    let mut findings = vec![Finding::passed("verify")];
    findings.extend(outcome.findings);
    Passage {
        verdict: outcome.verdict,
        reason: outcome.reason,
        findings,
        event: Some(event),
        is_proven,
        extensions: outcome.extensions,
        rest: outcome.rest,
    }
}
