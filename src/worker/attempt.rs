//! One attempt to perform a delivery, and its record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::act::cluster::events::Notice;
use crate::act::{Effect, Patience};
use crate::catalog::{Entry, Trigger, TriggerSource};
use crate::clock::unix_ms;
use crate::failpoint::{self, Point};
use crate::journal::progress::{Happening as Step, Progress};
use crate::journal::{Attempt, Buried, Leased};
use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::retry::RetryOverrides;
use crate::model::verdict::{DeliveryState, Reason};
use crate::pipeline::{Committed, Failure, Held, Performed, Work, Workshop, perform};
use crate::telemetry::happening::{DeliveryAttempted, Happening};
use crate::verify;

use super::Worker;
use super::lifecycle::Stage;

/// What an attempt is made for.
struct Subject<'a> {
    id: DeliveryId,
    event: EventId,
    listener: &'a ListenerId,
    trigger: &'a TriggerId,
    progress: Progress,
    /// What its trigger says of how often and how long it is tried.
    retry: RetryOverrides,
}

/// How an attempt ended.
struct Ending {
    step: Step,
    detail: Option<String>,
    /// How many of the delivery's objects are where they belong.
    acted: usize,
    /// How many of them this attempt has made, or found made.
    made: usize,
    /// The kinds of those that it has made.
    kinds: Vec<String>,
}

impl Worker {
    /// Attempts a delivery that the accept lane handed over.
    pub(super) async fn attempt_held(&self, held: Held) {
        let started_ms = unix_ms();
        let subject = Subject {
            id: held.id,
            event: held.event_id,
            listener: held.trigger.listener(),
            trigger: held.trigger.id(),
            progress: Progress::accepted(held.accepted_ms),
            retry: held.trigger.source.retry,
        };
        let work = Work {
            id: held.id,
            event_id: held.event_id,
            event: &held.event,
            headers: &held.headers,
            trigger: &held.trigger,
            extensions: &held.extensions,
            resume: held.resume,
            withheld: &self.withheld(held.trigger.listener(), held.resume),
            accepted_ms: held.accepted_ms,
            rendered: None,
        };
        let ending = self.attempt(work).await;
        self.record(&subject, started_ms, ending).await;
    }

    /// Attempts a delivery that was leased from the journal.
    pub(super) async fn attempt_leased(&self, leased: Leased) {
        let started_ms = unix_ms();
        let looked_up = catch_unwind(AssertUnwindSafe(|| self.trigger_of(&leased)));
        let trigger = looked_up.unwrap_or_else(|_| Err(Ending::panicked()));
        let rule = trigger.as_ref().map(|trigger| trigger.source.rule);
        let retry = match &trigger {
            Ok(trigger) => trigger.source.retry,
            Err(_) => recorded_retry(&leased),
        };
        let (acted, is_unclear) = (leased.acted, leased.is_unclear());
        let committed = leased.rendered.map(|rendered| Committed {
            rendered,
            acted,
            is_unclear,
        });
        let headers = leased.request.headers.clone();
        let mut raw = leased.request.into_raw(rule.unwrap_or_default());
        // Whoever is asked may have to see what proves the event.
        if let Some(all) = leased.unsealed {
            raw.headers = all;
        }
        let event = verify::recall(raw);
        let subject = Subject {
            id: leased.id,
            event: leased.event,
            listener: &leased.listener,
            trigger: &leased.trigger,
            progress: leased.progress,
            retry,
        };
        let ending = match trigger {
            Err(ending) => ending,
            Ok(trigger) => {
                let work = Work {
                    id: leased.id,
                    event_id: leased.event,
                    event: &event,
                    headers: &headers,
                    trigger: &trigger,
                    extensions: &leased.extensions,
                    resume: leased.resume,
                    withheld: &self.withheld(&leased.listener, leased.resume),
                    accepted_ms: leased.progress.accepted_ms,
                    rendered: committed,
                };
                self.attempt(work).await
            }
        };
        self.record(&subject, started_ms, ending).await;
    }

    /// Headers that carry credentials for any trigger of a listener, where
    /// somebody may send headers back.
    fn withheld(&self, listener: &ListenerId, resume: Option<usize>) -> Vec<String> {
        let snapshot = resume.map(|_| self.parts.catalog.snapshot());
        let listener = snapshot
            .as_ref()
            .and_then(|s| s.listener(&listener.to_string()));
        listener.map_or_else(Vec::new, |listener| listener.credential_headers.clone())
    }

    async fn attempt(&self, work: Work<'_>) -> Ending {
        let shop = Workshop {
            journal: &**self.journal(),
            action: &*self.parts.action,
            secrets: &*self.parts.secrets,
            calls: &*self.parts.calls,
        };
        let performing = perform(work, &shop);
        // Whatever panics must not leave a delivery that nobody has any more.
        let performed = AssertUnwindSafe(performing).catch_unwind().await;
        match performed {
            Err(_) => Ending::panicked(),
            Ok(performed) => Ending::of(performed),
        }
    }

    /// Tells of a delivery that cannot be read back.
    pub(super) fn emit_buried(&self, buried: &Buried) {
        let happening = DeliveryAttempted {
            delivery: buried.id,
            event: buried.event,
            trigger: &buried.trigger,
            state: DeliveryState::Dead,
            reason: Some(Reason::RecordUnreadable),
            detail: Some(&buried.message),
            objects: 0,
            made: 0,
            kinds: &[],
            age: Duration::ZERO,
        };
        happening.emit(&self.parts.metrics);
    }

    /// The trigger as it was when it matched, unless it is gone.
    fn trigger_of(&self, leased: &Leased) -> Result<Arc<Trigger>, Ending> {
        let catalog = &self.parts.catalog;
        let snapshot = catalog.snapshot();
        match snapshot.trigger(&leased.listener, &leased.trigger) {
            Some(Entry::Ready(trigger)) if trigger.revision == leased.revision => {
                Ok(Arc::clone(trigger))
            }
            // Where an interceptor is now is where it is asked.
            Some(Entry::Ready(trigger)) if is_readdressed(trigger, leased) => {
                Ok(Arc::clone(trigger))
            }
            Some(_) => self.revisions.get(leased).map_err(|message| {
                let detail = Some(message);
                Ending::new(Step::FailedForGood(Reason::BadConfig), detail)
            }),
            None if catalog.was_deleted(&leased.listener, &leased.trigger) => {
                Err(Ending::new(Step::TriggerGone, None))
            }
            // It may have been deleted while nobody looked, or the configuration
            // may not be what it should be: waiting loses nothing.
            None => Err(Ending::new(Step::NotTried(Reason::TriggerMissing), None)),
        }
    }

    async fn record(&self, subject: &Subject<'_>, started_ms: i64, mut ending: Ending) {
        let ended_ms = unix_ms();
        let chance = chance(subject.id, subject.progress.attempts);
        let policy = self.parts.policy.with(&subject.retry);
        let mut before = subject.progress;
        // Nobody tried it while it waited for its turn.
        before.due_ms = before.due_ms.max(started_ms.min(ended_ms));
        let progress = before.after(ending.step, ended_ms, &policy, chance);
        if progress.reason == Some(Reason::RetriesExhausted) {
            ending.is_last_of(progress.attempts);
        }
        let attempt = Attempt {
            started_ms,
            ended_ms,
            reason: ending.step.reason(),
            detail: ending.detail.clone(),
            acted: ending.acted,
        };
        let age = ended_ms.saturating_sub(subject.progress.accepted_ms);
        let happening = DeliveryAttempted {
            delivery: subject.id,
            event: subject.event,
            trigger: subject.trigger,
            state: progress.state,
            reason: progress.reason,
            detail: ending.detail.as_deref(),
            objects: ending.acted,
            made: ending.made,
            kinds: &ending.kinds,
            age: Duration::from_millis(u64::try_from(age).unwrap_or_default()),
        };
        happening.emit(&self.parts.metrics);
        self.notify(subject, progress, &ending);
        self.write_down("what became of a delivery", || {
            self.journal().record(subject.id, attempt.clone(), progress)
        })
        .await;
        failpoint::reach(Point::AfterRecord);
        if progress.state == DeliveryState::Retrying {
            self.lanes.turns.wake();
        }
    }
}

impl Worker {
    /// Lets the cluster know, and whom the listener names.
    fn notify(&self, subject: &Subject<'_>, progress: Progress, ending: &Ending) {
        let snapshot = self.parts.catalog.snapshot();
        let listener = snapshot.listener(&subject.listener.to_string());
        if let Some(listener) = listener
            && progress.state == DeliveryState::Done
        {
            let trigger = Some(subject.trigger);
            let told = &self.parts.lifecycle;
            told.tell(listener, subject.event, Stage::Successful, trigger);
        }
        // That an interceptor does not want an event is no news.
        let is_unwanted = matches!(ending.step, Step::NotWanted(_));
        let Some(notices) = self.parts.notices.as_ref().filter(|_| !is_unwanted) else {
            return;
        };
        let is_done = progress.state == DeliveryState::Done;
        let detail = ending.detail.clone().unwrap_or_default();
        let notice = Notice {
            listener: subject.listener.clone(),
            uid: listener.map_or_else(String::new, |listener| listener.uid.clone()),
            trigger: subject.trigger.to_string(),
            is_done,
            what: progress
                .reason
                .map_or(progress.state.as_str(), Reason::code),
            note: match is_done {
                true => format!("{} objects for event {}", ending.acted, subject.event),
                false => format!("{}, event {}: {detail}", progress.state, subject.event),
            },
        };
        // Where too much happens at once, some of it is not told.
        let _ = notices.try_send(notice);
    }
}

fn is_readdressed(trigger: &Trigger, leased: &Leased) -> bool {
    let recorded = TriggerSource::from_json(&leased.source);
    leased.resume.is_some()
        && recorded.is_ok_and(|recorded| trigger.source.is_readdressed(&recorded))
}

/// What a trigger that cannot be had any more has said of retries.
fn recorded_retry(leased: &Leased) -> RetryOverrides {
    let recorded = TriggerSource::from_json(&leased.source);
    recorded.map(|source| source.retry).unwrap_or_default()
}

impl Ending {
    fn new(step: Step, detail: Option<String>) -> Self {
        Self {
            step,
            detail,
            acted: 0,
            made: 0,
            kinds: Vec::new(),
        }
    }

    fn panicked() -> Self {
        let detail = Some("the attempt panicked; the log has the place".to_owned());
        Self::new(Step::FailedForNow(Reason::Internal), detail)
    }

    fn of(performed: Performed) -> Self {
        let Performed {
            resources,
            acted,
            effects,
            outcome,
        } = performed;
        let made = effects.iter().filter_map(Effect::made);
        let kinds = made.map(str::to_owned).collect();
        let is_gone = |effect: &&Effect| matches!(effect, Effect::Gone(_));
        let (step, detail) = match outcome {
            Ok(remark) => (Step::Succeeded, remark),
            Err(failure) if acted > 0 => {
                let detail = format!("{failure}; {acted} of {resources} resources are made");
                (step_after(&failure), Some(detail))
            }
            Err(failure) => (step_after(&failure), Some(failure.to_string())),
        };
        Self {
            step,
            detail,
            acted,
            made: effects.len() - effects.iter().filter(is_gone).count(),
            kinds,
        }
    }

    /// Says that this was the last attempt, and why that failed.
    fn is_last_of(&mut self, attempts: u32) {
        let reason = self.step.reason().map_or("", Reason::code);
        let detail = self.detail.take().unwrap_or_default();
        let colon = if detail.is_empty() { "" } else { ": " };
        self.detail = Some(format!(
            "given up after {attempts} attempts, the last with {reason}{colon}{detail}"
        ));
    }
}

fn step_after(failure: &Failure) -> Step {
    let reason = failure.reason();
    match (failure.patience(), failure.retry_after()) {
        _ if failure.is_unwanted() => Step::NotWanted(reason),
        // Nobody was asked for anything.
        _ if matches!(failure, Failure::Journal(_)) => Step::NotTried(reason),
        (Patience::None, _) => Step::FailedForGood(reason),
        (Patience::Short, _) => Step::FailedForAWhile(reason),
        (Patience::Long, Some(wait)) => Step::ToldToWait(reason, wait),
        (Patience::Long, None) => Step::FailedForNow(reason),
    }
}

/// A number from 0 to 1 that differs between deliveries and attempts.
fn chance(id: DeliveryId, attempts: u32) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let drawn = RandomState::new().hash_one((id, attempts));
    // The upper 53 bits are what a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let chance = (drawn >> 11) as f64 / (1u64 << 53) as f64;
    chance
}
