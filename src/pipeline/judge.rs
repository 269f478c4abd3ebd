//! Verify and match: what every trigger of a listener makes of a request.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Entry, Listener, Trigger};
use crate::intercept::Surroundings;
use crate::journal::{NewDelivery, NewEvent, Receipt, Recorded};
use crate::model::event::{RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::secret::Secrets;
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::verify::{self, Arrival, Verification};

use super::answer::{Answer, answer};

/// How long a delivery is known, in milliseconds.
pub const DEDUPE_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How long one is known that is recognised by its bytes alone: as long as its
/// sender may be at sending it again.
const HASH_WINDOW_MS: i64 = 60 * 1000;

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
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// What each step found.
    pub findings: Vec<Finding>,
    /// The trigger itself, where it works.
    pub compiled: Option<Arc<Trigger>>,
    /// What became of its delivery, once that is journaled.
    pub receipt: Option<Receipt>,
}

/// What all triggers of a listener made of an event.
#[derive(Debug)]
pub struct Accepted {
    /// Its id.
    pub event: EventId,
    /// Every trigger's judgement, in order.
    pub judgements: Vec<Judgement>,
    /// The event, where somebody verified it.
    pub verified: Option<VerifiedEvent>,
    identity: Option<verify::Identity>,
}

/// A delivery in the hands of the process that accepted it.
pub struct Held {
    /// Its number.
    pub id: DeliveryId,
    /// The event that it stands for.
    pub event_id: EventId,
    /// The event.
    pub event: VerifiedEvent,
    /// Its headers without credentials.
    pub headers: Arc<Headers>,
    /// The trigger that matched it.
    pub trigger: Arc<Trigger>,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// When it was accepted, in milliseconds of Unix time.
    pub accepted_ms: i64,
}

impl Judgement {
    fn of(entry: &Entry) -> Self {
        Self {
            trigger: entry.id().clone(),
            name: entry.name().to_owned(),
            verdict: Verdict::Matched,
            reason: None,
            extensions: Map::new(),
            findings: Vec::new(),
            compiled: None,
            receipt: None,
        }
    }

    fn stop(&mut self, step: &str, verdict: Verdict, reason: Reason, detail: Option<String>) {
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
            extensions: Map::new(),
            findings: Vec::new(),
            compiled: None,
            receipt: None,
        }
    }
}

/// Lets every trigger of the listener look at a request: verify, then match.
/// `fresh` becomes the event's id where its sender does not number deliveries.
///
/// Pure computation: some ten microseconds, and more for megabytes.
pub fn judge(listener: &Listener, raw: RawEvent, secrets: &dyn Secrets, fresh: Uuid) -> Accepted {
    let mut arrival = Arrival::new(raw, secrets);
    let mut verified = None;
    let judgements: Vec<Judgement> = listener
        .triggers
        .iter()
        .map(|entry| {
            let (judgement, event) = judge_one(entry, &mut arrival, secrets);
            if judgement.verdict != Verdict::Refused {
                verified = verified.take().or(event);
            }
            judgement
        })
        .collect();
    let identity = verified
        .as_ref()
        .and_then(|event| verify::identify(&listener.id, event));
    Accepted {
        event: match &identity {
            Some(identity) => EventId::of_key(&identity.key),
            None => EventId(fresh),
        },
        judgements,
        verified,
        identity,
    }
}

fn judge_one(
    entry: &Entry,
    arrival: &mut Arrival<'_>,
    secrets: &dyn Secrets,
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
    let event = match arrival.verify(verifiers) {
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
        Entry::Broken(_) => judgement.stop("match", Verdict::Deferred, Reason::BadConfig, None),
        Entry::Ready(trigger) => {
            let around = Surroundings {
                secrets,
                namespace: &trigger.source.namespace,
            };
            let outcome = trigger.chain.run(&event, &around);
            judgement.verdict = outcome.verdict;
            judgement.reason = outcome.reason;
            judgement.extensions = outcome.extensions;
            judgement.findings.extend(outcome.findings);
            judgement.compiled = Some(Arc::clone(trigger));
        }
    }
    (judgement, Some(event))
}

impl Accepted {
    /// What the sender is told, as far as the judgements go.
    pub fn answer(&self) -> Answer {
        answer(&self.judgements)
    }

    pub(super) fn waiting(&self) -> Vec<TriggerId> {
        let deferred = self.judgements.iter();
        deferred
            .filter(|judgement| judgement.verdict == Verdict::Deferred)
            .map(|judgement| judgement.trigger.clone())
            .collect()
    }

    /// The event for the journal, where anything matched.
    pub(super) fn new_event(
        &self,
        listener: &Listener,
        now_ms: i64,
        rerun: Uuid,
    ) -> Option<NewEvent> {
        let event = self.verified.as_ref()?;
        let deliveries: Vec<NewDelivery> = self
            .judgements
            .iter()
            .filter(|judgement| judgement.verdict == Verdict::Matched)
            .filter_map(|judgement| {
                let trigger = judgement.compiled.as_ref()?;
                Some(NewDelivery {
                    trigger: judgement.trigger.clone(),
                    revision: trigger.revision.clone(),
                    source: Arc::clone(&trigger.source_json),
                    rerun: trigger.source.rerun_redeliveries,
                    extensions: judgement.extensions.clone(),
                    findings: judgement.findings.clone(),
                })
            })
            .collect();
        if deliveries.is_empty() {
            return None;
        }
        Some(NewEvent {
            id: self.event,
            rerun_id: EventId(rerun),
            listener: listener.id.clone(),
            received_ms: now_ms,
            key: self.identity.as_ref().map(|identity| {
                let window = if identity.by_hash {
                    HASH_WINDOW_MS
                } else {
                    DEDUPE_WINDOW_MS
                };
                (identity.key.clone(), window)
            }),
            request: recorded(event),
            deliveries,
        })
    }

    /// Takes over what the journal said, and gives what is to be performed.
    pub(super) fn take_receipts(&mut self, receipts: Vec<Receipt>, now_ms: i64) -> Vec<Held> {
        let Some(event) = &self.verified else {
            return Vec::new();
        };
        let headers = Arc::new(verify::recordable(event));
        let mut held = Vec::new();
        let matched = self.judgements.iter_mut();
        let matched = matched.filter(|j| j.verdict == Verdict::Matched && j.compiled.is_some());
        for (judgement, receipt) in matched.zip(receipts) {
            if let (
                Receipt::New {
                    id,
                    event: event_id,
                },
                Some(trigger),
            ) = (&receipt, &judgement.compiled)
            {
                // An event that is performed again answers under its new id.
                self.event = *event_id;
                held.push(Held {
                    id: *id,
                    event_id: *event_id,
                    event: event.clone(),
                    headers: Arc::clone(&headers),
                    trigger: Arc::clone(trigger),
                    extensions: judgement.extensions.clone(),
                    accepted_ms: now_ms,
                });
            }
            judgement.receipt = Some(receipt);
        }
        held
    }

    /// Whether every delivery that the event causes was accepted before.
    pub fn is_duplicate(&self) -> bool {
        let mut receipts = self
            .judgements
            .iter()
            .filter_map(|j| j.receipt.as_ref())
            .peekable();
        receipts.peek().is_some() && receipts.all(|r| matches!(r, Receipt::Duplicate { .. }))
    }
}

fn recorded(event: &VerifiedEvent) -> Recorded {
    Recorded {
        method: event.method().to_owned(),
        url: event.url().to_owned(),
        headers: verify::recordable(event),
        body: event.raw_body().clone(),
    }
}

impl Judgement {
    /// Where the delivery stood that this one repeats.
    pub fn earlier(&self) -> Option<(EventId, DeliveryState)> {
        match self.receipt {
            Some(Receipt::Duplicate { event, state, .. }) => Some((event, state)),
            _ => None,
        }
    }
}
