//! Events that wait until somebody can decide on them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::catalog::Listener;
use crate::clock::{steady_ms, unix_ms};
use crate::journal::{JournalError, NewDeferral, Settlement};
use crate::model::ids::{EventId, TriggerId};
use crate::model::secret::Secrets;
use crate::model::verdict::{Reason, Verdict};
use crate::pipeline::{Acceptance, Accepted, Circumstances, Judgement, consult, judge};
use crate::telemetry::happening::{DeferralLost, DeferralSettled, Happening};

use super::{AFTER_FAILURE, Worker};

/// What is asked of a waiting event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Whether its triggers can decide now: something has changed.
    Judge,
    /// Whether it has waited for too long.
    OnlyAge,
    /// Whether somebody elsewhere has to be asked about one that has just come.
    New,
}

/// What came of judging a waiting event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Some of its triggers have decided, or it does not wait any more.
    Decided,
    /// Nobody can decide yet.
    Undecided,
    /// Nobody knows yet whether anybody can: what it takes has not been read
    /// since the start.
    Unread,
}

impl Worker {
    /// Looks at every event that waits, oldest first.
    pub(super) async fn look_at_deferred(self: &Arc<Self>, look: Look, stop: &CancellationToken) {
        let mut after = match look {
            Look::New => self.asking.newest(),
            Look::Judge | Look::OnlyAge => 0,
        };
        while !stop.is_cancelled() {
            let next = match self.journal().next_deferred(after).await {
                Ok(Some(next)) => next,
                Ok(None) => return,
                Err(error) => return self.look_later(look, "events that wait", &error),
            };
            after = next.id;
            self.asking.has_seen(next.id);
            let looked = match next.waiting {
                Ok(waiting) if self.may_await(&waiting) => {
                    self.ask(next.id, &waiting.listener, stop);
                    self.look_at(next.id, waiting, Look::OnlyAge).await
                }
                Ok(_) if look == Look::New => Ok(()),
                Ok(waiting) => self.look_at(next.id, waiting, look).await,
                // One that cannot be read is of no use to anybody.
                Err(message) => {
                    let (event, message) = (next.event, message.as_str());
                    DeferralLost {
                        event,
                        message,
                        kept: false,
                    }
                    .emit(&self.parts.metrics);
                    let ended = self.journal().settle(next.id, Settlement::default());
                    ended.await.map(drop)
                }
            };
            if let Err(error) = looked {
                return self.look_later(look, "an event that waits", &error);
            }
        }
    }

    /// What has changed is told once: who could not look then does so later.
    fn look_later(self: &Arc<Self>, look: Look, what: &'static str, error: &JournalError) {
        self.report(what, error);
        if look == Look::Judge {
            let worker = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::time::sleep(AFTER_FAILURE).await;
                worker.look.notify_one();
            });
        }
    }

    async fn look_at(
        self: &Arc<Self>,
        id: i64,
        waiting: NewDeferral,
        look: Look,
    ) -> Result<(), JournalError> {
        // Nothing gets old by a clock that is put forward.
        let now_ms = unix_ms().min(steady_ms());
        let age_ms = now_ms.saturating_sub(waiting.received_ms);
        let longest_ms = i64::try_from(self.parts.deferred_for.as_millis()).unwrap_or(i64::MAX);
        let expired = age_ms >= longest_ms;
        // A trigger counts as deleted some time after it has gone, when
        // nothing changes.
        let was_deleted = |trigger| self.parts.catalog.was_deleted(&waiting.listener, trigger);
        let changed = look == Look::Judge || waiting.triggers.iter().any(was_deleted);
        let waiting = Arc::new(waiting);
        // Nobody else looks at one that is asked about.
        if self.asking.has(id) {
            // One that was not asked about since the start may still be wanted.
            return match expired && self.asking.has_heard(id) {
                true => self.give_up(id, &waiting).await,
                false => Ok(()),
            };
        }
        let again = match changed || expired {
            true => self.judge_again(id, &waiting).await?,
            false => Again::Undecided,
        };
        match again {
            Again::Undecided if expired => self.give_up(id, &waiting).await,
            _ => Ok(()),
        }
    }

    /// Judges a waiting event again.
    pub(super) async fn judge_again(
        self: &Arc<Self>,
        id: i64,
        waiting: &Arc<NewDeferral>,
    ) -> Result<Again, JournalError> {
        let snapshot = self.parts.catalog.snapshot();
        let found = snapshot.listener(&waiting.listener.to_string());
        // Only the triggers that it waits for: the others have had their say.
        let asked = found.map(|listener| listener.only(|id| waiting.triggers.contains(id)));
        let entries = asked.as_ref().map_or(&[][..], |asked| &asked.triggers);
        let (gone, absent): (Vec<TriggerId>, Vec<TriggerId>) = waiting
            .triggers
            .iter()
            .filter(|id| !entries.iter().any(|entry| entry.id() == *id))
            .cloned()
            // One that is not there may only be out of the configuration for
            // the moment.
            .partition(|id| self.parts.catalog.was_deleted(&waiting.listener, id));
        for trigger in &gone {
            let reason = Some(Reason::TriggerDeleted);
            self.emit_settled(waiting, None, trigger, Verdict::Refused, reason);
        }
        let Some(asked) = asked else {
            if !gone.is_empty() {
                let settlement = Settlement {
                    waiting: absent,
                    ..Settlement::default()
                };
                self.journal().settle(id, settlement).await?;
            }
            return Ok(match self.parts.catalog.knows_of_absence() {
                _ if !gone.is_empty() => Again::Decided,
                true => Again::Undecided,
                false => Again::Unread,
            });
        };
        let asked = Arc::new(asked);
        let Some(mut accepted) = self.judge_aside(&asked, waiting).await else {
            return Ok(Again::Undecided);
        };
        if accepted.awaits_interceptor() {
            let circumstances = self.circumstances(waiting);
            consult(&asked, &mut accepted, &circumstances, &*self.parts.calls).await;
        }
        let decided = |judgement: &Judgement| judgement.verdict != Verdict::Deferred;
        let is_undecided = gone.is_empty() && !accepted.judgements.iter().any(decided);
        if is_undecided && !accepted.has_proved_more(waiting) {
            let unread = |judgement: &Judgement| judgement.reason == Some(Reason::SecretsNotSynced);
            return Ok(match accepted.judgements.iter().any(unread) {
                true => Again::Unread,
                false => Again::Undecided,
            });
        }
        // Nothing of it is within any budget: it goes through the journal.
        accepted.save_memory();
        let at = Acceptance {
            received_ms: waiting.received_ms,
            ..Acceptance::new(unix_ms())
        };
        let settled = self.parts.gate.settle(id, accepted, &asked, absent, at);
        let Some(settled) = settled.await? else {
            return Ok(Again::Decided);
        };
        if is_undecided {
            return Ok(Again::Undecided);
        }
        let event = settled.accepted.event;
        for judgement in settled.accepted.judgements.iter().filter(|j| decided(j)) {
            let (trigger, verdict) = (&judgement.trigger, judgement.verdict);
            self.emit_settled(waiting, Some(event), trigger, verdict, judgement.reason);
        }
        if !settled.accepted.abandoned().is_empty() {
            DeferralLost {
                event,
                message: "an interceptor gave no answer",
                kept: true,
            }
            .emit(&self.parts.metrics);
        }
        self.take(settled.held, (), true);
        Ok(Again::Decided)
    }

    /// Judges off the threads that serve connections. Nothing where that
    /// panics: it waits on, and the log has the place.
    async fn judge_aside(
        &self,
        asked: &Arc<Listener>,
        waiting: &Arc<NewDeferral>,
    ) -> Option<Accepted> {
        let (asked, waiting) = (Arc::clone(asked), Arc::clone(waiting));
        let secrets = Arc::clone(&self.parts.secrets);
        let judged = tokio::task::spawn_blocking(move || {
            let mut request = waiting.request.clone();
            request.rule = asked.manner.rule;
            judge(&asked, request, &circumstances(&waiting, &*secrets))
        });
        judged.await.ok()
    }

    fn circumstances<'s>(&'s self, waiting: &'s NewDeferral) -> Circumstances<'s> {
        circumstances(waiting, &*self.parts.secrets)
    }

    /// Ends a wait that has been too long. What somebody had verified is kept.
    async fn give_up(&self, id: i64, waiting: &NewDeferral) -> Result<(), JournalError> {
        if waiting.verified {
            self.journal().give_up(id, unix_ms()).await?;
            let (event, kept) = (waiting.event, true);
            let message = "nobody could decide on it for too long";
            DeferralLost {
                event,
                message,
                kept,
            }
            .emit(&self.parts.metrics);
        } else {
            self.journal().settle(id, Settlement::default()).await?;
        }
        for trigger in &waiting.triggers {
            let reason = Some(Reason::DeferredExpired);
            self.emit_settled(waiting, None, trigger, Verdict::Refused, reason);
        }
        Ok(())
    }

    fn emit_settled(
        &self,
        waiting: &NewDeferral,
        event: Option<EventId>,
        trigger: &TriggerId,
        verdict: Verdict,
        reason: Option<Reason>,
    ) {
        let happening = DeferralSettled {
            told: waiting.event,
            event: event.unwrap_or(waiting.event),
            trigger,
            verdict,
            reason,
        };
        happening.emit(&self.parts.metrics);
    }
}

fn circumstances<'s>(waiting: &'s NewDeferral, secrets: &'s dyn Secrets) -> Circumstances<'s> {
    Circumstances {
        secrets,
        fresh: waiting.event.0,
        received_ms: waiting.received_ms,
        explain: false,
        proven: &waiting.proven,
    }
}
