//! What triggers make of an event that is performed once more.

use std::collections::BTreeMap;

use crate::catalog::{Entry, Listener, Snapshot, Trigger, TriggerSource, recompile};
use crate::journal::NewDelivery;
use crate::journal::history::{DeliveryRecord, DeliverySummary, RequestRecord};
use crate::model::ids::{DeliveryId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::pipeline::{Judgement, Replay};

use super::{Order, Outcome};

/// The last delivery that a trigger had of an event.
pub(super) struct Match<'r> {
    request: usize,
    summary: &'r DeliverySummary,
    details: &'r DeliveryRecord,
}

/// What is said of a trigger, and its delivery where it fires.
pub(super) type Decided = (Outcome, Option<NewDelivery>);

/// The last delivery of each trigger.
pub(super) fn matches(requests: &[RequestRecord]) -> BTreeMap<&TriggerId, Match<'_>> {
    let mut found = BTreeMap::new();
    for (request, record) in requests.iter().enumerate() {
        for (summary, details) in record.summary.deliveries.iter().zip(&record.deliveries) {
            let last = Match {
                request,
                summary,
                details,
            };
            found.insert(&summary.trigger, last);
        }
    }
    found
}

/// Triggers that are what they were when they matched: their verdict holds.
pub(super) fn unchanged(
    order: &Order,
    replay: &Replay,
    listener: &Listener,
    matches: &BTreeMap<&TriggerId, Match<'_>>,
) -> Vec<(usize, Decided)> {
    let mut decided = Vec::new();
    for entry in listener.triggers.iter().filter(|e| order.means(e.id())) {
        let (Entry::Ready(trigger), Some(found)) = (entry, matches.get(entry.id())) else {
            continue;
        };
        if is_unchanged(trigger, found.details) {
            decided.push((found.request, repeat(replay, trigger, found, true)));
        }
    }
    decided
}

fn is_unchanged(trigger: &Trigger, recorded: &DeliveryRecord) -> bool {
    trigger.revision == recorded.revision
        || TriggerSource::from_json(&recorded.source)
            .is_ok_and(|source| trigger.source.is_readdressed(&source))
}

/// Every trigger that matched, as it was then.
pub(super) fn as_recorded(
    order: &Order,
    replay: &Replay,
    snapshot: &Snapshot,
    matches: &BTreeMap<&TriggerId, Match<'_>>,
) -> Vec<(usize, Decided)> {
    let meant = matches.values().filter(|m| order.means(&m.summary.trigger));
    let mut decided = Vec::new();
    for found in meant {
        let (id, of) = (&found.summary.trigger, &found.summary.listener);
        let trigger = match snapshot.trigger(of, id) {
            // Whoever has taken a trigger away does not want it performed.
            None => Err((
                Reason::TriggerMissing,
                "a trigger that is not in the configuration is not performed as it was either"
                    .to_owned(),
            )),
            Some(_) => TriggerSource::from_json(&found.details.source)
                .map_err(|error| error.to_string())
                .and_then(recompile)
                .map_err(|message| (Reason::BadConfig, message)),
        };
        let one = match trigger {
            Ok(trigger) => repeat(replay, &trigger, found, false),
            Err((reason, detail)) => {
                let mut outcome = Outcome::recorded(id, Some(detail));
                (outcome.fires, outcome.verdict) = (false, Verdict::Failed);
                outcome.reason = Some(reason);
                (outcome, None)
            }
        };
        decided.push((found.request, one));
    }
    decided
}

/// What a trigger made of it, once more.
fn repeat(replay: &Replay, trigger: &Trigger, found: &Match<'_>, is_asked_again: bool) -> Decided {
    let (id, state) = (trigger.id(), found.summary.progress.state);
    if !state.is_final() {
        let mut outcome = Outcome::recorded(id, Some(under_way(found.summary.id, state)));
        outcome.fires = false;
        return (outcome, None);
    }
    match replay.repeated(trigger, found.details, is_asked_again) {
        Ok(delivery) => (Outcome::recorded(id, None), Some(delivery)),
        Err(error) => {
            let mut outcome = Outcome::recorded(id, Some(error.to_string()));
            (outcome.fires, outcome.verdict) = (false, Verdict::Failed);
            outcome.reason = Some(error.reason());
            (outcome, None)
        }
    }
}

fn under_way(delivery: DeliveryId, state: DeliveryState) -> String {
    format!("delivery {delivery} is {state} still; nothing has to be performed again")
}

impl Outcome {
    fn recorded(trigger: &TriggerId, detail: Option<String>) -> Self {
        Self {
            trigger: trigger.clone(),
            fires: true,
            verdict: Verdict::Matched,
            reason: None,
            detail,
            is_recorded: true,
            delivery: None,
        }
    }
}

/// What a trigger made of it that has judged anew.
pub(super) fn judged(judgement: &Judgement) -> Outcome {
    let detail = judgement.findings.last().and_then(|f| f.detail.clone());
    Outcome {
        trigger: judgement.trigger.clone(),
        fires: judgement.verdict == Verdict::Matched,
        verdict: judgement.verdict,
        reason: judgement.reason,
        detail: match judgement.verdict {
            Verdict::Refused | Verdict::NotMine => Some(UNPROVED.into()),
            Verdict::Deferred => Some(format!(
                "{}; nothing was replayed for it",
                judgement
                    .reason
                    .map_or("nobody can decide now", Reason::meaning)
            )),
            Verdict::Matched | Verdict::Filtered | Verdict::Failed => detail,
        },
        is_recorded: false,
        delivery: None,
    }
}

/// Why a trigger does not believe an event that another one has believed.
const UNPROVED: &str = "credentials are not recorded, and no secret of this trigger has proved the event when it came; a trigger that has matched it can be replayed as recorded";
