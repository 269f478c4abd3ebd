//! What people take out of the journal, and what becomes of deliveries by
//! their hand.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::journal::JournalError;
use crate::journal::history::{Change, Erasure};
use crate::journal::jetstream::JetStreamJournal;
use crate::journal::jetstream::record::{
    self, DeliveryHead, DeliveryRecord, EventRecord, StateRecord, WaitingHead,
};
use crate::journal::jetstream::store::{Condition, Written, remote};
use crate::journal::jetstream::streams::{Kind, number, token};
use crate::journal::progress::{Happening, RetryPolicy};
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::Backwards;

/// Events that are looked at for an erasure and for old payloads at once.
const AT_ONCE: usize = 100;

/// Events that are looked at for old payloads at once.
const LOOKED_AT: usize = 1_000;

impl JetStreamJournal {
    /// Notes on a delivery that another event stands for it now.
    pub(in crate::journal::jetstream) async fn note_replay(
        &self,
        original: EventId,
        trigger: &TriggerId,
        by: EventId,
    ) -> Result<(), JournalError> {
        let name = token(original, trigger);
        if let Some(((mut delivery, head), body)) = self.letter(&name).await? {
            delivery.replayed_by = Some(by);
            let bytes = record::write_with(&(delivery, head), &body)?;
            self.put(Kind::Dead, &format!("delivery.{name}"), bytes)
                .await?;
        }
        let subject = format!("delivery.{name}");
        if let Some(found) = self.store.get(Kind::History, &subject).await? {
            let mut delivery: DeliveryRecord = record::read(found.sequence, &found.payload)?;
            delivery.replayed_by = Some(by);
            self.put(Kind::History, &subject, record::write(&delivery)?)
                .await?;
        }
        Ok(())
    }

    async fn put(&self, kind: Kind, rest: &str, bytes: Vec<u8>) -> Result<(), JournalError> {
        let put = self.store.put(kind, rest, bytes, Condition::default());
        put.await.map(drop)
    }

    pub(super) async fn discard_delivery(
        &self,
        id: DeliveryId,
        now_ms: i64,
    ) -> Result<Change, JournalError> {
        let Some(record) = self.find(id).await? else {
            return Ok(Change::Unknown);
        };
        let state = record.state.progress().state;
        match state {
            DeliveryState::Done | DeliveryState::Cancelled | DeliveryState::Running => {
                return Ok(Change::NotNow(state));
            }
            DeliveryState::Pending | DeliveryState::Retrying | DeliveryState::Dead => {}
        }
        if self.is_held(id) {
            return Ok(Change::NotNow(DeliveryState::Running));
        }
        self.put_away(record, Reason::Discarded, now_ms).await?;
        Ok(Change::Made)
    }

    /// Ends a delivery by somebody's hand: whoever has it at the moment finds
    /// its record changed.
    async fn put_away(
        &self,
        mut record: DeliveryRecord,
        reason: Reason,
        now_ms: i64,
    ) -> Result<(), JournalError> {
        let policy = RetryPolicy::DEFAULT;
        let progress = record.state.progress();
        let progress = progress.after(Happening::PutAway(reason), now_ms, &policy, 0.0);
        record.state.standing = progress.into();
        record.updated_ms = now_ms;
        let name = token(record.event, &record.trigger);
        let subject = format!("delivery.{name}");
        self.put(Kind::State, &subject, record::write(&record.state)?)
            .await?;
        for rest in self.rests(Kind::Deliveries, &format!("*.{name}")).await? {
            self.take_out(&rest).await?;
        }
        self.write_history(&name, &record).await?;
        self.erase_message(Kind::Dead, &subject).await.map(drop)
    }

    /// Takes a delivery out of the queue, with its payload; its key is kept.
    async fn take_out(&self, rest: &str) -> Result<(), JournalError> {
        let Some(queued) = self.queued(rest).await? else {
            return Ok(());
        };
        let sequence = queued.sequence;
        let read = record::read_with::<DeliveryHead>(sequence, queued.payload);
        if let Ok((head, _)) = read {
            self.remember(&head).await?;
        }
        let stream = self.store.stream(Kind::Deliveries).await?;
        let deleted = stream.delete_message(sequence).await;
        deleted.map_err(|error| remote(format!("{rest}: {error}")))?;
        match &queued.parts {
            Some(parts) => self.store.erase_parts(parts).await,
            None => Ok(()),
        }
    }

    /// Lets a delivery that waits for its next attempt be due: the server has
    /// the time of that, so it is handed to it anew.
    pub(super) async fn hurry(&self, id: DeliveryId, now_ms: i64) -> Result<Change, JournalError> {
        let Some(record) = self.find(id).await? else {
            return Ok(Change::Unknown);
        };
        let progress = record.state.progress();
        if progress.state != DeliveryState::Retrying {
            return Ok(Change::NotNow(progress.state));
        }
        let name = token(record.event, &record.trigger);
        let found = self.rests(Kind::Deliveries, &format!("*.{name}")).await?;
        let Some(rest) = found.first() else {
            return Ok(Change::NotNow(DeliveryState::Running));
        };
        let Some(queued) = self.queued(rest).await? else {
            return Ok(Change::NotNow(DeliveryState::Running));
        };
        let subject = format!("delivery.{name}");
        let Some(found) = self.store.get(Kind::State, &subject).await? else {
            return Ok(Change::NotNow(DeliveryState::Running));
        };
        let mut state: StateRecord = record::read(found.sequence, &found.payload)?;
        let progress = state.progress();
        if self.is_held(id) || progress.state != DeliveryState::Retrying {
            return Ok(Change::NotNow(DeliveryState::Running));
        }
        state.standing = crate::journal::progress::Progress {
            due_ms: now_ms,
            ..progress
        }
        .into();
        let unchanged = Condition {
            last: Some(found.sequence),
            message_id: None,
        };
        let bytes = record::write(&state)?;
        let put = self.store.put(Kind::State, &subject, bytes, unchanged);
        if put.await? == Written::Before {
            return Ok(Change::NotNow(DeliveryState::Running));
        }
        // Another one of the same subject, and then not the one before: whoever
        // gets both finds the first one's end.
        self.put(Kind::Deliveries, rest, queued.payload.to_vec())
            .await?;
        let stream = self.store.stream(Kind::Deliveries).await?;
        let deleted = stream.delete_message(queued.sequence).await;
        deleted.map_err(|error| remote(format!("{rest}: {error}")))?;
        if let Some(parts) = &queued.parts {
            self.store.forget_parts(parts).await;
        }
        Ok(Change::Made)
    }

    async fn queued(
        &self,
        rest: &str,
    ) -> Result<Option<crate::journal::jetstream::store::Stored>, JournalError> {
        let subject = self.names.subject(Kind::Deliveries, rest);
        let stream = self.store.stream(Kind::Deliveries).await?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let whole = self.store.whole(Kind::Deliveries, message).await?;
                Ok(Some(whole))
            }
            Err(error) if super::is_absent(&error.kind()) => Ok(None),
            Err(error) => Err(remote(format!("{subject}: {error}"))),
        }
    }

    /// Lets what was given up wait again, under another number.
    pub(super) async fn let_wait_again(&self, id: EventId) -> Result<usize, JournalError> {
        let filter = format!("waited.{}.*", id.0.simple());
        let names = self.rests(Kind::Dead, &filter).await?;
        for name in &names {
            let Some(found) = self.store.get(Kind::Dead, name).await? else {
                continue;
            };
            let (mut head, body): (WaitingHead, Bytes) =
                record::read_with(found.sequence, found.payload)?;
            head.given_up_ms = None;
            self.write_waiting(&head, &body).await?;
            let parts = found.parts.as_ref();
            self.store.remove(Kind::Dead, name, parts).await?;
        }
        Ok(names.len())
    }

    /// The event with what it replays and what replays it: all have a copy of
    /// the payload.
    async fn family(&self, id: EventId) -> Result<Vec<(EventRecord, Bytes)>, JournalError> {
        let mut known = HashSet::from([id]);
        let mut all = Vec::new();
        if let Some(event) = self.event_record(id).await? {
            known.extend(event.0.event.replay_of);
        }
        // Replays come later: those further back are found on the way.
        let mut cursor = None;
        loop {
            let mut found = Backwards::new(self, Kind::History, "event.*", cursor.as_ref()).await?;
            while let Some(stored) = found.next().await? {
                let read = record::read_with::<EventRecord>(stored.sequence, stored.payload)?;
                let event = &read.0.event;
                let is_one = known.contains(&event.id)
                    || event.replay_of.is_some_and(|of| known.contains(&of));
                if is_one {
                    known.insert(event.id);
                    known.extend(event.replay_of);
                    all.push(read);
                }
            }
            cursor = found.cursor(None);
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    pub(super) async fn erase_family(
        &self,
        id: EventId,
        force: bool,
        now_ms: i64,
    ) -> Result<Erasure, JournalError> {
        let family = self.family(id).await?;
        let waiting = self.waiting_numbers(id).await?;
        let given_up = format!("waited.{}.*", id.0.simple());
        let given_up = self.rests(Kind::Dead, &given_up).await?;
        let letters = self.whole_event(id).await?.is_some();
        if family.is_empty() && waiting.is_empty() && given_up.is_empty() && !letters {
            return Ok(Erasure::Unknown);
        }
        let mut under_way = Vec::new();
        for (event, _) in &family {
            for caused in &event.deliveries {
                let record = self.delivery_record(event, caused).await?;
                if !record.state.progress().state.is_final() {
                    under_way.push(record);
                }
            }
        }
        let numbers = under_way.iter().map(|one| number(one.event, &one.trigger));
        let deliveries: Vec<DeliveryId> = numbers.collect();
        if !force && (!under_way.is_empty() || !waiting.is_empty()) {
            return Ok(Erasure::UnderWay {
                deliveries,
                waiting: waiting.len(),
            });
        }
        for record in under_way {
            self.put_away(record, Reason::Erased, now_ms).await?;
        }
        let requests = family.len().max(usize::from(letters));
        for (event, _) in family {
            self.erase_event(event, now_ms).await?;
        }
        self.erase_letters(id).await?;
        for name in &given_up {
            self.erase_message(Kind::Dead, name).await?;
        }
        for sequence in &waiting {
            self.end_wait_of(*sequence).await?;
        }
        Ok(Erasure::Erased {
            requests,
            cancelled: deliveries,
            waiting: waiting.len() + given_up.len(),
        })
    }

    async fn erase_letters(&self, id: EventId) -> Result<(), JournalError> {
        let filter = format!("delivery.{}.*", id.0.simple());
        for name in self.rests(Kind::Dead, &filter).await? {
            self.erase_message(Kind::Dead, &name).await?;
        }
        Ok(())
    }

    /// Leaves the skeleton of an event: ids, states, times.
    async fn erase_event(&self, event: EventRecord, now_ms: i64) -> Result<(), JournalError> {
        let id = event.event.id;
        for caused in &event.deliveries {
            let record = self.delivery_record(&event, caused).await?.skeleton();
            let name = token(id, &caused.trigger);
            let subject = format!("delivery.{name}");
            if self.erase_message(Kind::State, &subject).await? {
                // Whoever has it yet must find that it has changed.
                self.put(Kind::State, &subject, record::write(&record.state)?)
                    .await?;
            }
            self.erase_message(Kind::History, &subject).await?;
            self.write_history(&name, &record).await?;
        }
        self.erase_letters(id).await?;
        let mut event = event;
        event.event.url = String::new();
        event.event.headers = Headers::new();
        event.event.proven = Vec::new();
        event.erased_ms = event.erased_ms.or(Some(now_ms));
        let subject = format!("event.{}", id.0.simple());
        self.erase_message(Kind::History, &subject).await?;
        self.put(Kind::History, &subject, record::write_with(&event, &[])?)
            .await
    }

    /// Overwrites a record where it lies, and removes it. Whether there was one.
    async fn erase_message(&self, kind: Kind, rest: &str) -> Result<bool, JournalError> {
        let Some(found) = self.store.get(kind, rest).await? else {
            return Ok(false);
        };
        let stream = self.store.stream(kind).await?;
        let deleted = stream.delete_message(found.sequence).await;
        deleted.map_err(|error| remote(format!("{rest}: {error}")))?;
        if let Some(parts) = &found.parts {
            self.store.erase_parts(parts).await?;
        }
        Ok(true)
    }

    /// Whether all deliveries of an event have come to their end.
    async fn is_over(&self, event: &EventRecord) -> Result<bool, JournalError> {
        for caused in &event.deliveries {
            let record = self.delivery_record(event, caused).await?;
            if !record.state.progress().state.is_final() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The oldest come first.
    pub(super) async fn forget_old_payloads(
        &self,
        before_ms: i64,
        now_ms: i64,
    ) -> Result<usize, JournalError> {
        let stream = self.store.stream(Kind::History).await?;
        let filter = self.names.subject(Kind::History, "event.*");
        let mut at = self.forgotten.load(Ordering::Relaxed).max(1);
        let (mut old, mut all_over) = (Vec::new(), true);
        for _ in 0..LOOKED_AT {
            let next = stream.raw_message_builder().sequence(at);
            let message = match next.next_by_subject(&filter).send().await {
                Ok(message) => message,
                Err(error) if super::is_absent(&error.kind()) => break,
                Err(error) => return Err(remote(format!("{filter}: {error}"))),
            };
            let sequence = message.sequence;
            let stored = self.store.whole(Kind::History, message).await?;
            let (event, _) = record::read_with::<EventRecord>(sequence, stored.payload)?;
            if event.erased_ms.is_none() && event.event.received_ms >= before_ms {
                break;
            }
            at = sequence + 1;
            if event.erased_ms.is_none() {
                match self.is_over(&event).await? {
                    true => old.push(event),
                    // It is looked at again the next time.
                    false => all_over = false,
                }
            }
            if all_over {
                self.forgotten.store(at, Ordering::Relaxed);
            }
            if old.len() >= AT_ONCE {
                break;
            }
        }
        let count = old.len();
        for event in old {
            self.erase_event(event, now_ms).await?;
        }
        Ok(count)
    }
}
