//! What all triggers of a listener made of an event, and what is to be written
//! of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::{Listener, Trigger};
use crate::journal::{NewDeferral, NewDelivery, NewEvent, Receipt, Recorded};
use crate::model::event::{RawEvent, VerifiedEvent};
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::verify;

use super::answer::{Answer, answer};
use super::gate::Acceptance;
use super::judge::Judgement;

/// How long a delivery is known, in milliseconds.
const DEDUPE_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How long one is known that is recognised by its bytes alone: as long as its
/// sender may be at sending it again.
const HASH_WINDOW_MS: i64 = 60 * 1000;

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
    pub(super) identity: Option<verify::Identity>,
    /// The request as it came, where somebody cannot decide on it yet.
    pub(super) request: Option<RawEvent>,
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
