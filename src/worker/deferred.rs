//! Events that wait for their verification.

use std::sync::Arc;

use uuid::Uuid;

use crate::catalog::Listener;
use crate::clock::unix_ms;
use crate::journal::{Deferral, JournalError};
use crate::model::ids::{EventId, TriggerId};
use crate::model::verdict::{Reason, Verdict};
use crate::pipeline::{Judgement, judge};
use crate::telemetry::happening::{DeferralSettled, Happening};

use super::Worker;

impl Worker {
    /// Looks at every event that waits, oldest first.
    pub(super) async fn look_at_deferred(&self) {
        let mut after = 0;
        loop {
            let next = match self.journal().next_deferred(after).await {
                Ok(Some(next)) => next,
                Ok(None) => return,
                Err(JournalError::Record { id, message }) => {
                    // One that cannot be read must not hide the others.
                    let error = JournalError::Record { id, message };
                    self.report("an event that waits", &error);
                    after = id;
                    continue;
                }
                Err(error) => {
                    self.report("events that wait", &error);
                    return;
                }
            };
            after = next.id;
            if let Err(error) = self.look_at(next).await {
                self.report("an event that waits", &error);
                return;
            }
        }
    }

    async fn look_at(&self, deferral: Deferral) -> Result<(), JournalError> {
        let Deferral { id, event } = deferral;
        let snapshot = self.parts.catalog.snapshot();
        let listener = snapshot.listener(&event.listener.to_string());
        let age_ms = unix_ms().saturating_sub(event.received_ms);
        let expired =
            age_ms >= i64::try_from(self.parts.deferred_for.as_millis()).unwrap_or(i64::MAX);
        let Some(listener) = listener else {
            if expired {
                self.give_up(id, &event.triggers).await?;
            }
            return Ok(());
        };
        // Only the triggers that it waits for: the others have had their say.
        let asked = Listener {
            id: listener.id.clone(),
            uid: listener.uid.clone(),
            triggers: listener
                .triggers
                .iter()
                .filter(|entry| event.triggers.contains(entry.id()))
                .cloned()
                .collect(),
        };
        // A trigger that is not there may only be out of the configuration for
        // the moment.
        let absent: Vec<TriggerId> = event
            .triggers
            .iter()
            .filter(|id| !asked.triggers.iter().any(|entry| entry.id() == *id))
            .filter(|id| !self.parts.catalog.was_deleted(&listener.id, id))
            .cloned()
            .collect();
        let secrets = Arc::clone(&self.parts.secrets);
        let (fresh, rerun) = (Uuid::now_v7(), Uuid::now_v7());
        let accepted = judge(&asked, event.request, &*secrets, fresh);
        let decided = |judgement: &Judgement| judgement.verdict != Verdict::Deferred;
        let nothing_new = !accepted.judgements.iter().any(decided)
            && accepted.judgements.len() + absent.len() == event.triggers.len();
        if nothing_new {
            if expired {
                self.give_up(id, &event.triggers).await?;
            }
            return Ok(());
        }
        let gate = &self.parts.gate;
        let received_ms = event.received_ms;
        let settled = gate
            .settle(id, accepted, &asked, received_ms, absent, rerun)
            .await?;
        for judgement in &settled.accepted.judgements {
            if decided(judgement) {
                let Judgement {
                    trigger,
                    verdict,
                    reason,
                    ..
                } = judgement;
                self.emit_settled(settled.accepted.event, trigger, *verdict, *reason);
            }
        }
        self.take(settled.held, (), false).await;
        Ok(())
    }

    async fn give_up(&self, id: i64, triggers: &[TriggerId]) -> Result<(), JournalError> {
        self.journal().settle(id, Vec::new(), None).await?;
        for trigger in triggers {
            let event = EventId(Uuid::nil());
            self.emit_settled(
                event,
                trigger,
                Verdict::Refused,
                Some(Reason::DeferredExpired),
            );
        }
        Ok(())
    }

    fn emit_settled(
        &self,
        event: EventId,
        trigger: &TriggerId,
        verdict: Verdict,
        reason: Option<Reason>,
    ) {
        let happening = DeferralSettled {
            event,
            trigger,
            verdict,
            reason,
        };
        happening.emit(&self.parts.metrics);
    }
}
