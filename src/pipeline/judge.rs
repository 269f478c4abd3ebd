//! Verify and match: what every trigger of a listener makes of a request.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Broken, Entry, Group, Listener, Trigger};
use crate::journal::Receipt;
use crate::model::event::{Proof, Proven, RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::headers::Headers;
use crate::model::ids::{EventId, TriggerId};
use crate::model::json;
use crate::model::secret::Secrets;
use crate::model::verdict::{Reason, Verdict};
use crate::verify::Arrival;

use super::accepted::Accepted;
use super::pass::{Passage, pass, prove, verified};

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
        self.verified = passage.is_known();
        self.verdict = passage.verdict;
        self.reason = passage.reason;
        self.extensions = passage.extensions;
        self.findings.extend(passage.findings);
        self.resume = passage.rest;
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

    /// Forgets that it had to wait.
    pub(super) fn has_waited(&mut self) {
        self.findings
            .retain(|finding| finding.verdict != Verdict::Deferred);
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
    /// What the request has proved before, by the journal.
    pub proven: &'a [Proven],
}

/// Lets every trigger of the listener look at a request: verify, then match.
///
/// Pure computation: some ten microseconds, and more for megabytes.
pub fn judge(listener: &Listener, raw: RawEvent, circumstances: &Circumstances<'_>) -> Accepted {
    let is_cloud_event = is_cloud_event(&raw.headers);
    let complaint = complaint(listener, &raw);
    let arrival = Arrival::new(raw, circumstances.secrets, circumstances.received_ms)
        .recalling(circumstances.proven);
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
        proven: judging.arrival.proven(),
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

impl Judging<'_, '_> {
    fn judge(&mut self, entry: &Entry) -> (Judgement, Option<VerifiedEvent>) {
        let mut judgement = Judgement::new(entry.id().clone(), entry.name().to_owned());
        let trigger = match entry {
            Entry::Ready(trigger) => trigger,
            Entry::Broken(broken) => {
                let event = self.broken(broken, &mut judgement);
                return (judgement, event);
            }
        };
        judgement.compiled = Some(Arc::clone(trigger));
        let own = (self.listener, trigger.source.namespace.as_str());
        let (mut extensions, mut is_proven) = (Map::new(), false);
        if let Some(group) = &trigger.group {
            // A stranger learns nothing from the group, and does not make it ask.
            if !group.way.replaces() {
                match prove(&mut self.arrival, &trigger.way, own, self.circumstances) {
                    Ok(proven) => is_proven = proven,
                    Err(passage) => {
                        let event = judgement.take(*passage);
                        return (judgement, event);
                    }
                }
            }
            let mut passage = self.group(group);
            passage.is_proven |= is_proven;
            is_proven = passage.is_proven;
            if passage.verdict != Verdict::Matched {
                let event = judgement.take(passage);
                return (judgement, event);
            }
            judgement.findings = passage.findings;
            if let (Some(resume), Some(event)) = (passage.rest, &passage.event) {
                judgement.extensions = passage.extensions;
                judgement.wait(event.clone(), true, resume, is_proven);
                return (judgement, None);
            }
            extensions = passage.extensions;
        }
        let before = (extensions, is_proven);
        let arrival = &mut self.arrival;
        let passage = pass(arrival, &trigger.way, own, before, self.circumstances);
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

    /// A trigger that does not work: its events wait.
    fn broken(&mut self, broken: &Broken, judgement: &mut Judgement) -> Option<VerifiedEvent> {
        let Some(verifiers) = &broken.verifiers else {
            judgement.stop("verify", Verdict::Deferred, Reason::BadConfig, None);
            return None;
        };
        match verified(&mut self.arrival, verifiers) {
            Ok(event) => {
                judgement.findings.push(Finding::passed("verify"));
                judgement.stop("match", Verdict::Deferred, Reason::BadConfig, None);
                // What would have said who sent it may be what is broken.
                judgement.verified = *event.proof() != Proof::NoVerifier;
                Some(event)
            }
            Err(passage) => judgement.take(*passage),
        }
    }

    /// What came of a group's interceptors, which run once.
    fn group(&mut self, group: &Group) -> Passage {
        let source = &group.source;
        if let Some(known) = self.groups.get(&source.index) {
            return known.clone();
        }
        let at = (self.listener, source.namespace.as_str());
        let before = (Map::new(), false);
        let arrival = &mut self.arrival;
        let passed = pass(arrival, &group.way, at, before, self.circumstances);
        self.groups.insert(source.index, passed.clone());
        passed
    }
}
