//! Performs events once more that the journal remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::catalog::Listener;
use crate::clock::unix_ms;
use crate::journal::history::{Paging, RequestRecord};
use crate::journal::{JournalError, NewEvent, Receipt};
use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::verdict::{Reason, Verdict};
use crate::pipeline::{Accepted, Circumstances, Replay, consult, judge};
use crate::telemetry::happening::{EventReplayed, Happening};

use super::Worker;

mod decide;

use decide::{Decided, as_recorded, judged, matches, unchanged};

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
        let (mut deliveries, mut made) = (0, None);
        for event in std::mem::take(&mut plan.events) {
            let triggers: Vec<TriggerId> =
                event.deliveries.iter().map(|d| d.trigger.clone()).collect();
            let receipts = self.parts.gate.admit_replay(event).await?;
            for (trigger, receipt) in triggers.iter().zip(receipts) {
                if let Receipt::New { id, event } = receipt {
                    made = Some(event);
                    deliveries += 1;
                    plan.note(trigger, id);
                }
            }
            // Nobody holds them: their turn comes as that of any other.
            self.lanes.turns.wake();
        }
        if let Some(event) = made {
            let (of, as_recorded) = (order.event, order.as_recorded);
            EventReplayed {
                event,
                of,
                deliveries,
                as_recorded,
            }
            .emit(&self.parts.metrics);
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
        self.lanes.turns.wake();
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
