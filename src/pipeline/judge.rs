//! Verify and match: what every trigger of a listener makes of a request.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Entry, Listener, Trigger};
use crate::intercept::Surroundings;
use crate::journal::{NewDeferral, NewDelivery, NewEvent, Receipt, Recorded};
use crate::model::event::{Proof, RawEvent, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::secret::Secrets;
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::verify::{self, Arrival, Verification};

use super::answer::{Answer, answer};
use super::gate::Acceptance;

/// How long a delivery is known, in milliseconds.
const DEDUPE_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1000;

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

/// What all triggers of a listener made of an event.
#[derive(Debug)]
pub struct Accepted {
    /// Its id.
    pub event: EventId,
    /// Every trigger's judgement, in order.
    pub judgements: Vec<Judgement>,
    /// The event, where somebody verified it.
    pub verified: Option<VerifiedEvent>,
    /// Its headers without credentials, where somebody wants it.
    pub headers: Option<Arc<Headers>>,
    /// Whether triggers may be missing that nobody could read.
    pub is_incomplete: bool,
    identity: Option<verify::Identity>,
    /// The request as it came, where somebody cannot decide on it yet.
    request: Option<RawEvent>,
}

/// Where a delivery stands that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The event that it stands for.
    pub event: EventId,
    /// Its state.
    pub state: DeliveryState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
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
            verified: false,
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

impl Accepted {
    /// How much memory the event takes up: its body, and what that was parsed
    /// into.
    pub fn bytes_in_memory(&self) -> usize {
        let event = self.verified.as_ref();
        event.map_or(0, |event| event.raw_body().len() + event.parsed_bytes())
    }

    /// Gives the memory of the parsed body back; whoever performs the event
    /// parses it again.
    pub fn save_memory(&mut self) {
        self.verified = self.verified.as_ref().map(VerifiedEvent::unparsed);
    }

    /// What the sender is told.
    pub fn answer(&self) -> Answer {
        answer(&self.judgements, self.is_incomplete)
    }

    /// Triggers that cannot decide yet.
    pub(super) fn waiting(&self) -> Vec<TriggerId> {
        let deferred = self.judgements.iter();
        let deferred = deferred.filter(|judgement| judgement.verdict == Verdict::Deferred);
        deferred
            .map(|judgement| judgement.trigger.clone())
            .collect()
    }

    /// What has to wait, and for whom: apart what a stranger may have sent.
    pub(super) fn deferrals(&self, listener: &Listener, now_ms: i64) -> Vec<NewDeferral> {
        let Some(request) = &self.request else {
            return Vec::new();
        };
        let waiting = |verified: bool| {
            let deferred = self.judgements.iter();
            let deferred = deferred.filter(|judgement| {
                judgement.verdict == Verdict::Deferred && judgement.verified == verified
            });
            let triggers: Vec<TriggerId> = deferred.map(|j| j.trigger.clone()).collect();
            (!triggers.is_empty()).then(|| NewDeferral {
                event: self.event,
                listener: listener.id.clone(),
                triggers,
                verified,
                received_ms: now_ms,
                request: request.clone(),
            })
        };
        [waiting(true), waiting(false)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Gives up on triggers for which the event cannot wait either.
    pub(super) fn turn_away(&mut self, triggers: &[TriggerId]) {
        let deferred = self.judgements.iter_mut();
        for judgement in deferred.filter(|judgement| triggers.contains(&judgement.trigger)) {
            judgement.stop("wait", Verdict::Failed, Reason::DeferredQuota, None);
        }
    }

    /// The event for the journal, where anything matched.
    pub(super) fn new_event(&self, listener: &Listener, at: Acceptance) -> Option<NewEvent> {
        let (event, headers) = (self.verified.as_ref()?, self.headers.as_ref()?);
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
            rerun_id: EventId(at.rerun),
            listener: listener.id.clone(),
            received_ms: at.received_ms,
            accepted_ms: at.now_ms,
            key: self.identity.as_ref().map(|identity| {
                let window = if identity.by_hash {
                    HASH_WINDOW_MS
                } else {
                    DEDUPE_WINDOW_MS
                };
                (identity.key.clone(), window)
            }),
            request: Recorded {
                method: event.method().to_owned(),
                url: event.url().to_owned(),
                headers: Headers::clone(headers),
                body: event.raw_body().clone(),
            },
            deliveries,
        })
    }

    /// Takes over what the journal said, and gives what is to be performed.
    pub(super) fn take_receipts(&mut self, receipts: Vec<Receipt>, now_ms: i64) -> Vec<Held> {
        let (Some(event), Some(headers)) = (&self.verified, &self.headers) else {
            return Vec::new();
        };
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
                    headers: Arc::clone(headers),
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

impl Judgement {
    /// Where the delivery stood that this one repeats.
    pub fn earlier(&self) -> Option<Earlier> {
        match self.receipt {
            Some(Receipt::Duplicate {
                event,
                state,
                reason,
            }) => Some(Earlier {
                event,
                state,
                reason,
            }),
            _ => None,
        }
    }
}
