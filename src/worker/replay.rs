//! Performs events once more that the journal remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::catalog::{Entry, Listener, Snapshot, Trigger, TriggerSource, recompile};
use crate::clock::unix_ms;
use crate::journal::history::{DeliveryRecord, DeliverySummary, Paging, RequestRecord};
use crate::journal::{JournalError, NewEvent, Receipt};
use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason, Verdict};
use crate::pipeline::{Accepted, Circumstances, Judgement, Replay, consult, judge};
use crate::telemetry::happening::{EventReplayed, Happening};

use super::Worker;

/// Entries of a list that are looked at together.
const PAGE: usize = 500;

/// What is to be performed once more.
#[derive(Clone, Debug)]
pub struct Order {
    /// The event.
    pub event: EventId,
    /// Those of its triggers that are meant; all where none is named.
    pub triggers: Vec<TriggerId>,
    /// Whether its triggers are those of then, with what they decided.
    pub as_recorded: bool,
    /// Whether it is only said what would happen.
    pub dry_run: bool,
}

impl Order {
    fn means(&self, trigger: &TriggerId) -> bool {
        self.triggers.is_empty() || self.triggers.contains(trigger)
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The event that stands for it now, where a trigger fires.
    pub event: Option<EventId>,
    /// What each of the triggers makes of it.
    pub triggers: Vec<Outcome>,
    /// How often it had been given up, and waits again.
    pub waits_again: usize,
}

/// What a trigger makes of an event that is replayed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The trigger.
    pub trigger: TriggerId,
    /// Whether it fires.
    pub fires: bool,
    /// What it makes of the event.
    pub verdict: Verdict,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// Whether what it once decided holds, and nothing was decided anew.
    pub is_recorded: bool,
    /// Its delivery, once there is one.
    pub delivery: Option<DeliveryId>,
}

/// Why an event cannot be performed once more.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nothing is known of it.
    #[error("there is no event {0} in the journal")]
    Unknown(EventId),
    /// There is nothing left to perform.
    #[error("the payload of event {0} was erased")]
    Erased(EventId),
    /// Nobody is there to perform it.
    #[error("there is no EventListener {0} in the configuration")]
    ListenerGone(ListenerId),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The last delivery that a trigger had of an event.
struct Match<'r> {
    request: usize,
    summary: &'r DeliverySummary,
    details: &'r DeliveryRecord,
}

/// What is written for a replay, and what is said of it.
#[derive(Default)]
struct Plan {
    events: Vec<NewEvent>,
    outcomes: Vec<Outcome>,
}

impl Worker {
    /// Performs an event once more, under an id of its own.
    pub async fn replay(&self, order: &Order) -> Result<Replayed, ReplayError> {
        let waits_again = match order.triggers.is_empty() {
            true => self.wait_again(order).await?,
            false => 0,
        };
        let Some(record) = self.parts.history.event(order.event).await? else {
            return match waits_again {
                0 => Err(ReplayError::Unknown(order.event)),
                _ => Ok(Replayed {
                    event: None,
                    triggers: Vec::new(),
                    waits_again,
                }),
            };
        };
        let [first, ..] = &record.requests[..] else {
            return Err(ReplayError::Unknown(order.event));
        };
        if record
            .requests
            .iter()
            .any(|r| r.summary.erased_ms.is_some())
        {
            return Err(ReplayError::Erased(order.event));
        }
        let snapshot = self.parts.catalog.snapshot();
        let listener = snapshot.listener(&first.summary.listener.to_string());
        let listener =
            listener.ok_or_else(|| ReplayError::ListenerGone(first.summary.listener.clone()))?;
        let replay = Replay {
            id: EventId(Uuid::now_v7()),
            of: order.event,
            now_ms: unix_ms(),
        };
        let matches = matches(&record.requests);
        let mut plan = Plan::default();
        let decided = match order.as_recorded {
            true => as_recorded(order, &replay, &snapshot, &matches),
            false => unchanged(order, &replay, listener, &matches),
        };
        plan.take(&replay, &record.requests, decided);
        if !order.as_recorded {
            self.judge_others(order, &replay, listener, first, &mut plan)
                .await;
        }
        let event = self.write_replay(order, &mut plan).await?;
        Ok(Replayed {
            event,
            triggers: plan.outcomes,
            waits_again,
        })
    }

    /// Lets those triggers judge whose verdict is not known.
    async fn judge_others(
        &self,
        order: &Order,
        replay: &Replay,
        listener: &Arc<Listener>,
        request: &RequestRecord,
        plan: &mut Plan,
    ) {
        let known: Vec<TriggerId> = plan.outcomes.iter().map(|o| o.trigger.clone()).collect();
        let asked = Arc::new(listener.only(|id| order.means(id) && !known.contains(id)));
        if asked.triggers.is_empty() {
            return;
        }
        let Some(mut accepted) = self.judge_replay(&asked, request, replay.id).await else {
            return;
        };
        if accepted.awaits_interceptor() && !order.dry_run {
            accepted.event = replay.id;
            let circumstances = Circumstances {
                secrets: &*self.parts.secrets,
                fresh: replay.id.0,
                received_ms: request.summary.received_ms,
                explain: true,
                proven: &request.proven,
            };
            consult(&asked, &mut accepted, &circumstances, &*self.parts.calls).await;
        }
        plan.outcomes.extend(accepted.judgements.iter().map(judged));
        plan.events.extend(replay.judged(&mut accepted, &asked));
    }

    /// Judges off the threads that serve connections.
    async fn judge_replay(
        &self,
        asked: &Arc<Listener>,
        request: &RequestRecord,
        fresh: EventId,
    ) -> Option<Accepted> {
        let (asked, secrets) = (Arc::clone(asked), Arc::clone(&self.parts.secrets));
        let (proven, received_ms) = (request.proven.clone(), request.summary.received_ms);
        let raw = request.request.clone().into_raw(asked.manner.rule);
        let judged = tokio::task::spawn_blocking(move || {
            let circumstances = Circumstances {
                secrets: &*secrets,
                fresh: fresh.0,
                received_ms,
                explain: true,
                proven: &proven,
            };
            judge(&asked, raw, &circumstances)
        });
        judged.await.ok()
    }

    /// Makes durable what fires, and leaves it to whoever is free.
    async fn write_replay(
        &self,
        order: &Order,
        plan: &mut Plan,
    ) -> Result<Option<EventId>, JournalError> {
        if order.dry_run {
            return Ok(None);
        }
        let mut ids = Vec::new();
        let mut made = None;
        for event in std::mem::take(&mut plan.events) {
            let triggers: Vec<TriggerId> =
                event.deliveries.iter().map(|d| d.trigger.clone()).collect();
            let receipts = self.parts.gate.admit_replay(event).await?;
            for (trigger, receipt) in triggers.iter().zip(receipts) {
                if let Receipt::New { id, event } = receipt {
                    made = Some(event);
                    ids.push(id);
                    plan.note(trigger, id);
                }
            }
        }
        if let Some(event) = made {
            let (of, deliveries) = (order.event, ids.len());
            let as_recorded = order.as_recorded;
            EventReplayed {
                event,
                of,
                deliveries,
                as_recorded,
            }
            .emit(&self.parts.metrics);
            self.write_down("a replay", || self.journal().hand_back(ids.clone()))
                .await;
            self.wake.notify_one();
        }
        Ok(made)
    }

    /// Lets what was given up wait again; how much that was, or would be.
    async fn wait_again(&self, order: &Order) -> Result<usize, JournalError> {
        if !order.dry_run {
            let again = self.parts.history.wait_again(order.event).await?;
            if again > 0 {
                self.look.notify_one();
            }
            return Ok(again);
        }
        let (mut count, mut cursor) = (0, None);
        loop {
            let paging = Paging {
                limit: PAGE,
                cursor,
            };
            let page = self.parts.history.waiting(paging).await?;
            let given_up = page.items.iter();
            let given_up = given_up.filter(|w| w.event == order.event && w.given_up_ms.is_some());
            count += given_up.count();
            cursor = page.next;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// Lets what is due be looked for: a delivery was made due.
    pub fn look_for_due(&self) {
        self.wake.notify_one();
    }
}

impl Plan {
    /// Takes over what is decided, with the deliveries of each request.
    fn take(
        &mut self,
        replay: &Replay,
        requests: &[RequestRecord],
        decided: Vec<(usize, Decided)>,
    ) {
        let mut deliveries = BTreeMap::<usize, Vec<_>>::new();
        for (request, (outcome, delivery)) in decided {
            self.outcomes.push(outcome);
            deliveries.entry(request).or_default().extend(delivery);
        }
        for (request, deliveries) in deliveries {
            if let Some(request) = requests.get(request).filter(|_| !deliveries.is_empty()) {
                self.events.push(replay.event(request, deliveries));
            }
        }
    }

    fn note(&mut self, trigger: &TriggerId, delivery: DeliveryId) {
        let mut outcomes = self.outcomes.iter_mut();
        if let Some(outcome) = outcomes.find(|outcome| outcome.trigger == *trigger) {
            outcome.delivery = Some(delivery);
        }
    }
}

/// What is said of a trigger, and its delivery where it fires.
type Decided = (Outcome, Option<crate::journal::NewDelivery>);

/// The last delivery of each trigger.
fn matches(requests: &[RequestRecord]) -> BTreeMap<&TriggerId, Match<'_>> {
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
fn unchanged(
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
fn as_recorded(
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
fn judged(judgement: &Judgement) -> Outcome {
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
