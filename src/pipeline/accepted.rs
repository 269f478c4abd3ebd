//! What all triggers of a listener made of an event, and what is to be written
//! of it.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Listener, Trigger};
use crate::journal::{Known, NewDeferral, NewDelivery, NewEvent, Receipt, Recorded};
use crate::model::event::{Proven, RawEvent, VerifiedEvent};
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::verify;

use super::answer::{Answer, answer, is_known};
use super::gate::{Acceptance, Windows};
use super::judge::Judgement;

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
    /// Whether the request is a CloudEvent, so that its answer is one.
    pub is_cloud_event: bool,
    /// What is wrong with its body, where its sender is told in Tekton's words.
    pub complaint: Option<String>,
    pub(super) identity: Option<verify::Identity>,
    /// The request as it came, where somebody cannot decide on it yet.
    pub(super) request: Option<RawEvent>,
    /// Which secrets have proved who sent it.
    pub(super) proven: Vec<Proven>,
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
    /// Where its interceptors go on, where somebody else has to be asked.
    pub resume: Option<usize>,
    /// When it was accepted, in milliseconds of Unix time.
    pub accepted_ms: i64,
}

impl Accepted {
    /// Finds out which delivery it is, once somebody knows who sent it. Until
    /// then the answer carries the id that it is `claimed` to have.
    pub(super) fn identify(
        &mut self,
        listener: &Listener,
        fresh: Uuid,
        claimed: Option<verify::Identity>,
    ) {
        let any = |verdict| {
            let mut judgements = self.judgements.iter();
            judgements.any(|judgement| judgement.verdict == verdict)
        };
        let identity = match &self.verified {
            Some(event) => verify::identify(&listener.id, event),
            None => claimed.filter(|_| any(Verdict::Deferred)),
        };
        self.event = match &identity {
            Some(identity) => EventId::of_key(&identity.key),
            None => EventId(fresh),
        };
        let event = self.verified.as_ref().filter(|_| any(Verdict::Matched));
        let recordable = |event| verify::recordable(event, &listener.credential_headers);
        self.headers = event.map(|event| recordable(event).into());
        self.identity = identity;
    }

    /// Whether somebody elsewhere has to be asked about it.
    pub fn awaits_interceptor(&self) -> bool {
        let mut judgements = self.judgements.iter();
        judgements.any(|judgement| judgement.pending.is_some())
    }

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

    /// The event that a trigger matched, and its headers without credentials.
    pub fn event_of<'j>(
        &'j self,
        judgement: &'j Judgement,
        listener: &Listener,
    ) -> Option<(&'j VerifiedEvent, Arc<Headers>)> {
        match &judgement.replaced {
            Some(event) => {
                let headers = verify::recordable(event, &listener.credential_headers);
                Some((event, headers.into()))
            }
            None => Some((self.verified.as_ref()?, Arc::clone(self.headers.as_ref()?))),
        }
    }

    /// What the sender is told.
    pub fn answer(&self) -> Answer {
        answer(&self.judgements, self.is_incomplete)
    }

    /// Whether its sender may be told to send it again: nobody who knows him
    /// has decided on it.
    pub(super) fn may_retry(&self) -> bool {
        !self.judgements.iter().any(is_known)
    }

    /// Triggers that cannot decide yet.
    pub(super) fn waiting(&self) -> Vec<TriggerId> {
        let deferred = self.judgements.iter();
        let deferred = deferred.filter(|judgement| judgement.verdict == Verdict::Deferred);
        deferred
            .map(|judgement| judgement.trigger.clone())
            .collect()
    }

    /// Whether more is known of who sent it than was when it began to wait.
    pub fn has_proved_more(&self, waiting: &NewDeferral) -> bool {
        let known = self.known();
        known.is_some_and(|known| {
            known.verified && !waiting.verified || known.proven.len() > waiting.proven.len()
        })
    }

    /// What is known of who sent it, for those who wait on.
    pub(super) fn known(&self) -> Option<Known> {
        let mut deferred = self.judgements.iter();
        let waits = |judgement: &&Judgement| judgement.verdict == Verdict::Deferred;
        let mut deferred = deferred.by_ref().filter(waits).peekable();
        deferred.peek()?;
        Some(Known {
            verified: deferred.all(|judgement| judgement.verified),
            proven: self.proven.clone(),
        })
    }

    /// Triggers that know who sent it and were given no answer that may yet
    /// come.
    pub fn abandoned(&self) -> Vec<TriggerId> {
        let unanswered = self.judgements.iter().filter(|judgement| {
            let reason = judgement.reason;
            judgement.verified
                && judgement.verdict == Verdict::Failed
                && matches!(
                    reason,
                    Some(Reason::InterceptorFailed | Reason::InterceptorUnavailable)
                )
        });
        unanswered
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
                proven: self.proven.clone(),
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

    /// The event for the journal, where anything matched; and another one for
    /// each trigger for which a webhook has put something in its place.
    pub(super) fn new_events(
        &self,
        listener: &Listener,
        at: Acceptance,
        windows: Windows,
    ) -> Vec<NewEvent> {
        let (Some(event), Some(headers)) = (&self.verified, &self.headers) else {
            return Vec::new();
        };
        let (replaced, plain): (Vec<_>, Vec<_>) = self
            .matched()
            .partition(|(judgement, _)| judgement.replaced.is_some());
        let plain = plain.into_iter();
        let deliveries: Vec<_> = plain
            .map(|(judgement, trigger)| delivery(judgement, trigger, event))
            .collect();
        let mut events = Vec::new();
        if !deliveries.is_empty() {
            events.push(self.new_event(listener, (at, windows), (event, headers), deliveries));
        }
        for (judgement, trigger) in replaced {
            if let Some(event) = &judgement.replaced {
                let headers = verify::recordable(event, &listener.credential_headers);
                let deliveries = vec![delivery(judgement, trigger, event)];
                events.push(self.new_event(listener, (at, windows), (event, &headers), deliveries));
            }
        }
        events
    }

    fn matched(&self) -> impl Iterator<Item = (&Judgement, &Arc<Trigger>)> {
        let matched = self.judgements.iter();
        let matched = matched.filter(|judgement| judgement.verdict == Verdict::Matched);
        matched.filter_map(|judgement| Some((judgement, judgement.compiled.as_ref()?)))
    }

    fn new_event(
        &self,
        listener: &Listener,
        (at, windows): (Acceptance, Windows),
        (event, headers): (&VerifiedEvent, &Headers),
        deliveries: Vec<NewDelivery>,
    ) -> NewEvent {
        NewEvent {
            id: self.event,
            rerun_id: EventId(at.rerun),
            replay_of: None,
            proven: self.proven.clone(),
            listener: listener.id.clone(),
            received_ms: at.received_ms,
            accepted_ms: at.now_ms,
            key: self.identity.as_ref().map(|identity| {
                let window = match identity.by_hash {
                    true => windows.hash,
                    false => windows.id,
                };
                let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
                (identity.key.clone(), window_ms)
            }),
            request: Recorded {
                method: event.method().to_owned(),
                url: event.url().to_owned(),
                headers: headers.clone(),
                body: event.raw_body().clone(),
            },
            deliveries,
        }
    }

    /// Takes over what the journal said, and gives what is to be performed.
    pub(super) fn take_receipts(
        &mut self,
        receipts: Vec<Receipt>,
        listener: &Listener,
        now_ms: i64,
    ) -> Vec<Held> {
        let (Some(event), Some(headers)) = (&self.verified, &self.headers) else {
            return Vec::new();
        };
        let mut held = Vec::new();
        let matched = self.judgements.iter_mut();
        let matched = matched.filter(|j| j.verdict == Verdict::Matched && j.compiled.is_some());
        // In the order in which their events were recorded.
        let (replaced, plain): (Vec<_>, Vec<_>) = matched.partition(|j| j.replaced.is_some());
        for (judgement, receipt) in plain.into_iter().chain(replaced).zip(receipts) {
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
                let (event, headers) = match &judgement.replaced {
                    Some(event) => {
                        let withheld = &listener.credential_headers;
                        (event, Arc::new(verify::recordable(event, withheld)))
                    }
                    None => (event, Arc::clone(headers)),
                };
                held.push(Held {
                    id: *id,
                    event_id: *event_id,
                    event: event.clone(),
                    headers,
                    trigger: Arc::clone(trigger),
                    extensions: judgement.extensions.clone(),
                    resume: judgement.resume,
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

fn delivery(judgement: &Judgement, trigger: &Trigger, event: &VerifiedEvent) -> NewDelivery {
    NewDelivery {
        trigger: judgement.trigger.clone(),
        revision: trigger.revision.clone(),
        source: Arc::clone(&trigger.source_json),
        rerun: trigger.source.rerun_redeliveries,
        extensions: judgement.extensions.clone(),
        findings: judgement.findings.clone(),
        resume: judgement.resume,
        // Whoever is asked may have to see what proves the event.
        unsealed: judgement.resume.map(|_| event.headers().clone()),
        rendered: None,
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
