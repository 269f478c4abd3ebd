//! Deliveries that this gateway performs, and what becomes of them.
//!
//! A delivery is acknowledged, and so taken out of its stream, only after its
//! end has been written down; one that is to be tried again is given back for
//! the time until then. Whoever holds one gives signs of life. Where they do
//! not reach the server, it gives the delivery to another gateway: who comes
//! second with what he has done finds the record changed and keeps silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::journal::progress::Progress;
use crate::journal::{Attempt, Buried, HandBack, JournalError, Leased, Recorded, Rendered};
use crate::model::finding::Finding;
use crate::model::ids::{DeliveryId, EventId, TriggerId};

use super::JetStreamJournal;
use super::ending::record_of;
use super::pull::Arrival;
use super::record::{self, DeliveryHead, DeliveryRecord, Making, StateRecord};
use super::store::{Condition, Parts, Written, remote};
use super::streams::{Kind, number, token};

/// How long a delivery is left with the server of which nobody knows when it may
/// begin.
const NOBODY_KNOWS: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(30);

/// A delivery that this gateway performs.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) acker: Arc<Acker>,
    /// What stands for it in subjects.
    pub(super) name: String,
    pub(super) head: Arc<DeliveryHead>,
    pub(super) body: Bytes,
    pub(super) parts: Option<Parts>,
    pub(super) state: Arc<StateRecord>,
    /// The number of the record of its state; 0 where there is none.
    pub(super) state_sequence: u64,
    pub(super) state_parts: Option<Parts>,
    /// How often the server has handed it over.
    pub(super) delivered: i64,
}

/// All of them.
#[derive(Default)]
pub(super) struct HeldDeliveries(Mutex<HashMap<DeliveryId, Held>>);

impl HeldDeliveries {
    fn get(&self, id: DeliveryId) -> Option<Held> {
        self.0.lock().ok()?.get(&id).cloned()
    }

    fn put(&self, id: DeliveryId, held: Held) {
        if let Ok(mut all) = self.0.lock() {
            all.insert(id, held);
        }
    }

    fn remove(&self, id: DeliveryId) -> Option<Held> {
        self.0.lock().ok()?.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().map_or(0, |all| all.len())
    }

    pub(super) fn ids(&self) -> Vec<DeliveryId> {
        let all = self.0.lock();
        all.map_or_else(|_| Vec::new(), |all| all.keys().copied().collect())
    }

    pub(super) fn ackers(&self) -> Vec<Arc<Acker>> {
        let all = self.0.lock();
        all.map_or_else(
            |_| Vec::new(),
            |all| all.values().map(|held| Arc::clone(&held.acker)).collect(),
        )
    }
}

/// What comes of looking at an arrival.
pub(super) enum Taken {
    /// It is to be performed.
    Leased(Box<Leased>),
    /// It cannot be read back, and is given up.
    Buried(Buried),
    /// There is nothing to do now.
    Nothing,
}

impl JetStreamJournal {
    /// Looks at what has arrived. What the server fails for comes again by
    /// itself.
    pub(super) async fn take(&self, arrival: Arrival, now_ms: i64) -> Taken {
        match self.read_arrival(&arrival, now_ms).await {
            Ok(Some(leased)) => Taken::Leased(Box::new(leased)),
            Ok(None) => Taken::Nothing,
            Err(error @ JournalError::Record { .. }) => match self.bury(&arrival, &error).await {
                Ok(buried) => Taken::Buried(buried),
                Err(_) => Taken::Nothing,
            },
            // Whoever has sealed it may come back, but not after so long.
            Err(error @ JournalError::OtherSeal) if arrival.is_old(now_ms) => {
                match self.bury(&arrival, &error).await {
                    Ok(buried) => Taken::Buried(buried),
                    Err(_) => Taken::Nothing,
                }
            }
            // Sealed by another gateway, or the server is away.
            Err(_) => {
                let later = AckKind::Nak(Some(Duration::from_secs(5)));
                let _ = arrival.acker.ack_with(later).await;
                Taken::Nothing
            }
        }
    }

    async fn read_arrival(
        &self,
        arrival: &Arrival,
        now_ms: i64,
    ) -> Result<Option<Leased>, JournalError> {
        let sequence = arrival.sequence;
        let payload = arrival.payload.clone();
        let payload = self.store.joined(payload, arrival.parts.as_ref()).await?;
        let (head, body): (DeliveryHead, Bytes) = record::read_with(sequence, payload)?;
        let name = token(head.event.id, &head.trigger);
        let subject = format!("delivery.{name}");
        let state = self.store.get(Kind::State, &subject).await?;
        if arrival.delivered > 1 && self.has_ended(&subject).await {
            // Its end was written down, and the word of it did not get through.
            self.acknowledge(&arrival.acker).await?;
            if let Some(parts) = &arrival.parts {
                self.store.forget_parts(parts).await;
            }
            return Ok(None);
        }
        let (state, state_sequence, state_parts) = match state {
            None => (
                StateRecord::new(head.accepted_ms, head.making.clone()),
                0,
                None,
            ),
            Some(found) => {
                let state: StateRecord = record::read(found.sequence, &found.payload)?;
                (state, found.sequence, found.parts)
            }
        };
        let held = Held {
            acker: Arc::clone(&arrival.acker),
            name,
            head: Arc::new(head),
            body,
            parts: arrival.parts.clone(),
            state: Arc::new(state),
            state_sequence,
            state_parts,
            delivered: arrival.delivered,
        };
        if held.state.progress().state.is_final() {
            // Whoever has ended it did not come to what follows.
            self.finish(&held).await?;
            return Ok(None);
        }
        self.lease_held(held, sequence, now_ms).await
    }

    async fn lease_held(
        &self,
        held: Held,
        sequence: u64,
        now_ms: i64,
    ) -> Result<Option<Leased>, JournalError> {
        let (head, state) = (&held.head, &held.state);
        let progress = state.progress_at(held.delivered);
        if state.is_early(now_ms) {
            // It came back before its time: whoever had it may have ended.
            let wait = u64::try_from(progress.due_ms - now_ms).unwrap_or_default();
            self.give_back(&held.acker, Some(Duration::from_millis(wait)))
                .await?;
            return Ok(None);
        }
        let unsealed = head.sealed.as_ref().filter(|_| state.making.is_none());
        let unsealed = unsealed.map(|sealed| self.unsealed(sequence, sealed));
        let leased = Leased {
            id: number(head.event.id, &head.trigger),
            progress,
            event: head.event.id,
            listener: head.event.listener.clone(),
            request: Recorded {
                method: head.event.method.clone(),
                url: head.event.url.clone(),
                headers: head.event.headers.clone(),
                body: held.body.clone(),
            },
            trigger: head.trigger.clone(),
            revision: head.revision.clone(),
            source: self.source_of(&head.revision).await?,
            extensions: head.extensions.clone(),
            resume: head.resume,
            unsealed: unsealed.transpose()?,
            rendered: state.rendered(),
            acted: state.acted,
        };
        self.held.put(leased.id, held);
        Ok(Some(leased))
    }

    /// Whether the history says so. What it cannot say is no reason to give a
    /// delivery up.
    async fn has_ended(&self, subject: &str) -> bool {
        let Ok(Some(found)) = self.store.get(Kind::History, subject).await else {
            return false;
        };
        let ended = record::read::<DeliveryRecord>(found.sequence, &found.payload);
        ended.is_ok_and(|ended| ended.state.progress().state.is_final())
    }

    /// Puts what cannot be read among the dead letters as it is.
    async fn bury(&self, arrival: &Arrival, error: &JournalError) -> Result<Buried, JournalError> {
        let subject = format!("unreadable.{}", arrival.sequence);
        let bytes = arrival.payload.to_vec();
        let put = self
            .store
            .put(Kind::Dead, &subject, bytes, Condition::default());
        put.await?;
        self.acknowledge(&arrival.acker).await?;
        Ok(Buried {
            id: DeliveryId(i64::try_from(arrival.sequence).unwrap_or(i64::MAX)),
            event: EventId(uuid::Uuid::nil()),
            trigger: TriggerId(String::new()),
            message: error.to_string(),
        })
    }

    /// Records what a delivery will make.
    pub(super) async fn write_making(
        &self,
        id: DeliveryId,
        rendered: &Rendered,
        findings: Vec<Finding>,
    ) -> Result<(), JournalError> {
        let Some(mut held) = self.held.get(id) else {
            return Err(JournalError::Lost);
        };
        let mut state = StateRecord::clone(&held.state);
        state.making = Some(Making::from(rendered));
        state.findings.extend(findings);
        if !self.write_state(&mut held, state).await? {
            self.held.remove(id);
            return Err(JournalError::Lost);
        }
        self.held.put(id, held);
        Ok(())
    }

    /// Records an attempt and what comes next.
    pub(super) async fn write_attempt(
        &self,
        id: DeliveryId,
        attempt: &Attempt,
        progress: Progress,
    ) -> Result<(), JournalError> {
        // Somebody else has it, who records what comes of it.
        let Some(mut held) = self.held.get(id) else {
            return Ok(());
        };
        // It may have been written before, and what comes after it not.
        if !held.state.has(attempt, progress) {
            let state = held.state.after(attempt, progress, held.delivered);
            if !self.write_state(&mut held, state).await? {
                self.held.remove(id);
                return Ok(());
            }
            self.held.put(id, held.clone());
        }
        if progress.state.is_final() {
            self.finish(&held).await?;
        } else {
            let record = record_of(&held);
            self.write_history(&held.name, &record).await?;
            let wait = progress.due_ms.saturating_sub(attempt.ended_ms);
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
            self.give_back(&held.acker, Some(wait)).await?;
        }
        self.held.remove(id);
        Ok(())
    }

    /// Writes how far a delivery has come. False where somebody else has
    /// written that meanwhile.
    async fn write_state(&self, held: &mut Held, state: StateRecord) -> Result<bool, JournalError> {
        let subject = format!("delivery.{}", held.name);
        let condition = Condition {
            last: Some(held.state_sequence),
            message_id: None,
        };
        let bytes = record::write(&state)?;
        let written = self.store.put(Kind::State, &subject, bytes, condition);
        match written.await? {
            Written::Before => Ok(false),
            Written::New(sequence) => {
                if let Some(parts) = held.state_parts.take() {
                    self.store.forget_parts(&parts).await;
                }
                held.state = Arc::new(state);
                held.state_sequence = sequence;
                Ok(true)
            }
        }
    }

    async fn give_back(&self, acker: &Acker, wait: Option<Duration>) -> Result<(), JournalError> {
        // Zero would be taken for the default of the consumer.
        let wait = wait.map(|wait| wait.max(Duration::from_millis(1)));
        let done = acker.ack_with(AckKind::Nak(wait)).await;
        done.map_err(|error| remote(format!("a delivery that is given back: {error}")))
    }

    /// Gives deliveries back that nobody has begun.
    pub(super) async fn give_back_held(&self, ids: &[DeliveryId]) -> Result<(), JournalError> {
        for id in ids {
            if let Some(held) = self.held.get(*id) {
                self.give_back(&held.acker, None).await?;
                self.held.remove(*id);
            }
        }
        Ok(())
    }

    /// Whether this gateway performs a delivery.
    pub(super) fn is_held(&self, id: DeliveryId) -> bool {
        self.held.get(id).is_some()
    }

    /// Gives deliveries back that may not begin before a time.
    pub(super) async fn give_back_until(&self, back: &[HandBack]) -> Result<(), JournalError> {
        for back in back {
            let Some(held) = self.held.get(back.id) else {
                continue;
            };
            // The server hands out again what has come back before what is
            // new: what waits for long must not keep that from coming.
            let times = u32::try_from(held.delivered).unwrap_or(u32::MAX);
            let wait = (NOBODY_KNOWS * times.clamp(1, 30)).min(LONGEST_HINT);
            let wait = back.wait.unwrap_or(wait);
            self.give_back(&held.acker, Some(wait)).await?;
            self.held.remove(back.id);
        }
        Ok(())
    }

    /// Tells the server that whoever has deliveries is alive.
    pub(super) async fn give_signs_of_life(&self) {
        let mut ackers = self.held.ackers();
        ackers.extend(self.arrivals.ackers());
        let signs = ackers.iter().map(|acker| acker.ack_with(AckKind::Progress));
        // What does not reach it now may the next time.
        join_all(signs).await;
    }
}
