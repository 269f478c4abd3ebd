//! Events on which somebody elsewhere has to say first whether they are wanted
//! at all: by triggers whose only proof of the sender is an interceptor over
//! the network, and by groups that ask one for all their triggers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Map;

use crate::catalog::Listener;
use crate::intercept::Placed;
use crate::intercept::calls::Calls;
use crate::model::event::Proven;
use crate::model::verdict::{Reason, Verdict};
use crate::verify::Arrival;

use super::accepted::Accepted;
use super::judge::{Circumstances, Judgement, Pending};
use super::pass::pass;
use super::walk::{Arrived, Halted, Walker};

/// Asks those whom the triggers wait for. What they say is in the judgements
/// after this; whoever gave no answer that may yet come is waited for still.
pub async fn consult(
    listener: &Listener,
    accepted: &mut Accepted,
    circumstances: &Circumstances<'_>,
    calls: &dyn Calls,
) {
    let event_id = accepted.event.to_string();
    let proven = accepted.proven.clone();
    let consulting = Consulting {
        listener,
        circumstances,
        calls,
        event_id: &event_id,
        proven: &proven,
    };
    let mut groups = HashMap::new();
    for index in 0..accepted.judgements.len() {
        let judgement = &mut accepted.judgements[index];
        let Some(pending) = judgement.pending.take() else {
            continue;
        };
        let event = pending.event.clone();
        match pending.in_group {
            true => consulting.group(judgement, pending, &mut groups).await,
            false => consulting.own(judgement, pending).await,
        }
        if judgement.verified && judgement.verdict != Verdict::Deferred {
            accepted.verified.get_or_insert(event);
        }
    }
    accepted.identify(listener, circumstances.fresh, None);
}

struct Consulting<'a> {
    listener: &'a Listener,
    circumstances: &'a Circumstances<'a>,
    calls: &'a dyn Calls,
    event_id: &'a str,
    proven: &'a [Proven],
}

impl Consulting<'_> {
    /// A trigger that knows its senders by somebody else's word alone.
    async fn own(&self, judgement: &mut Judgement, pending: Pending) {
        let Some(trigger) = judgement.compiled.clone() else {
            return;
        };
        let path = trigger.path();
        let walker = self.walker(&trigger.source.namespace, &path, false);
        let extensions = judgement.extensions.clone();
        let walked = walker.walk(&trigger.way, &pending.event, pending.resume, extensions);
        match walked.await {
            Ok(arrived) => {
                judgement.verdict = Verdict::Matched;
                judgement.reason = None;
                judgement.verified = true;
                judgement.has_waited();
                judgement.findings.extend(arrived.findings);
                judgement.extensions = arrived.extensions;
                judgement.replaced = arrived.replaced;
            }
            Err(halted) => {
                halt(judgement, pending, &halted, Verdict::Refused);
            }
        }
    }

    /// A trigger of a group, whose interceptors are asked once for all.
    async fn group(
        &self,
        judgement: &mut Judgement,
        pending: Pending,
        groups: &mut HashMap<(usize, bool), Result<Arrived, Halted>>,
    ) {
        let Some(trigger) = judgement.compiled.clone() else {
            return;
        };
        let Some(group) = &trigger.group else {
            return;
        };
        let walked = match groups.entry((group.source.index, judgement.verified)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let path = group.path();
                let walker = self.walker(&group.source.namespace, &path, judgement.verified);
                let extensions = judgement.extensions.clone();
                let walked = walker.walk(&group.way, &pending.event, pending.resume, extensions);
                place.insert(walked.await)
            }
        };
        let arrived = match walked {
            Ok(arrived) => arrived.clone(),
            Err(halted) => {
                let unwanted = match judgement.verified {
                    true => Verdict::Filtered,
                    false => Verdict::Refused,
                };
                return halt(judgement, pending, halted, unwanted);
            }
        };
        judgement.has_waited();
        judgement.findings.extend(arrived.findings);
        let is_replaced = arrived.replaced.is_some();
        let event = arrived.replaced.unwrap_or(pending.event);
        let (secrets, came) = (self.circumstances.secrets, self.circumstances.received_ms);
        // Nothing is proved yet of an event that a webhook has put in place.
        let known = if is_replaced { &[] } else { self.proven };
        let mut arrival = Arrival::new(event.to_raw(), secrets, came).recalling(known);
        let at = (self.listener, trigger.source.namespace.as_str());
        let was_proven = judgement.verified || group.way.first.chain.is_asked_elsewhere();
        let before = (arrived.extensions, was_proven);
        let passage = pass(&mut arrival, &trigger.way, at, before, self.circumstances);
        let event = judgement.take(passage);
        if !was_proven
            && judgement.verdict == Verdict::Matched
            && let (Some(resume), Some(passed)) = (judgement.resume, &event)
            && trigger.is_authenticated_elsewhere()
        {
            let pending = Pending {
                event: passed.clone(),
                in_group: false,
                resume,
            };
            judgement.resume = None;
            self.own(judgement, pending).await;
            let own = judgement.replaced.take();
            judgement.replaced = own.or(event.filter(|_| is_replaced));
            return;
        }
        judgement.replaced = event.filter(|_| is_replaced);
    }

    fn walker<'w>(&'w self, namespace: &'w str, path: &'w str, is_verified: bool) -> Walker<'w> {
        Walker {
            secrets: self.circumstances.secrets,
            calls: self.calls,
            namespace,
            placed: Placed {
                event_id: self.event_id,
                trigger: path,
                must_answer: !is_verified,
            },
            is_verified,
            received_ms: self.circumstances.received_ms,
        }
    }
}

/// What becomes of a trigger for which nobody let the event pass.
fn halt(judgement: &mut Judgement, pending: Pending, halted: &Halted, unwanted: Verdict) {
    let (verdict, reason) = match halted {
        Halted::Stopped { stop, .. } => match stop.verdict {
            Verdict::Deferred => (Verdict::Deferred, stop.reason),
            Verdict::Filtered => (unwanted, stop.reason),
            other => (other, stop.reason),
        },
        Halted::Unanswered { may_pass: true, .. } => (Verdict::Deferred, Reason::AwaitsInterceptor),
        Halted::Unanswered { reason, .. } => (Verdict::Failed, *reason),
    };
    judgement.stop("match", verdict, reason, Some(halted.to_string()));
    if verdict == Verdict::Deferred {
        judgement.pending = Some(pending);
    } else {
        judgement.extensions = Map::new();
    }
}
